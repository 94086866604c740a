package results

import (
	"fmt"
	"strings"

	"shmkit/bench/internal/matrix"
	"shmkit/bench/internal/plot"
)

// nsCell is the time of a message; a dash for what cannot be.
func nsCell(r matrix.Row) string {
	if r.NSPerMsg == nil {
		return "–"
	}
	return digits(r.NSPerMsg) + " ns"
}

func msCell(r matrix.Row) string {
	if r.NSPerMsg == nil {
		return "–"
	}
	return fmt.Sprintf("%.2f ms", *r.NSPerMsg/1e6)
}

func value(v *float64) float64 {
	if v == nil {
		return 0
	}
	return *v
}

// digits writes whole numbers in full, with commas, and small ones with a
// digit behind the point.
func digits(v *float64) string {
	switch {
	case v == nil:
		return "–"
	case *v < 10:
		return fmt.Sprintf("%.1f", *v)
	}
	s := fmt.Sprintf("%.0f", *v)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func micro(v *float64) string {
	if v == nil {
		return "–"
	}
	us := *v / 1000
	if us < 100 {
		return fmt.Sprintf("%.1f", us)
	}
	return digits(&us)
}

// spread is a time and how far the repeats of its measurement lay apart.
func spread(v, least, most *float64) string {
	if least == nil || most == nil {
		return micro(v)
	}
	return fmt.Sprintf("%s (%s–%s)", micro(v), micro(least), micro(most))
}

// callsCell is the number of system calls, or the least that it can be.
func callsCell(r matrix.Row) string {
	if r.SyscallsBy == "io" {
		return "≥ " + short(r.SyscallsPerMsg)
	}
	return short(r.SyscallsPerMsg)
}

func short(v *float64) string {
	if v == nil {
		return "–"
	}
	return plot.Number(*v)
}

// sizeName writes a size as people do.
func sizeName(size any) string {
	n, ok := bytesOf(size)
	switch {
	case !ok:
		return fmt.Sprint(size)
	case n >= 1<<20:
		return fmt.Sprintf("%g MiB", n/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%g KiB", n/(1<<10))
	default:
		return fmt.Sprintf("%g B", n)
	}
}

// bytesOf is the number of a size that is one; JSON makes a float of it.
func bytesOf(size any) (float64, bool) {
	switch n := size.(type) {
	case float64:
		return n, true
	case int:
		return float64(n), true
	}
	return 0, false
}

// sizeRank orders what sizeName writes; words come last.
func sizeRank(name string) int {
	var n float64
	var unit string
	if c, _ := fmt.Sscanf(name, "%g %s", &n, &unit); c < 2 {
		return 1 << 30
	}
	return int(n * map[string]float64{"B": 1, "KiB": 1 << 10, "MiB": 1 << 20}[unit])
}

// markdown writes lines as a table; "" if there is only a heading. The first
// column is left-aligned, the others right.
func markdown(lines [][]string) string {
	if len(lines) < 2 {
		return ""
	}
	var b strings.Builder
	for i, line := range lines {
		for _, cell := range line {
			b.WriteString("| " + cell + " ")
		}
		b.WriteString("|\n")
		if i == 0 {
			b.WriteString("|---" + strings.Repeat("|---:", len(line)-1) + "|\n")
		}
	}
	return b.String()
}
