package results

import (
	"fmt"
	"slices"

	"shmkit/bench/internal/matrix"
	"shmkit/bench/internal/plot"
)

// Tables makes every table that the rows allow, by name, in Markdown.
func (f *File) Tables() map[string]string {
	t := map[string]string{
		"machine": f.machine(),
		"base":    f.baseTable(),
		"size":    f.pivot("size", nsCell, func(r matrix.Row) string { return sizeName(r.Size) }),
		"procs":   f.pivot("procs", nsCell, func(r matrix.Row) string { return r.Procs }),
		"batch":   f.pivot("batch", nsCell, func(r matrix.Row) string { return fmt.Sprintf("%d a call", r.Batch) }),
		"mode":    f.pivot("mode", nsCell, func(r matrix.Row) string { return r.Mode }),
		"capacity": f.pivot("capacity", nsCell, func(r matrix.Row) string {
			return fmt.Sprintf("%d messages", r.Capacity)
		}),
		"zerocopy": f.pivot("zerocopy", nsCell, func(r matrix.Row) string { return sizeName(r.Size) }),
		"pingpong": f.latency("pingpong", 0),
		"lock":     f.pivot("lock", nsCell, func(r matrix.Row) string { return r.Procs + " at once" }),
		"process":  f.process(),
		"limit":    f.limit(),
		"crash":    f.crash(),
	}
	for _, rate := range f.rates() {
		t[fmt.Sprintf("openloop-%d", int(rate))] = f.latency("openloop", rate)
	}
	for _, name := range []string{"grow-procs", "grow-capacity", "grow-queues", "grow-waiters", "grow-locks"} {
		t[name] = f.pivot(name, nsCell, func(r matrix.Row) string { return plot.Number(value(r.X)) })
	}
	for name, text := range t {
		if text == "" {
			delete(t, name)
		}
	}
	return t
}

// pivot makes a table with a line for each kind and a column for each value of
// the axis. Axes around the base point begin with that point.
func (f *File) pivot(name string, cell func(matrix.Row) string, column func(matrix.Row) string) string {
	rows := f.rows(name)
	if len(rows) == 0 {
		return ""
	}
	around := slices.Contains([]string{"size", "procs", "batch", "mode", "capacity"}, name)
	var impls, columns []string
	cells := map[[2]string]string{}
	add := func(r matrix.Row) {
		c := column(r)
		if !slices.Contains(impls, r.Impl) {
			impls = append(impls, r.Impl)
		}
		if !slices.Contains(columns, c) {
			columns = append(columns, c)
		}
		cells[[2]string{r.Impl, c}] = cell(r)
	}
	if around {
		for _, r := range f.rows("base") {
			if name == "mode" && r.Mode != "hybrid" {
				continue // It has one way to wait, no axis of them.
			}
			add(r)
		}
	}
	for _, r := range rows {
		if name == "mode" && r.Skipped != "" {
			continue
		}
		add(r)
	}
	if name == "size" {
		slices.SortStableFunc(columns, func(a, b string) int { return sizeRank(a) - sizeRank(b) })
	}
	// A kind that has nothing of this axis but the base point is left out.
	least := 1
	if around {
		least = 2
	}
	impls = slices.DeleteFunc(impls, func(impl string) bool {
		full := 0
		for _, c := range columns {
			if s := cells[[2]string{impl, c}]; s != "" && s != "–" {
				full++
			}
		}
		return full < least
	})
	lines := [][]string{append([]string{""}, columns...)}
	for _, impl := range impls {
		line := []string{"`" + impl + "`"}
		for _, c := range columns {
			line = append(line, cells[[2]string{impl, c}])
		}
		lines = append(lines, line)
	}
	return markdown(lines)
}

// baseTable is the base point in full, with the ratio to the queue that is
// built as Python builds its own.
func (f *File) baseTable() string {
	lines := [][]string{{"", "messages/s", "times pipequeue", "ns a message", "fastest–slowest", "CPU ns", "system calls"}}
	python := 0.0
	for _, r := range f.rows("base") {
		if r.Impl == "pipequeue" {
			python = value(r.NSPerMsg)
		}
	}
	for _, r := range f.rows("base") {
		if r.NSPerMsg == nil {
			continue
		}
		ratio := "–"
		if python > 0 {
			ratio = plot.Number(python / *r.NSPerMsg)
		}
		lines = append(lines, []string{"`" + r.Impl + "`", plot.Number(1e9 / *r.NSPerMsg), ratio, digits(r.NSPerMsg),
			digits(r.Min) + "–" + digits(r.Max), digits(r.CPUPerMsg), callsCell(r)})
	}
	return markdown(lines)
}

