package results_test

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"shmkit/bench/internal/machine"
	"shmkit/bench/internal/matrix"
	"shmkit/bench/internal/results"
)

func some(v float64) *float64 { return &v }

func sample() *results.File {
	row := func(name, impl string, size any, ns float64) matrix.Row {
		return matrix.Row{Case: name, Impl: impl, Size: size, Procs: "1x1", Batch: 1, Mode: "hybrid", Capacity: 1024,
			NSPerMsg: some(ns), Min: some(ns * 0.9), Max: some(ns * 1.1), BytesPerS: some(64e9 / ns), Repeats: 5, DeliveredOK: true}
	}
	latency := row("pingpong", "mpqueue", 64.0, 0)
	latency.BytesPerS = nil
	latency.NSPerMsg, latency.P50, latency.P99 = nil, some(1500), some(25_000)
	latency.Curve = []matrix.Quantile{{Percent: 50, NS: 1500}, {Percent: 99, NS: 25_000}, {Percent: 99.9, NS: 1e6}}
	crash := row("crash-producer", "pipequeue", 64.0, 0)
	crash.BytesPerS = nil
	crash.NSPerMsg, crash.DeliveredOK, crash.Outcome = nil, false, "hang"
	skipped := matrix.Row{Case: "size", Impl: "posixmq", Size: 65536.0, Procs: "1x1", Batch: 1, Skipped: "too long"}
	grown := row("grow-queues", "mpqueue", 64.0, 500)
	grown.X = some(16)
	return &results.File{
		Args:    "matrix -time 150ms",
		Machine: machine.Info{CPU: "a CPU", CPUs: 8, OS: "linux", Arch: "amd64", Go: "go1.26", Date: "2026-01-02T03:04:05Z"},
		Rows: []matrix.Row{row("base", "mpqueue", 64.0, 123), row("base", "posixmq", 64.0, 4567),
			row("size", "mpqueue", 65536.0, 9999), row("size", "mpqueue", "mixed", 777), skipped, latency, crash, grown},
	}
}

func TestFile(t *testing.T) {
	f := sample()
	dir := t.TempDir()
	if _, err := results.Latest(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an empty folder: %v", err)
	}
	path, err := f.Save(dir)
	if err != nil {
		t.Fatal(err)
	}
	latest, err := results.Latest(dir)
	if err != nil || latest != path {
		t.Errorf("the latest is %s, %v; want %s", latest, err, path)
	}
	again, err := results.Load(path)
	if err != nil || !reflect.DeepEqual(f, again) {
		t.Errorf("read back: %v\n%+v\n%+v", err, f, again)
	}
	b, err := os.ReadFile(path)
	if err != nil || strings.Count(string(b), `"case"`) != strings.Count(string(b), "\n  {") {
		t.Errorf("not one row a line: %s", b)
	}
}

func TestTables(t *testing.T) {
	tables := sample().Tables()
	for name, want := range map[string][]string{
		"base":        {"8.13 M", "`posixmq`", "4,567"},
		"size":        {"| 64 B | 64 KiB | mixed |", "9,999 ns"},
		"pingpong":    {"1.5", "25.0"},
		"crash":       {"**hang**"},
		"grow-queues": {"| 16 |", "500 ns"},
		"machine":     {"a CPU, 8 CPUs", "2026-01-02", "`go run ./bench matrix -time 150ms`"},
	} {
		for _, w := range want {
			if !strings.Contains(tables[name], w) {
				t.Errorf("%s: no %q in\n%s", name, w, tables[name])
			}
		}
	}
	f := sample()
	f.Rows[1].SyscallsPerMsg, f.Rows[1].SyscallsBy = some(3.5), "io"
	if got := f.Tables()["base"]; !strings.Contains(got, "≥ 3.5") {
		t.Errorf("reads and writes pass for all system calls:\n%s", got)
	}
	if _, ok := tables["lock"]; ok {
		t.Error("a table of nothing")
	}
}

func TestPlots(t *testing.T) {
	plots := sample().Plots()
	for _, name := range []string{"base", "size", "pingpong", "grow-queues"} {
		if !strings.HasPrefix(plots[name], "<svg") || strings.Contains(plots[name], "NaN") {
			t.Errorf("%s: %.80s", name, plots[name])
		}
	}
	if _, ok := plots["grow-locks"]; ok {
		t.Error("a plot of nothing")
	}
}

func TestFill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "README.md")
	write := func(s string) {
		if err := os.WriteFile(path, []byte(s), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("# a\n<!-- bench: one -->\nold\n<!-- bench end -->\ntext\n<!-- bench: other -->kept<!-- bench end -->\nend\n")
	for range 2 { // Again changes nothing.
		n, err := results.Fill(path, map[string]string{"one": "new\n"})
		b, _ := os.ReadFile(path)
		want := "# a\n<!-- bench: one -->\nnew\n<!-- bench end -->\ntext\n<!-- bench: other -->kept<!-- bench end -->\nend\n"
		if err != nil || n != 1 || string(b) != want {
			t.Errorf("%d filled, %v:\n%s", n, err, b)
		}
	}
	write("nothing here\n")
	if _, err := results.Fill(path, nil); !errors.Is(err, results.ErrNoMarks) {
		t.Errorf("no marks: %v", err)
	}
	write("<!-- bench: one -->\nno end\n")
	if _, err := results.Fill(path, nil); err == nil {
		t.Error("a mark without end")
	}
}

func TestDrift(t *testing.T) {
	row := func(name string, x *float64, ns float64) matrix.Row {
		return matrix.Row{Case: name, Impl: "pipe", NSPerMsg: &ns, X: x}
	}
	one, two := 1.0, 2.0
	f := results.File{Rows: []matrix.Row{row("base", nil, 100), row("grow-procs", &two, 900), row("grow-procs", &one, 250)}}
	f.Machine.CPUs = 8
	if got := f.Noise(); !strings.Contains(got, "up to 2.5 times") {
		t.Errorf("%q", got)
	}
	f.Rows = f.Rows[:2]
	if got := f.Noise(); got != "" {
		t.Errorf("%q", got)
	}
}
