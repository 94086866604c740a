package matrix

import (
	"fmt"
	"strings"

	"shmkit/bench/internal/plot"
)

// Line writes a row for people.
func Line(r Row) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-10s %-12s %6vB %-4s", r.Case, r.Impl, r.Size, r.Procs)
	if r.Batch > 1 {
		fmt.Fprintf(&b, " batch %d", r.Batch)
	}
	if r.Skipped != "" {
		fmt.Fprintf(&b, "  -  %s", r.Skipped)
		return b.String()
	}
	if r.NSPerMsg != nil {
		fmt.Fprintf(&b, " %9.0f ns", *r.NSPerMsg)
	}
	if r.Min != nil && r.Max != nil {
		fmt.Fprintf(&b, " (%.0f–%.0f)", *r.Min, *r.Max)
	}
	if r.NSPerMsg != nil && *r.NSPerMsg > 0 {
		fmt.Fprintf(&b, " %s/s", plot.Number(1e9 / *r.NSPerMsg))
	}
	if r.BytesPerS != nil {
		fmt.Fprintf(&b, " %sB/s", plot.Number(*r.BytesPerS))
	}
	for _, v := range []struct {
		name  string
		value *float64
	}{{"cpu ns", r.CPUPerMsg}, {"syscalls", r.SyscallsPerMsg}, {"p50 ns", r.P50}, {"p99 ns", r.P99}, {"max ns", r.Worst}} {
		if v.value != nil {
			fmt.Fprintf(&b, "  %s %s", v.name, plot.Number(*v.value))
		}
	}
	for _, s := range []string{r.Mode, r.Outcome, r.Note} {
		if s != "" {
			b.WriteString("  " + s)
		}
	}
	return b.String()
}
