package mpqueue_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"shmkit/mpqueue"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

// A stepped operation is what a process is killed in, at its instructions. The
// queue has four places and holds the messages of has; wherever the process is
// killed, what the queue holds then is one of the outcomes.
type stepped struct {
	name   string
	large  bool // messages of 5,000 bytes, in blocks; else of 24
	has    []int
	before func(ctx context.Context, a *stepArgs) // in the process, before it is driven
	op     func(ctx context.Context, a *stepArgs)
	// Somebody sleeps in this meanwhile, and help ends it if the operation was
	// not to. Both return what they got.
	asleep, help func(ctx context.Context, a *stepArgs) ([]int, error)
	outcomes     [][]int // what was got by both, and what was left in the queue
}

type stepArgs struct {
	Queue *mpqueue.Queue[[]byte]
	Op    int
}

// result is of the one who sleeps.

type result struct {
	got []int
	err error
}

var steppedOps []*stepped

func init() {
	put := func(n int) func(ctx context.Context, a *stepArgs) {
		return func(ctx context.Context, a *stepArgs) { a.Queue.Put(ctx, a.message(n)) }
	}
	putBatch := func(ns ...int) func(ctx context.Context, a *stepArgs) {
		return func(ctx context.Context, a *stepArgs) {
			var ms [][]byte
			for _, n := range ns {
				ms = append(ms, a.message(n))
			}
			a.Queue.PutBatch(ctx, ms)
		}
	}
	get := func(ctx context.Context, a *stepArgs) { a.Queue.Get(ctx) }
	getBatch := func(ctx context.Context, a *stepArgs) { a.Queue.GetBatch(ctx, make([][]byte, 2)) }
	write := func(n int) func(ctx context.Context, a *stepArgs) {
		return func(ctx context.Context, a *stepArgs) {
			a.Queue.Write(ctx, 5000, func(b []byte) error { copy(b, a.message(n)); return nil })
		}
	}
	done := func(ctx context.Context, a *stepArgs) { a.receive(ctx).Done() }
	// The first Receive or Reserve of a process makes room for its leases, and
	// 200,000 instructions look how much memory the machine has for it.
	leased := []int{9, 1, 2, 3}
	requeue := func(ctx context.Context, a *stepArgs) { a.receive(ctx).Requeue() }
	three, kept, got := []int{1, 2, 3}, [][]int{{1, 2, 3}}, [][]int{{1, 2, 3}, {2, 3}}
	more := [][]int{{1, 2, 3}, {1, 2, 3, 4}}
	steppedOps = []*stepped{
		{name: "Put", has: three, outcomes: more, op: put(4)},
		{name: "Get", has: three, outcomes: got, op: get},
		{name: "Put of a block", large: true, has: three, outcomes: more, op: put(4)},
		{name: "Get of a block", large: true, has: three, outcomes: got, op: get},
		{name: "PutBatch", has: []int{1, 2}, outcomes: [][]int{{1, 2}, {1, 2, 3}, {1, 2, 3, 4}}, op: putBatch(3, 4)},
		{name: "GetBatch", has: three, outcomes: [][]int{{1, 2, 3}, {2, 3}, {3}}, op: getBatch},
		{name: "Receive and Done", has: leased, before: done, outcomes: got, op: done},
		{name: "Receive and Done of a block", large: true, has: leased, before: done, outcomes: got, op: done},
		{name: "Receive and Requeue", has: leased, before: done, outcomes: kept, op: requeue},
		{name: "Get after Requeue", has: three, outcomes: got, before: requeue, op: get},
		{name: "Reserve and Commit", large: true, has: []int{1, 2}, before: write(3), outcomes: more, op: write(4)},
		{name: "CloseSend", has: three, outcomes: kept, op: func(ctx context.Context, a *stepArgs) { a.Queue.CloseSend() }},
		{name: "Producer and its Close", has: three, outcomes: kept, op: func(ctx context.Context, a *stepArgs) {
			if p, err := a.Queue.Producer(); err == nil {
				p.Close()
			}
		}},
		{name: "Put to one who sleeps", outcomes: [][]int{{9}, {1, 9}}, op: put(1), asleep: getOne,
			help: func(ctx context.Context, a *stepArgs) ([]int, error) { return nil, a.Queue.Put(ctx, a.message(9)) }},
		{name: "PutBatch to one who sleeps", outcomes: [][]int{{9}, {1, 9}, {1, 2, 9}}, op: putBatch(1, 2), asleep: getOne,
			help: func(ctx context.Context, a *stepArgs) ([]int, error) { return nil, a.Queue.Put(ctx, a.message(9)) }},
		{name: "Get from one who sleeps", has: []int{1, 2, 3, 4}, outcomes: [][]int{{1, 2, 3, 4, 5}, {2, 3, 4, 5}}, op: get, help: getOne,
			asleep: func(ctx context.Context, a *stepArgs) ([]int, error) { return nil, a.Queue.Put(ctx, a.message(5)) }},
		{name: "CloseSend to one who sleeps", outcomes: [][]int{{}}, asleep: getOne,
			op:   func(ctx context.Context, a *stepArgs) { a.Queue.CloseSend() },
			help: func(ctx context.Context, a *stepArgs) ([]int, error) { return nil, a.Queue.CloseSend() }},
		// Last and with -every only, for they look at the machine's memory.
		{name: "Put of the first block", large: true, outcomes: [][]int{{}, {1}}, op: put(1)},
		{name: "the first Receive, and Done", has: three, outcomes: got, op: done},
	}
}

