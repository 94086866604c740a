package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"shmkit/procs/procstest"
)

// asMain in the environment makes this test binary the command itself, so that
// the tests see what a user sees: output, exit code, what is left behind.
const asMain = "SHMKIT_BENCH_AS_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(asMain) != "" {
		main()
		return
	}
	procstest.Main(m)
}

// command is one call of the command in a folder of its own.
type command struct {
	*exec.Cmd
	dir            string // working folder
	names          string // folder of named segments
	stdout, stderr bytes.Buffer
}

func newCommand(t testing.TB, args ...string) *command {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	c := &command{Cmd: exec.CommandContext(ctx, exe, args...), dir: t.TempDir(), names: t.TempDir()}
	c.Cmd.Dir = c.dir
	c.Env = append(os.Environ(), asMain+"=1", "SHMKIT_DIR="+c.names)
	c.Stdout, c.Stderr = &c.stdout, &c.stderr
	return c
}

// clean fails if the command has left a named segment.
func (c *command) clean(t testing.TB) {
	t.Helper()
	left, err := os.ReadDir(c.names)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// folder writes some files, one of them of several chunks, one empty.
func folder(t testing.TB, files int) string {
	t.Helper()
	root := t.TempDir()
	rng := rand.New(rand.NewPCG(5, 6))
	for i := range files {
		size := rng.IntN(5000)
		switch i {
		case 0:
			size = 0
		case 1:
			size = 200 << 10
		}
		b := make([]byte, size)
		for j := range b {
			b[j] = byte(rng.Uint32())
		}
		if err := os.WriteFile(filepath.Join(root, fmt.Sprintf("file%d", i)), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// TestJSON holds the form of the output that programs read.
func TestJSON(t *testing.T) {
	c := newCommand(t, "-json", "-input", folder(t, 60), "-producers", "2", "-consumers", "1")
	if err := c.Run(); err != nil {
		t.Fatalf("%v: %s", err, c.stderr.String())
	}
	if c.stderr.Len() > 0 {
		t.Errorf("standard error is no terminal, but: %s", c.stderr.String())
	}
	var top map[string]any
	d := json.NewDecoder(&c.stdout)
	if err := d.Decode(&top); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		t.Errorf("more than one object: %v", err)
	}
	for _, key := range []string{"files", "bytes", "messages", "machine", "results"} {
		if top[key] == nil {
			t.Errorf("no key %q", key)
		}
	}
	if top["files"] != 60.0 || top["messages"].(float64) < 60 {
		t.Errorf("%v files, %v messages", top["files"], top["messages"])
	}
	var impls []string
	for _, r := range top["results"].([]any) {
		r := r.(map[string]any)
		impls = append(impls, r["impl"].(string))
		for _, key := range []string{"seconds", "messages_per_s", "bytes_per_s", "cpu_seconds"} {
			if v, ok := r[key].(float64); !ok || v <= 0 {
				t.Errorf("%v: %s is %v", r["impl"], key, r[key])
			}
		}
		if r["digests_ok"] != true {
			t.Errorf("%v: digests_ok is %v", r["impl"], r["digests_ok"])
		}
	}
	if want := []string{"pipequeue", "bufpipe", "mpqueue"}; !slices.Equal(impls, want) {
		t.Errorf("impls are %v, want %v", impls, want)
	}
	c.clean(t)
}

// TestTable holds what people see, and the page.
func TestTable(t *testing.T) {
	c := newCommand(t, "-input", folder(t, 40))
	if err := c.Run(); err != nil {
		t.Fatalf("%v: %s", err, c.stderr.String())
	}
	out := c.stdout.String()
	t.Log(out)
	for _, want := range []string{"40 files", "pipequeue", "bufpipe", "mpqueue", "messages/s", "right", "report.html"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q", want)
		}
	}
	page, err := os.ReadFile(filepath.Join(c.dir, "report.html"))
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(page, []byte("<svg ")); n != 4 {
		t.Errorf("%d plots, want 4", n)
	}
	for _, outside := range []string{"src=", "href=", "@import", "url(", "<script"} {
		if bytes.Contains(page, []byte(outside)) {
			t.Errorf("the page needs something else: %s", outside)
		}
	}
	c.clean(t)
}

func TestChaos(t *testing.T) {
	input := folder(t, 300)
	redelivered := uint64(0) // in all: a consumer may be killed between two items
	for seed := range 3 {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			c := newCommand(t, "-chaos", "-seed", fmt.Sprint(seed), "-input", input, "-json")
			if err := c.Run(); err != nil {
				t.Fatalf("%v: %s", err, c.stderr.String())
			}
			var rep report
			if err := json.Unmarshal(c.stdout.Bytes(), &rep); err != nil {
				t.Fatal(err)
			}
			r, _ := rep.find("mpqueue")
			p, k := r.killed()
			if !r.ok() || r.Lost != 0 || p < 2 || k < 2 {
				t.Errorf("%+v", r)
			}
			redelivered += uint64(r.Redelivered)
			if rep.Seed == nil || *rep.Seed != int64(seed) {
				t.Errorf("the seed is not told: %v", rep.Seed)
			}
			for _, r := range rep.Results {
				t.Logf("%s: %s; %d of %d delivered, %d lost, %d redelivered", r.Impl, r.Outcome, r.Delivered, rep.Messages, r.Lost, r.Redelivered)
			}
			c.clean(t)
		})
	}
	if redelivered == 0 {
		t.Error("no killed consumer had an item in its hands")
	}
	c := newCommand(t, "-chaos", "-seed", "7", "-input", input)
	if err := c.Run(); err != nil {
		t.Fatalf("%v: %s", err, c.stderr.String())
	}
	t.Log(c.stdout.String())
	for _, want := range []string{"redelivered", "files unsent", "its successor sent them", "seed 7"} {
		if !strings.Contains(c.stdout.String(), want) {
			t.Errorf("the table does not say %q", want)
		}
	}
}

