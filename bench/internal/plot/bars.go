package plot

import (
	"fmt"
	"unicode/utf8"
)

// Bars is a chart of horizontal bars, the longest text first made room for.
type Bars struct {
	Title string
	Unit  string // written behind each value
	Bars  []Bar
}

// A Bar is one value and, if Low or High is not 0, the range in which its
// repeats lay.
type Bar struct {
	Label     string
	Value     float64
	Low, High float64
	Main      bool   // drawn in the first colour, the others in grey
	Note      string // written instead of the value, for what has none
}

// SVG draws the chart. A standalone drawing brings its style sheet with it.
func (p Bars) SVG(standalone bool) string {
	const width, row, top, right = 720.0, 30.0, 34.0, 130.0
	longest, left := 0.0, 60.0
	for _, b := range p.Bars {
		for _, v := range []float64{b.Value, b.High} {
			if finite(v) {
				longest = max(longest, v)
			}
		}
		left = max(left, 7.2*float64(utf8.RuneCountInString(b.Label))+14)
	}
	if longest == 0 {
		longest = 1
	}
	scale := (width - left - right) / longest
	c := &canvas{width: width, height: top + row*float64(len(p.Bars)) + 6}
	c.begin(p.Title, standalone)
	for i, b := range p.Bars {
		y := top + row*float64(i)
		c.text(left-8, y+row/2+4, "", "end", b.Label)
		if b.Note != "" || !finite(b.Value) {
			c.text(left+4, y+row/2+4, "soft", "start", b.Note)
			continue
		}
		class, end := "f9", b.Value
		if b.Main {
			class = "f0"
		}
		value := Number(b.Value) + " " + p.Unit
		tip := b.Label + ": " + value
		ranged := finite(b.Low) && finite(b.High) && (b.Low != 0 || b.High != 0) && b.Low != b.High
		if ranged {
			tip += fmt.Sprintf(" (%s to %s)", Number(b.Low), Number(b.High))
		}
		c.tip(tip)
		fmt.Fprintf(&c.b, `<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="2"/>`, class, left, y+5, max(1, b.Value*scale), row-10)
		if ranged {
			c.line("range", left+b.Low*scale, y+row/2, left+b.High*scale, y+row/2)
			end = max(end, b.High)
		}
		c.untip()
		c.text(left+end*scale+6, y+row/2+4, "soft", "start", value)
	}
	return c.end()
}
