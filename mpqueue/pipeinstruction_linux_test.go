package mpqueue_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"shmkit/mpqueue"
	"shmkit/procs/procstest"
)

// pipeStep is what a process is killed in, at its instructions. It shares one end
// of a pipe of 4 KiB, in which the messages of has are, with the test. Wherever it
// is killed, what comes out of the pipe then is one of the outcomes; 0 stands for a
// message that was cut off.
type pipeStep struct {
	name    string
	has     []int
	sends   bool // the process has the sending end
	op      func(ctx context.Context, c *mpqueue.Conn) error
	asleep  func(ctx context.Context, a, b *mpqueue.Conn) ([]int, error) // somebody is in this meanwhile
	help    int                                                          // a message that ends it, if the operation was not to; 0: none
	outcome [][]int
}

var pipeSteps = []pipeStep{
	{name: "Send", sends: true, has: []int{1, 2, 3}, op: sendOf(4, false), outcome: [][]int{{1, 2, 3}, {1, 2, 3, 4}}},
	{name: "Recv", has: []int{1, 2, 3}, op: recvAny, outcome: [][]int{{1, 2, 3}, {2, 3}}},
	{name: "Poll", has: []int{1}, outcome: [][]int{{1}}, op: func(ctx context.Context, c *mpqueue.Conn) error {
		_, err := c.Poll(ctx)
		return err
	}},
	{name: "Close", sends: true, has: []int{1}, outcome: [][]int{{1}}, op: func(_ context.Context, c *mpqueue.Conn) error { return c.Close() }},
	{name: "Send to one who sleeps", sends: true, op: sendOf(4, false), asleep: recvOne, help: 9, outcome: [][]int{{9}, {4, 9}}},
	{name: "Send in parts to one who sleeps", sends: true, op: sendOf(4, true), asleep: recvOne, help: 9, outcome: [][]int{{9}, {0, 9}, {4, 9}}},
	{name: "Recv in parts from one who sleeps", op: recvAny, outcome: [][]int{{}, {5}},
		asleep: func(ctx context.Context, a, _ *mpqueue.Conn) ([]int, error) {
			return nil, a.SendBytes(ctx, numbered(5, true))
		}},
}

func sendOf(n int, large bool) func(ctx context.Context, c *mpqueue.Conn) error {
	return func(ctx context.Context, c *mpqueue.Conn) error { return c.SendBytes(ctx, numbered(n, large)) }
}

func recvAny(ctx context.Context, c *mpqueue.Conn) error {
	_, err := c.RecvBytes(ctx, nil)
	return err
}

// recvOne receives one message, 0 if it was cut off.
func recvOne(ctx context.Context, _, c *mpqueue.Conn) ([]int, error) {
	m, err := c.RecvBytes(ctx, nil)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return []int{0}, nil
	}
	if err != nil {
		return nil, err
	}
	n, err := number(m)
	return []int{n}, err
}

type pipeStepArgs struct {
	Conn  *mpqueue.Conn
	Other *mpqueue.Conn // the other end, so that Close lets go of one end, not of the pipe
	Op    int
}

// stepTest is the test's side.
type stepTest struct {
	a, b  *mpqueue.Conn
	awake chan result // of who was asleep
}

var pipeStepper = procstest.Role("pipe-stepper", func(ctx context.Context, a pipeStepArgs) error {
	s := &pipeSteps[a.Op]
	// Once on a pipe of our own: what is done only the first time, by the
	// runtime too, is ten times the operation.
	x, y, err := mpqueue.Pipe(mpqueue.WithPipeSize(4096))
	if err != nil {
		return err
	}
	for _, n := range s.has {
		x.SendBytes(ctx, numbered(n, false))
	}
	go func() {
		switch {
		case s.sends && s.asleep != nil:
			recvAny(ctx, y)
		case s.asleep != nil:
			x.SendBytes(ctx, numbered(5, true))
		}
	}()
	own := y
	if s.sends {
		own = x
	}
	if err := s.op(ctx, own); err != nil {
		return err
	}
	procstest.Step(func() { s.op(ctx, a.Conn) })
	return nil
})