// TestBadInput wants one clear line for everything that cannot be done.
func TestBadInput(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(dir, "missing")
	dangling := filepath.Join(dir, "dangling")
	if err := os.Symlink(missing, dangling); err != nil {
		t.Fatal(err)
	}
	empty := t.TempDir()
	for _, c := range []struct {
		name string
		args []string
		want string // in the line
	}{
		{"missing folder", []string{"-input", missing}, missing},
		{"dangling link", []string{"-input", dangling}, dangling},
		{"no folder", []string{"-input", file}, "not a folder"},
		{"empty folder", []string{"-input", empty}, "no regular file"},
		{"empty name", []string{"-input", ""}, "-input is empty"},
		{"0 producers", []string{"-producers", "0"}, "-producers 0"},
		{"negative consumers", []string{"-consumers", "-1"}, "-consumers -1"},
		{"too many producers", []string{"-producers", "1000"}, "1 to 64"},
		{"no number", []string{"-producers", "many"}, "many"},
		{"unknown flag", []string{"-nonsense"}, "-nonsense"},
		{"flag without value", []string{"-input"}, "-input"},
		{"stray argument", []string{"nonsense"}, "nonsense"},
		{"seed without chaos", []string{"-seed", "3"}, "-chaos"},
		{"matrix: unknown flag", []string{"matrix", "-nonsense"}, "-nonsense"},
		{"matrix: stray argument", []string{"matrix", "nonsense"}, "nonsense"},
		{"matrix: nothing of that name", []string{"matrix", "-only", "nonsense"}, "nonsense"},
		{"matrix: no place for results", []string{"matrix"}, "-out"},
		{"report: unknown flag", []string{"report", "-nonsense"}, "-nonsense"},
		{"report: no results", []string{"report", "-results", empty}, empty},
		{"report: no folder", []string{"report", "-results", missing}, missing},
		{"report: no results file", []string{"report", "-results", file}, file},
		{"no place for the page", []string{"-input", dir, "-report", filepath.Join(missing, "page.html")}, missing},
	} {
		t.Run(c.name, func(t *testing.T) { badInput(t, newCommand(t, c.args...), c.want) })
	}
}

func badInput(t *testing.T, c *command, want string) {
	t.Helper()
	err := c.Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() <= 0 {
		t.Errorf("%v, want a non-zero exit code", err)
	}
	line := c.stderr.String()
	if strings.Count(line, "\n") != 1 || !strings.Contains(line, want) {
		t.Errorf("standard error is %q, want one line with %q", line, want)
	}
	t.Log(strings.TrimSpace(line))
	c.clean(t)
}

// TestMatrix holds the form of the matrix's rows.
func TestMatrix(t *testing.T) {
	c := newCommand(t, "matrix", "-quick", "-json", "-only", "base/impl=mpqueue,base/impl=bufpipe,size/impl=posixmq,pingpong/impl=mpqueue", "-out", "raw")
	if err := c.Run(); err != nil {
		t.Fatalf("%v: %s", err, c.stderr.String())
	}
	var rows []map[string]any
	if err := json.Unmarshal(c.stdout.Bytes(), &rows); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, r := range rows {
		for _, key := range []string{"case", "impl", "size", "procs", "batch", "mode", "ns_per_msg", "bytes_per_s", "cpu_ns_per_msg",
			"syscalls_per_msg", "p50_ns", "p99_ns", "min", "max", "repeats", "delivered_ok"} {
			if _, ok := r[key]; !ok {
				t.Errorf("%v of %v has no %s", r["case"], r["impl"], key)
			}
		}
		seen[fmt.Sprint(r["case"], " ", r["impl"])] = true
		if r["skipped"] != nil {
			if r["ns_per_msg"] != nil {
				t.Errorf("skipped, and yet measured: %v", r)
			}
		} else if r["delivered_ok"] != true {
			t.Errorf("%v", r)
		}
		if r["case"] == "base" && (r["ns_per_msg"].(float64) <= 0 || r["p50_ns"] != nil) {
			t.Errorf("%v", r)
		}
	}
	for _, want := range []string{"base mpqueue", "base bufpipe", "size posixmq", "pingpong mpqueue"} {
		if !seen[want] {
			t.Errorf("no row of %s", want)
		}
	}
	c.clean(t)

	again := newCommand(t, "report", "-results", filepath.Join(c.dir, "raw"))
	if err := again.Run(); err != nil {
		t.Fatalf("%v: %s", err, again.stderr.String())
	}
	names, _ := filepath.Glob(filepath.Join(c.dir, "raw", "*.json"))
	if len(names) != 1 {
		t.Fatalf("results: %v", names)
	}
	raw, err := os.ReadFile(names[0])
	if err != nil || !bytes.Contains(raw, []byte(`"args": "matrix -json -only base/impl=mpqueue,base/impl=bufpipe,size/impl=posixmq,pingpong/impl=mpqueue -quick"`)) {
		t.Errorf("it does not say how it was made: %v\n%.1000s", err, raw)
	}
	if plots, _ := filepath.Glob(filepath.Join(c.dir, "raw", "plots", "*.svg")); len(plots) < 2 {
		t.Errorf("plots: %v", plots)
	}
}
