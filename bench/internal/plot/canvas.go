package plot

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// A canvas collects the elements of one SVG.
type canvas struct {
	b             strings.Builder
	width, height float64
}

// begin writes the opening tag. The drawing shrinks with its page, never
// grows beyond its own width.
func (c *canvas) begin(title string, standalone bool) {
	fmt.Fprintf(&c.b, `<svg xmlns="http://www.w3.org/2000/svg" class="plot" role="img" aria-label="%s" viewBox="0 0 %g %g" width="%g" style="max-width:100%%;height:auto">`,
		html.EscapeString(title), c.width, c.height, c.width)
	if standalone {
		fmt.Fprintf(&c.b, "<style>%s</style>", Style)
		fmt.Fprintf(&c.b, `<rect class="paper" width="%g" height="%g"/>`, c.width, c.height)
	}
	c.text(0, 18, "title", "start", title)
}

func (c *canvas) end() string {
	c.b.WriteString("</svg>\n")
	return c.b.String()
}

func (c *canvas) text(x, y float64, class, anchor, s string) {
	fmt.Fprintf(&c.b, `<text x="%.1f" y="%.1f" class="%s" text-anchor="%s">%s</text>`, x, y, class, anchor, html.EscapeString(s))
}

func (c *canvas) line(class string, x1, y1, x2, y2 float64) {
	fmt.Fprintf(&c.b, `<line class="%s" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`, class, x1, y1, x2, y2)
}

// tip opens a group whose text the browser shows under the mouse.
func (c *canvas) tip(s string) { fmt.Fprintf(&c.b, "<g><title>%s</title>", html.EscapeString(s)) }

func (c *canvas) untip() { c.b.WriteString("</g>") }

// finite says whether v can be drawn.
func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// Number writes v short: 3 digits and a unit prefix, as in "1.25 M".
func Number(v float64) string {
	a := math.Abs(v)
	for _, p := range []struct {
		from   float64
		suffix string
	}{{1e12, " T"}, {1e9, " G"}, {1e6, " M"}, {1e3, " k"}} {
		if a >= p.from*0.9995 {
			return digits(v/p.from) + p.suffix
		}
	}
	return digits(v)
}

// digits writes v with three significant digits.
func digits(v float64) string {
	switch a := math.Abs(v); {
	case a == 0:
		return "0"
	case a >= 100:
		return fmt.Sprintf("%.0f", v)
	case a >= 10:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0")
	case a >= 0.01:
		return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.2f", v), "0"), ".")
	default:
		return fmt.Sprintf("%.1e", v)
	}
}