// getOne gets one message, or the end.
func getOne(ctx context.Context, a *stepArgs) ([]int, error) {
	b, err := a.Queue.Get(ctx)
	if err == mpqueue.ErrClosed {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	n, err := number(b)
	return []int{n}, err
}

func (a *stepArgs) message(n int) []byte { return numbered(n, steppedOps[a.Op].large) }

func (a *stepArgs) receive(ctx context.Context) *mpqueue.Item[[]byte] {
	i, err := a.Queue.Receive(ctx)
	if err != nil {
		panic(err)
	}
	return i
}

// numbered is message n: any mixture of two of them is none.
func numbered(n int, large bool) []byte {
	size := 24
	if large {
		size = 5000
	}
	return slices.Repeat([]byte{byte(n)}, size)
}

func number(b []byte) (int, error) {
	if len(b) != 24 && len(b) != 5000 {
		return 0, fmt.Errorf("a message of %d bytes", len(b))
	}
	for _, c := range b {
		if c != b[0] {
			return 0, fmt.Errorf("a torn message: % x", b[:24])
		}
	}
	return int(b[0]), nil
}

var stepper = procstest.Role("mpqueue-stepper", func(ctx context.Context, a stepArgs) error {
	s := steppedOps[a.Op]
	// Once on a queue of our own: what is done only the first time, by the
	// runtime too, is ten times the operation.
	own, err := mpqueue.New[[]byte](4, mpqueue.WithMaxBytes(1<<20))
	if err != nil {
		return err
	}
	defer own.Close()
	warm := stepArgs{Queue: own, Op: a.Op}
	for _, n := range s.has {
		own.Put(ctx, a.message(n))
	}
	for _, a := range []*stepArgs{&warm, &a} {
		if s.before != nil {
			s.before(ctx, a)
		}
	}
	s.op(ctx, &warm)
	procstest.Step(func() { s.op(ctx, &a) })
	return nil
})

var everyStep = flag.Bool("every", false, "cut stepped operations at every instruction, not at some tens of them")

// cuts makes EachInstruction cut at n places, other ones each time, at 2 of 5 of them
// with -short and at all with -every. With the race detector's build an operation has
// twenty times the instructions, nearly all of them the detector's own, and each costs
// some microseconds: 1 of 6.
func cuts(t *testing.T, n int) {
	steps := strconv.Itoa(n)
	switch {
	case *everyStep:
		steps = "all"
	case shm.RaceEnabled:
		steps = strconv.Itoa(max(2, n/6))
	case testing.Short():
		steps = strconv.Itoa(n * 2 / 5)
	}
	t.Setenv("SHMKIT_STEPS", steps)
}

// TestEveryInstruction kills a process at the instructions of its operations. The
// others find every committed message, whole, and nothing else, and go on.
func TestEveryInstruction(t *testing.T) {
	ops := steppedOps
	if !*everyStep {
		ops = ops[:len(ops)-2]
	}
	if testing.Short() {
		ops = ops[:1]
	}
	cuts(t, 30)
	for op, s := range ops {
		t.Run(s.name, func(t *testing.T) { everyInstruction(t, op, s) })
	}
}

func everyInstruction(t *testing.T, op int, s *stepped) {
	procstest.Watchdog(t, 2*time.Minute)
	var longest time.Duration
	var woken chan result
	procstest.EachInstruction(t, stepper, func(t testing.TB) stepArgs {
		a := stepArgs{Queue: newQueue[[]byte](t, 4, mpqueue.WithMaxBytes(1<<20)), Op: op}
		for _, n := range s.has {
			if err := a.Queue.Put(background, a.message(n)); err != nil {
				t.Fatal(err)
			}
		}
		if s.asleep != nil {
			woken = make(chan result, 1)
			go func() {
				got, err := s.asleep(background, &a)
				woken <- result{got, err}
			}()
			procstest.WaitBlocked(t, 0, 1)
		}
		return a
	}, func(t testing.TB, a stepArgs) {
		begin := time.Now()
		survive(t, &a, s, woken)
		longest = max(longest, time.Since(begin))
	})
	t.Logf("the longest recovery took %v", longest)
	if longest > time.Second {
		t.Error("100 ms are allowed")
	}
}

// survive looks at what a killed process left, and uses the queue.
func survive(t testing.TB, a *stepArgs, s *stepped, woken chan result) {
	ctx, cancel := context.WithTimeout(background, 10*time.Second)
	defer cancel()
	q := a.Queue
	got := []int{}
	if s.asleep != nil {
		helped, err := s.help(ctx, a)
		if err != nil {
			t.Fatal(err)
		}
		select {
		case r := <-woken:
			if r.err != nil {
				t.Fatal(r.err)
			}
			got = append(helped, r.got...)
		case <-ctx.Done():
			t.Fatal("who slept still sleeps")
		}
	}
	got = append(got, takeAll(t, q)...)
	if !slices.ContainsFunc(s.outcomes, func(want []int) bool { return slices.Equal(want, got) }) {
		t.Errorf("left in the queue: %v, want one of %v", got, s.outcomes)
	}
	var put []int
	for n := 10; n < 14; n++ {
		err := q.Put(ctx, a.message(n))
		if err == mpqueue.ErrClosed {
			break
		}
		if err != nil {
			t.Fatalf("Put of a survivor: %v", err)
		}
		put = append(put, n)
	}
	if got := takeAll(t, q); !slices.Equal(got, put) {
		t.Errorf("a survivor put %v and got %v", put, got)
	}
	if err := q.CloseSend(); err != nil {
		t.Error(err)
	}
	// Abandoned, if it was killed as the only producer.
	if _, err := q.Get(ctx); err != mpqueue.ErrClosed && err != mpqueue.ErrAbandoned {
		t.Errorf("at the end: %v", err)
	}
}

// takeAll gets what is there.
func takeAll(t testing.TB, q *mpqueue.Queue[[]byte]) (all []int) {
	for {
		b, err := q.TryGet()
		if errors.Is(err, mpqueue.ErrEmpty) || errors.Is(err, mpqueue.ErrClosed) || errors.Is(err, mpqueue.ErrAbandoned) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		n, err := number(b)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, n)
	}
}