func (f *File) latency(name string, rate float64) string {
	lines := [][]string{{"µs", "p50", "p90", "p99", "p99.9", "worst", ""}}
	for _, r := range f.rows(name) {
		if r.P50 == nil || value(r.Rate) != rate {
			continue
		}
		impl := "`" + r.Impl + "`"
		if r.Mode == "spin" {
			impl += ", spinning"
		}
		note := ""
		if r.Reached != nil && r.Note != "" {
			note = fmt.Sprintf("%s: %s/s", r.Note, plot.Number(*r.Reached))
		}
		lines = append(lines, []string{impl, spread(r.P50, r.P50Min, r.P50Max), micro(r.P90), spread(r.P99, r.P99Min, r.P99Max), micro(r.P999), micro(r.Worst), note})
	}
	return markdown(lines)
}

// process says what each way starts: they do not do the same.
func (f *File) process() string {
	lines := [][]string{{"", "start to end", "fastest–p99", "what is started"}}
	for _, r := range f.rows("process") {
		if r.NSPerMsg != nil {
			lines = append(lines, []string{"`" + r.Impl + "`", msCell(r), fmt.Sprintf("%.2f–%.2f", value(r.Min)/1e6, value(r.P99)/1e6), r.Note})
		}
	}
	return markdown(lines)
}

func (f *File) rates() (rates []float64) {
	for _, r := range f.rows("openloop") {
		if r.Rate != nil && !slices.Contains(rates, *r.Rate) {
			rates = append(rates, *r.Rate)
		}
	}
	return rates
}

func (f *File) limit() string {
	lines := [][]string{{"", "bytes", "ns"}}
	for _, r := range f.rows("limit") {
		if r.NSPerMsg != nil {
			lines = append(lines, []string{"`" + r.Impl + "`", sizeName(r.Size), digits(r.NSPerMsg)})
		}
	}
	return markdown(lines)
}

// crash puts the three scenes side by side.
func (f *File) crash() string {
	cell := func(r matrix.Row) string {
		if r.Skipped != "" {
			return "–"
		}
		text := "**" + r.Outcome + "**"
		if r.DeliveredOK {
			text = fmt.Sprintf("recovers: %.1f ms (worst of %d: %.1f)", value(r.P50)/1e6, r.Repeats, value(r.Worst)/1e6)
		}
		if r.Note != "" {
			text += "; " + r.Note
		}
		return text
	}
	lines := [][]string{{"killed with -9", "producer, in the middle of sending", "consumer, with a message in its hands"}}
	consumers := map[string]matrix.Row{}
	for _, r := range f.rows("crash-consumer") {
		consumers[r.Impl] = r
	}
	for _, r := range f.rows("crash-producer") {
		if c := consumers[r.Impl]; r.Skipped == "" || c.Skipped == "" && c.Impl != "" {
			lines = append(lines, []string{"`" + r.Impl + "`", cell(r), cell(c)})
		}
	}
	text := markdown(lines)
	lines = [][]string{{"killed with -9", "holder of the lock, another process waiting"}}
	for _, r := range f.rows("crash-holder") {
		lines = append(lines, []string{"`" + r.Impl + "`", cell(r)})
	}
	for _, r := range f.rows("limit") {
		if r.Impl == "c-robust-mutex-recovery" && r.NSPerMsg != nil {
			lines = append(lines, []string{"`pthread robust mutex (C)`", fmt.Sprintf("recovers: %.1f ms", *r.NSPerMsg/1e6)})
		}
	}
	if more := markdown(lines); more != "" {
		text += "\n" + more
	}
	return text
}

func (f *File) machine() string {
	s := fmt.Sprintf("%s. %s, GOMAXPROCS=%d, processes not pinned.", f.Machine, f.Machine.Date[:min(10, len(f.Machine.Date))], f.Machine.MaxProcs)
	if f.Args != "" {
		s += fmt.Sprintf(" Made by `go run ./bench %s`.", f.Args)
	}
	if f.Quick {
		s += " A quick run: few and short repeats."
	}
	if f.RepeatSeconds > 0 {
		s += fmt.Sprintf(" One repeat took about %g ms.", f.RepeatSeconds*1000)
	}
	if n := len(f.Failed); n > 0 {
		s += fmt.Sprintf(" **%d cases failed**, the first is %s.", n, f.Failed[0])
	}
	if n := len(f.Missing); n > 0 {
		s += fmt.Sprintf(" For want of time %d cases are missing, from `%s` on.", n, f.Missing[0])
	}
	if n := f.Noise(); n != "" {
		s += " Mind that " + n + "."
	}
	return s + "\n"
}
