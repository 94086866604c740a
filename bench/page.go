package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"os"

	"shmkit/bench/internal/plot"
)

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"number":    plot.Number,
	"thousands": thousands,
	"float":     func(n int64) float64 { return float64(n) },
	"int":       func(v float64) int { return int(v) },
	"giga":      func(v float64) string { return fmt.Sprintf("%.2f", v/1e9) },
	"dash":      func(v *float64) string { return orDash("%.2f", v) },
	"megabytes": megabytes,
}).Parse(pageText))

// writePage writes the report as one HTML file that needs nothing else: no
// network, no script, no other file.
func (r *report) writePage(path string) error {
	bars := func(title, unit string, value func(result) (v, low, high float64, ok bool)) template.HTML {
		p := plot.Bars{Title: title, Unit: unit}
		for _, x := range r.Results {
			b := plot.Bar{Label: x.Impl, Main: x.Impl == "mpqueue"}
			var ok bool
			if b.Value, b.Low, b.High, ok = value(x); !ok {
				b.Note = "cannot be measured here"
			}
			if x.Outcome != "complete" {
				b.Note = x.Outcome
			}
			p.Bars = append(p.Bars, b)
		}
		return template.HTML(p.SVG(false))
	}
	plots := []template.HTML{
		bars("Messages per second: more is better", "/s", func(x result) (float64, float64, float64, bool) {
			rate := func(s float64) float64 { return float64(x.Delivered) / s }
			return x.MessagesPerS, rate(x.MaxSeconds), rate(x.MinSeconds), x.Seconds > 0
		}),
		bars("CPU time of all processes: less is better", "s", func(x result) (float64, float64, float64, bool) {
			return x.CPUSeconds, 0, 0, true
		}),
	}
	if !r.Chaos {
		plots = append(plots, bars("System calls of the queue per message: less is better", "", func(x result) (float64, float64, float64, bool) {
			if x.SyscallsPerMessage == nil {
				return 0, 0, 0, false
			}
			return *x.SyscallsPerMessage, 0, 0, true
		}), bars("Peak memory of all processes: less is better", "B", func(x result) (float64, float64, float64, bool) {
			if x.PeakMemory == nil {
				return 0, 0, 0, false
			}
			return float64(*x.PeakMemory), 0, 0, true
		}))
	}
	var b bytes.Buffer
	err := pageTemplate.Execute(&b, struct {
		*report
		Style template.CSS
		Plots []template.HTML
	}{r, template.CSS(plot.Style), plots})
	if err != nil {
		return err
	}
	return os.WriteFile(path, b.Bytes(), 0o644)
}
