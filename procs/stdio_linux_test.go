package procs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"shmkit/procs"
)

var upper = procs.Register("upper", func(context.Context, struct{}) error {
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(os.Stdout, strings.ToUpper(string(text)))
	fmt.Fprintf(os.Stderr, "%d bytes", len(text))
	return err
})

func TestStandardFiles(t *testing.T) {
	var out, err bytes.Buffer
	p := start(t, upper.Process(struct{}{}, procs.Stdin(strings.NewReader("hello")), procs.Stdout(&out), procs.Stderr(&err)))
	if err := p.Join(t.Context()); err != nil {
		t.Fatal(err)
	}
	if out.String() != "HELLO" || err.String() != "5 bytes" {
		t.Errorf("out %q, err %q", out.String(), err.String())
	}

	// One writer for both, which is not safe for two goroutines.
	var both bytes.Buffer
	p = start(t, upper.Process(struct{}{}, procs.Stdin(strings.NewReader("hello")), procs.Stdout(&both), procs.Stderr(&both)))
	p.Join(t.Context())
	if both.String() != "HELLO5 bytes" {
		t.Errorf("both %q", both.String())
	}

	// Files are given to the child itself.
	dir := t.TempDir()
	in, _ := os.Create(dir + "/in")
	in.WriteString("file")
	in.Seek(0, io.SeekStart)
	outFile, e := os.Create(dir + "/out")
	if e != nil {
		t.Fatal(e)
	}
	defer in.Close()
	defer outFile.Close()
	p = start(t, upper.Process(struct{}{}, procs.Stdin(in), procs.Stdout(outFile), procs.Stderr(&err)))
	p.Join(t.Context())
	if text, _ := os.ReadFile(dir + "/out"); string(text) != "FILE" {
		t.Errorf("the file holds %q", text)
	}
}

// Without Stdin the input is empty, also in a grandchild, and also where the
// parent has a terminal or a pipe.
func TestStdinIsEmpty(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	old := os.Stdin
	os.Stdin = r
	defer func() { os.Stdin = old }()
	for depth := range 3 {
		var out bytes.Buffer
		p := start(t, nest.Process(depth, procs.Stdout(&out)))
		if err := p.Join(t.Context()); err != nil || out.String() != "" {
			t.Errorf("depth %d: %v, %q", depth, err, out.String())
		}
	}
}

var nest = procs.Register("nest", func(ctx context.Context, depth int) error {
	p := upper.Process(struct{}{}, procs.Stderr(io.Discard))
	if depth > 0 {
		p = nested(depth - 1)
	}
	if err := p.Start(); err != nil {
		return err
	}
	return p.Join(ctx)
})

var nested func(int) *procs.Process

func init() { nested = func(d int) *procs.Process { return nest.Process(d) } }

// A reader that has nothing to say and a child that does not listen.
func TestStdinThatBlocks(t *testing.T) {
	r, w := io.Pipe()
	defer w.Close()
	p := start(t, nothing.Process(struct{}{}, procs.Stdin(r)))
	if err := p.Join(t.Context()); err != nil {
		t.Error(err)
	}
}

