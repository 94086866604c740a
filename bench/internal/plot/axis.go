package plot

import "math"

// An axis maps values to places on the paper.
type axis struct {
	log        bool
	nice       bool // begins at 0, or at a power of ten, and ends at a tick
	seen       bool
	low, high  float64
	from, upto float64
}

// fits says whether the axis can show v.
func (a *axis) fits(v float64) bool { return finite(v) && (!a.log || v > 0) }

func (a *axis) include(v float64) {
	if !a.seen {
		a.low, a.high, a.seen = v, v, true
	}
	a.low, a.high = min(a.low, v), max(a.high, v)
}

// place fixes where the axis begins and ends on the paper.
func (a *axis) place(from, upto float64) {
	a.from, a.upto = from, upto
	if !a.seen {
		a.low, a.high = 1, 10
	}
	if a.nice && a.log {
		a.low = math.Pow(10, math.Floor(math.Log10(a.low)))
		a.high = math.Pow(10, math.Ceil(math.Log10(a.high)))
	} else if a.nice {
		a.low = min(0, a.low)
		step := step(a.high - a.low)
		a.high = step * math.Ceil(a.high/step)
	}
	if a.low == a.high {
		a.high = a.low + 1
		if a.log {
			a.high = a.low * 10
		}
	}
}

func (a axis) at(v float64) float64 {
	low, high := a.low, a.high
	if a.log {
		v, low, high = math.Log10(v), math.Log10(low), math.Log10(high)
	}
	return a.from + (v-low)/(high-low)*(a.upto-a.from)
}

// ticks chooses the marks: powers of ten, or round steps.
func (a axis) ticks() []Tick {
	var t []Tick
	if a.log {
		for v := math.Pow(10, math.Ceil(math.Log10(a.low)-1e-9)); v <= a.high*1.0001; v *= 10 {
			t = append(t, Tick{v, Number(v)})
		}
		return t
	}
	s := step(a.high - a.low)
	for v := s * math.Ceil(a.low/s); v <= a.high+s/1000; v += s {
		t = append(t, Tick{v, Number(v)})
	}
	return t
}

// step is a round number that divides the span into about five.
func step(span float64) float64 {
	if span <= 0 {
		return 1
	}
	p := math.Pow(10, math.Floor(math.Log10(span/5)))
	for _, f := range []float64{1, 2, 5, 10} {
		if span/(p*f) <= 6 {
			return p * f
		}
	}
	return p * 10
}