// TestPipeEveryInstruction kills a process at the instructions of its operations
// on a pipe: every message comes whole or not at all, and the others go on.
func TestPipeEveryInstruction(t *testing.T) {
	steps := pipeSteps
	if testing.Short() {
		steps = steps[:2]
	}
	cuts(t, 20)
	for op := range steps {
		s := &steps[op]
		t.Run(s.name, func(t *testing.T) {
			limit := 2 * time.Minute
			if *everyStep {
				limit = 20 * time.Minute
			}
			procstest.Watchdog(t, limit)
			var longest time.Duration
			var mine *stepTest
			procstest.EachInstruction(t, pipeStepper, func(t testing.TB) pipeStepArgs {
				mine = new(stepTest)
				mine.a, mine.b = newPipe(t, mpqueue.WithPipeSize(4096))
				for _, n := range s.has {
					if err := mine.a.SendBytes(background, numbered(n, false)); err != nil {
						t.Fatal(err)
					}
				}
				arg := pipeStepArgs{Op: op, Conn: mine.b.Keep(), Other: mine.a.Keep()}
				if s.sends {
					arg.Conn, arg.Other = arg.Other, arg.Conn
				}
				if s.asleep != nil {
					mine.awake = make(chan result, 1)
					go func() {
						got, err := s.asleep(background, mine.a, mine.b)
						mine.awake <- result{got, err}
					}()
					procstest.WaitBlocked(t, 0, 1)
				}
				return arg
			}, func(t testing.TB, _ pipeStepArgs) {
				begin := time.Now()
				outlive(t, s, mine)
				longest = max(longest, time.Since(begin))
			})
			t.Logf("the longest recovery took %v", longest)
			if longest > time.Second {
				t.Error("100 ms are allowed")
			}
		})
	}
}

// outlive looks at what a killed process left in a pipe, and uses it.
func outlive(t testing.TB, s *pipeStep, mine *stepTest) {
	ctx, cancel := context.WithTimeout(background, 10*time.Second)
	defer cancel()
	a, b := mine.a, mine.b
	got := []int{}
	if s.help != 0 {
		if err := a.SendBytes(ctx, numbered(s.help, false)); err != nil {
			t.Fatal(err)
		}
		select {
		case r := <-mine.awake:
			if r.err != nil {
				t.Fatal(r.err)
			}
			got = append(got, r.got...)
		case <-ctx.Done():
			t.Fatal("who slept still sleeps")
		}
	}
	drain := func() {
		for {
			m, err := recvOne(done, a, b)
			if errors.Is(err, mpqueue.ErrEmpty) {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, m...)
		}
	}
	drain()
	if s.asleep != nil && s.help == 0 { // a sender, who may have got rid of its message only now
		for ended := false; !ended; {
			select {
			case r := <-mine.awake:
				if r.err != nil {
					t.Fatal(r.err)
				}
				ended = true
			case <-ctx.Done():
				t.Fatal("who slept still sleeps")
			case <-time.After(time.Millisecond):
			}
			drain()
		}
	}
	if !slices.ContainsFunc(s.outcome, func(want []int) bool { return slices.Equal(want, got) }) {
		t.Errorf("out of the pipe came %v, want one of %v", got, s.outcome)
	}
	go func() {
		for n := range 4 {
			a.SendBytes(ctx, numbered(10+n, n%2 == 1))
		}
		a.Close()
	}()
	for n := range 4 {
		if m, err := recvOne(ctx, a, b); err != nil || m[0] != 10+n {
			t.Fatal("a survivor sent", 10+n, "and got", m, err)
		}
	}
	if _, err := b.RecvBytes(ctx, nil); err != io.EOF {
		t.Error(fmt.Errorf("the end: %w", err))
	}
}