// A child whose reader still has nothing to say when it has ended keeps no
// descriptor.
func TestStdinIsLetGo(t *testing.T) {
	r, w := io.Pipe()
	defer w.Close()
	run := func() {
		p := nothing.Process(struct{}{}, procs.Stdin(r))
		if err := errors.Join(p.Start(), p.Join(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
	run() // the lifeline is there
	before := takeCensus(t).descriptors
	for range 20 {
		run()
	}
	if after := takeCensus(t).descriptors; after > before {
		t.Errorf("%d descriptors, before %d", after, before)
	}
}

// endless is a reader without end: the child is.
type endless struct{}

func (endless) Read(b []byte) (int, error) { return len(b), nil }

func TestStdinWithoutEnd(t *testing.T) {
	p := start(t, nothing.Process(struct{}{}, procs.Stdin(endless{})))
	if err := p.Join(t.Context()); err != nil {
		t.Error(err)
	}
}

var chatter = procs.Register("chatter", func(ctx context.Context, a chatterArgs) error {
	if a.Grandchild {
		// It inherits the pipe and lives on.
		if err := sleeper.Process(time.Hour, procs.EndWithParent()).Start(); err != nil {
			return err
		}
	}
	for i := range a.Lines {
		fmt.Printf("line %d of %s\n", i, procs.Current().Name())
	}
	fmt.Print("no newline")
	if a.Grandchild {
		os.Exit(0) // without waiting for it
	}
	return nil
})

type chatterArgs struct {
	Lines      int
	Grandchild bool
}

// A living grandchild that holds the pipe delays nobody, and nothing that the
// child wrote is lost.
func TestGrandchildDoesNotDelay(t *testing.T) {
	for range 20 {
		var out bytes.Buffer
		const lines = 3000 // more than a pipe holds
		begin := time.Now()
		p := start(t, chatter.Process(chatterArgs{lines, true}, procs.Stdout(&out)))
		if err := p.Join(t.Context()); err != nil {
			t.Fatal(err)
		}
		// A second is the most that output may hold Join back.
		if took := time.Since(begin); took > 10*time.Second {
			t.Errorf("Join took %v", took)
		}
		if got := strings.Count(out.String(), "\n"); got != lines || !strings.HasSuffix(out.String(), "no newline") {
			t.Errorf("%d lines of %d arrived, the end is %q", got, lines, tail(out.String()))
		}
	}
}

func tail(s string) string { return s[max(0, len(s)-20):] }

// A writer that fails is an error of Join; the child never notices.
type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errPlain }

// A writer that blocks for ever holds Done back for a second at most.
type blockedWriter struct{ c chan struct{} }

func (w blockedWriter) Write(b []byte) (int, error) { <-w.c; return len(b), nil }

func TestBadWriters(t *testing.T) {
	p := start(t, chatter.Process(chatterArgs{Lines: 10000}, procs.Stdout(brokenWriter{})))
	wantError(t, "Join", p.Join(t.Context()), errPlain)
	wantCode(t, p, 0)

	w := blockedWriter{make(chan struct{})}
	defer close(w.c)
	for _, opt := range []procs.Option{procs.Stdout(w), func() procs.Option { return procs.Stdout(blockedWriter(w)) }()} {
		p = start(t, chatter.Process(chatterArgs{Lines: 10}, opt, procs.Prefix()))
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if err := p.Join(ctx); err != nil {
			t.Error(err)
		}
	}
}

// Lines of several processes with prefixes come whole, complete and in order.
func TestPrefix(t *testing.T) {
	var out bytes.Buffer // one for all: the prefix serialises
	const children, lines = 4, 200
	var all []*procs.Process
	for i := range children {
		all = append(all, start(t, chatter.Process(chatterArgs{Lines: lines},
			procs.Name(fmt.Sprint("cook-", i)), procs.Prefix(), procs.Stdout(&out), procs.Stderr(&out))))
	}
	for _, p := range all {
		if err := p.Join(t.Context()); err != nil {
			t.Error(err)
		}
	}
	next := map[string]int{}
	for line := range strings.Lines(out.String()) {
		var n int
		var who, name string
		if strings.HasSuffix(line, "] no newline\n") {
			next[line[1:strings.Index(line, "]")]] += 1000
			continue
		}
		if _, err := fmt.Sscanf(line, "[%s line %d of %s\n", &who, &n, &name); err != nil || who != name+"]" {
			t.Fatalf("line %q: %v", line, err)
		}
		if n != next[name] {
			t.Fatalf("%s: line %d after %d", name, n, next[name])
		}
		next[name]++
	}
	for i := range children {
		if n := next[fmt.Sprint("cook-", i)]; n != lines+1000 {
			t.Errorf("cook-%d: %d lines", i, n)
		}
	}
}

// A process whose own standard files are closed has children all the same.
func TestClosedStandardFiles(t *testing.T) {
	out, err := program(t, "mute").CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func init() {
	programs["mute"] = func(ctx context.Context) error {
		os.Stdin.Close()
		os.Stdout.Close()
		os.Stderr.Close()
		p := upper.Process(struct{}{})
		if err := p.Start(); err != nil {
			return err
		}
		if err := p.Join(ctx); err != nil {
			return err
		}
		// What the child has for them does not break what it writes.
		q := chatter.Process(chatterArgs{Lines: 10})
		return errors.Join(q.Start(), q.Join(ctx))
	}
}
