package results

import (
	"fmt"
	"slices"

	"shmkit/bench/internal/matrix"
	"shmkit/bench/internal/plot"
)

// Plots makes every drawing that the rows allow, by name, as SVG.
func (f *File) Plots() map[string]string {
	p := map[string]string{}
	if rows := f.rows("base"); len(rows) > 0 {
		bars := plot.Bars{Title: "64-byte messages a second, one producer, one consumer", Unit: "/s"}
		for _, r := range rows {
			if r.NSPerMsg == nil {
				continue
			}
			bars.Bars = append(bars.Bars, plot.Bar{
				Label: r.Impl, Value: 1e9 / *r.NSPerMsg, Low: 1e9 / value(r.Max), High: 1e9 / value(r.Min), Main: ours(r.Impl),
			})
		}
		slices.SortStableFunc(bars.Bars, func(a, b plot.Bar) int { return int(b.Value - a.Value) })
		p["base"] = bars.SVG(true)
	}
	p["size"] = f.sizes()
	for _, g := range []struct{ name, title, x string }{
		{"grow-procs", "Messages a second, by pairs of processes", "producers, and as many consumers"},
		{"grow-capacity", "Messages a second, by capacity", "messages that fit"},
		{"grow-queues", "Messages a second through many queues, one process at each end", "queues"},
		{"grow-waiters", "Times a second that a lock is taken", "goroutines that want it"},
		{"grow-locks", "Times a second that two processes take one of many locks", "locks"},
	} {
		p[g.name] = f.growth(g.name, g.title, g.x)
	}
	p["pingpong"] = f.curves("pingpong", 0, "Round trip of 64 bytes, by percentile")
	for _, rate := range f.rates() {
		p[fmt.Sprintf("openloop-%d", int(rate))] = f.curves("openloop", rate,
			fmt.Sprintf("Delay at %s messages a second, by percentile", plot.Number(rate)))
	}
	for name, s := range p {
		if s == "" {
			delete(p, name)
		}
	}
	return p
}

// ours says whether the kind is this module's.
func ours(impl string) bool {
	return impl == "ring" || len(impl) >= 7 && (impl[:7] == "mpqueue" || impl[:7] == "futexlo")
}

// sizes draws bytes a second over the size of the messages.
func (f *File) sizes() string {
	rows := append(f.rows("base"), f.rows("size")...)
	if len(f.rows("size")) == 0 {
		return ""
	}
	return lines(rows, plot.Lines{
		Title: "Bytes a second, by the size of the messages", XLabel: "bytes of a message", YLabel: "bytes a second", XLog: true, YLog: true,
		XTicks: []plot.Tick{{At: 8, Label: "8"}, {At: 64, Label: "64"}, {At: 1 << 10, Label: "1 Ki"}, {At: 64 << 10, Label: "64 Ki"}, {At: 1 << 20, Label: "1 Mi"}},
	}, func(r matrix.Row) (x, y, low, high float64, ok bool) {
		x, ok = bytesOf(r.Size)
		return x, value(r.BytesPerS), 0, 0, ok && r.BytesPerS != nil
	})
}

func (f *File) growth(name, title, x string) string {
	rows := f.rows(name)
	if len(rows) == 0 {
		return ""
	}
	return lines(rows, plot.Lines{Title: title, XLabel: x, YLabel: "a second", XLog: name != "grow-procs", YLog: true},
		func(r matrix.Row) (x, y, low, high float64, ok bool) {
			if r.X == nil || r.NSPerMsg == nil {
				return 0, 0, 0, 0, false
			}
			return *r.X, 1e9 / *r.NSPerMsg, 1e9 / value(r.Max), 1e9 / value(r.Min), true
		})
}

// lines draws one line for each kind.
func lines(rows []matrix.Row, p plot.Lines, point func(matrix.Row) (x, y, low, high float64, ok bool)) string {
	for _, r := range rows {
		x, y, low, high, ok := point(r)
		if !ok {
			continue
		}
		i := slices.IndexFunc(p.Series, func(s plot.Series) bool { return s.Name == r.Impl })
		if i < 0 {
			i = len(p.Series)
			p.Series = append(p.Series, plot.Series{Name: r.Impl})
		}
		p.Series[i].Points = append(p.Series[i].Points, plot.Point{X: x, Y: y, Low: low, High: high})
	}
	return p.SVG(true)
}

// curves draws latency over the percentile, with room for the rare ones: the
// axis is 1/(1-p).
func (f *File) curves(name string, rate float64, title string) string {
	p := plot.Lines{Title: title, XLabel: "percentile", YLabel: "ns", XLog: true, YLog: true, XTicks: []plot.Tick{
		{At: 2, Label: "50"}, {At: 10, Label: "90"}, {At: 100, Label: "99"}, {At: 1000, Label: "99.9"}, {At: 1e4, Label: "99.99"}, {At: 1e5, Label: "99.999"},
	}}
	for _, r := range f.rows(name) {
		if len(r.Curve) == 0 || value(r.Rate) != rate {
			continue
		}
		s := plot.Series{Name: r.Impl}
		if r.Mode == "spin" {
			s.Name += ", spinning"
		}
		for _, q := range r.Curve {
			if q.Percent < 99.9995 {
				s.Points = append(s.Points, plot.Point{X: 100 / (100 - q.Percent), Y: q.NS})
			}
		}
		p.Series = append(p.Series, s)
	}
	if len(p.Series) == 0 {
		return ""
	}
	return p.SVG(true)
}
