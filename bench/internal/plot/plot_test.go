package plot_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"

	"shmkit/bench/internal/plot"
)

// wellFormed fails unless s is one XML document, and returns its texts.
func wellFormed(t *testing.T, s string) string {
	t.Helper()
	var texts strings.Builder
	d := xml.NewDecoder(strings.NewReader(s))
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			return texts.String()
		}
		if err != nil {
			t.Fatalf("%v in %s", err, s)
		}
		if c, ok := tok.(xml.CharData); ok {
			texts.Write(c)
			texts.WriteByte('\n')
		}
	}
}

func TestBars(t *testing.T) {
	b := plot.Bars{Title: "Speed <of> light & more", Unit: "messages/s", Bars: []plot.Bar{
		{Label: "mpqueue", Value: 1.234e6, Low: 1.1e6, High: 1.5e6, Main: true},
		{Label: `"quoted"`, Value: 5},
		{Label: "hung", Note: "hang after 5 s"},
		{Label: "odd", Value: math.Inf(1), Note: ""},
	}}
	for _, standalone := range []bool{true, false} {
		s := b.SVG(standalone)
		texts := wellFormed(t, s)
		for _, want := range []string{"1.23 M messages/s", "hang after 5 s", "1.1 M to 1.5 M", "Speed <of> light & more"} {
			if !strings.Contains(texts, want) {
				t.Errorf("no %q in %s", want, texts)
			}
		}
		if strings.Contains(s, "NaN") || strings.Contains(s, "Inf") {
			t.Errorf("a number that is none: %s", s)
		}
		if strings.Contains(strings.ReplaceAll(s, "http://www.w3.org/2000/svg", ""), "http") {
			t.Errorf("the drawing needs a network: %s", s)
		}
	}
}

func TestLines(t *testing.T) {
	for _, l := range []plot.Lines{
		{Title: "empty"},
		{Title: "one point", Series: []plot.Series{{Name: "a", Points: []plot.Point{{X: 1, Y: 1}}}}},
		{Title: "zero", YLog: true, XLog: true, Series: []plot.Series{{Name: "a", Points: []plot.Point{{X: 0, Y: 0}, {X: 10, Y: 100}, {X: 1, Y: 3}}}}},
		{Title: "odd", Series: []plot.Series{{Name: "a", Points: []plot.Point{{X: math.NaN(), Y: 3}, {X: 2, Y: math.Inf(-1)}, {X: 5, Y: 7, Low: 6, High: 9}}}}},
		{Title: "ticks", XTicks: []plot.Tick{{At: 8, Label: "8 B"}}, XLog: true, Series: []plot.Series{{Name: "b", Points: []plot.Point{{X: 8, Y: 1}, {X: 64, Y: 2}}}}},
	} {
		s := l.SVG(true)
		wellFormed(t, s)
		if strings.Contains(s, "NaN") || strings.Contains(s, "Inf") {
			t.Errorf("%s: a number that is none: %s", l.Title, s)
		}
	}
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 1: "1", 1.5: "1.5", 12.34: "12.3", 999.4: "999", 1000: "1 k", 999600: "1 M",
		1234567: "1.23 M", 2.5e9: "2.5 G", 0.05: "0.05", 0.0001: "1.0e-04", -4200: "-4.2 k",
	} {
		if got := plot.Number(v); got != want {
			t.Errorf("Number(%g) = %q, want %q", v, got, want)
		}
	}
}

// TestInside holds that nothing is drawn outside of the paper.
func TestInside(t *testing.T) {
	many := plot.Lines{Title: "many", XLog: true, YLog: true}
	for s := range 12 {
		series := plot.Series{Name: "series"}
		for i := range 20 {
			series.Points = append(series.Points, plot.Point{X: math.Pow(2, float64(i)), Y: math.Pow(3, float64(i-s)), Low: math.Pow(3, float64(i-s)) / 2, High: math.Pow(3, float64(i-s)) * 1.5})
		}
		many.Series = append(many.Series, series)
	}
	bars := plot.Bars{Title: "bars", Bars: []plot.Bar{{Label: "a long label of a bar", Value: 1, Low: 0.5, High: 9}, {Label: "b", Value: 8}}}
	for _, s := range []string{many.SVG(true), bars.SVG(true)} {
		var width, height float64
		d := xml.NewDecoder(strings.NewReader(s))
		for {
			tok, err := d.Token()
			if err != nil {
				break
			}
			e, ok := tok.(xml.StartElement)
			if !ok {
				continue
			}
			for _, a := range e.Attr {
				var v float64
				if _, err := fmt.Sscan(a.Value, &v); err != nil {
					continue
				}
				switch a.Name.Local {
				case "viewBox":
					fmt.Sscanf(a.Value, "0 0 %g %g", &width, &height)
				case "x", "x1", "x2", "cx":
					if v < -0.1 || v > width+0.1 {
						t.Errorf("%s %s=%s outside of %g", e.Name.Local, a.Name.Local, a.Value, width)
					}
				case "y", "y1", "y2", "cy":
					if v < -0.1 || v > height+0.1 {
						t.Errorf("%s %s=%s outside of %g", e.Name.Local, a.Name.Local, a.Value, height)
					}
				}
			}
		}
		if width == 0 {
			t.Error("no paper")
		}
	}
}
