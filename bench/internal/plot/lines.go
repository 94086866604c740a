package plot

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Lines is a chart of one or more lines over common axes.
type Lines struct {
	Title          string
	XLabel, YLabel string
	XLog, YLog     bool
	XTicks         []Tick // nil: chosen
	Series         []Series
}

// A Tick is a mark of an axis.
type Tick struct {
	At    float64
	Label string
}

// A Series is one line. Its points are drawn in the order of their X.
type Series struct {
	Name   string
	Points []Point
}

// A Point is one value and, if Low or High is not 0, the range of its repeats.
type Point struct {
	X, Y, Low, High float64
}

// SVG draws the chart. A standalone drawing brings its style sheet with it.
func (p Lines) SVG(standalone bool) string {
	const width, height, left, right, top, bottom = 720.0, 380.0, 70.0, 170.0, 40.0, 44.0
	c := &canvas{width: width, height: max(height, top+20*float64(len(p.Series))+20)}
	c.begin(p.Title, standalone)
	x, y := axis{log: p.XLog}, axis{log: p.YLog, nice: true}
	for i := range p.Series {
		s := slices.Clone(p.Series[i].Points)
		s = slices.DeleteFunc(s, func(q Point) bool { return !x.fits(q.X) || !y.fits(q.Y) })
		slices.SortStableFunc(s, func(a, b Point) int { return cmp.Compare(a.X, b.X) })
		for _, q := range s {
			x.include(q.X)
			y.include(q.Y)
		}
		p.Series = slices.Clone(p.Series)
		p.Series[i].Points = s
	}
	x.place(left, width-right)
	y.place(height-bottom, top)
	ticks := p.XTicks
	if ticks == nil {
		ticks = x.ticks()
	}
	for _, t := range ticks {
		if at := x.at(t.At); at >= left-1 && at <= width-right+1 {
			c.line("grid", at, top, at, height-bottom)
			c.text(at, height-bottom+17, "soft", "middle", t.Label)
		}
	}
	for _, t := range y.ticks() {
		at := y.at(t.At)
		c.line("grid", left, at, width-right, at)
		c.text(left-8, at+4, "soft", "end", t.Label)
	}
	c.text((left+width-right)/2, height-8, "soft", "middle", p.XLabel)
	c.text(left, top-6, "soft", "start", p.YLabel)
	for i, s := range p.Series {
		p.draw(c, s, i%series, x, y)
		at := top + 20*float64(i)
		c.line(fmt.Sprintf("s%d", i%series), width-right+14, at+4, width-right+34, at+4)
		c.text(width-right+40, at+8, "", "start", s.Name)
	}
	return c.end()
}

// draw draws one line, a dot for each point, and the range of each.
func (p Lines) draw(c *canvas, s Series, colour int, x, y axis) {
	var d strings.Builder
	for n, q := range s.Points {
		cmd := "L"
		if n == 0 {
			cmd = "M"
		}
		fmt.Fprintf(&d, "%s%.1f %.1f", cmd, x.at(q.X), y.at(q.Y))
	}
	fmt.Fprintf(&c.b, `<path class="s%d" d="%s"/>`, colour, d.String())
	if len(s.Points) > 40 { // A curve, not measurements.
		return
	}
	for _, q := range s.Points {
		c.tip(fmt.Sprintf("%s: %s at %s", s.Name, Number(q.Y), Number(q.X)))
		if q.Low != q.High && y.fits(q.Low) && y.fits(q.High) {
			c.line(fmt.Sprintf("s%d", colour), x.at(q.X), y.at(q.Low), x.at(q.X), y.at(q.High))
		}
		fmt.Fprintf(&c.b, `<circle class="f%d" cx="%.1f" cy="%.1f" r="3.5"/>`, colour, x.at(q.X), y.at(q.Y))
		c.untip()
	}
}
