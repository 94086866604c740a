package mpqueue_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"shmkit/mpqueue"
	"shmkit/procs/procstest"
)

// The steps of a ring: a process is killed at each instruction of one operation,
// and the other one, and a successor, go on. See stepped, which is the same for a
// queue.
type ringStepped struct {
	name   string
	has    []int // put by the test, so that the killed process is the consumer
	before func(ctx context.Context, a *ringStepArgs) error
	op     func(ctx context.Context, a *ringStepArgs) error
	// Somebody sleeps on the other side meanwhile, in the test's process; help
	// ends it if the operation was not to.
	asleep, help func(ctx context.Context, a *ringStepArgs) ([]int, error)
	outcomes     [][]int // what is got in the end, by the test
	always       bool    // without -every, too
}

type ringStepArgs struct {
	Ring    *mpqueue.Ring[message64]
	Op      int
	Without bool // membarrier
}

func (a *ringStepArgs) put(from, n int) func(ctx context.Context, a *ringStepArgs) error {
	return func(ctx context.Context, a *ringStepArgs) error {
		for i := range n {
			if err := a.Ring.Put(ctx, ringMessage(from+i)); err != nil {
				return err
			}
		}
		return nil
	}
}

func ringMessage(n int) (m message64) {
	m.fill(0, uint64(n))
	return m
}

func ringNumber(m message64) (int, error) {
	_, n, ok := m.check()
	if !ok {
		return 0, errors.New("a torn message")
	}
	return int(n), nil
}

func getFromRing(ctx context.Context, a *ringStepArgs) ([]int, error) {
	m, err := a.Ring.Get(ctx)
	for errors.Is(err, mpqueue.ErrAbandoned) {
		m, err = a.Ring.Get(ctx)
	}
	if err == mpqueue.ErrClosed {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	n, err := ringNumber(m)
	return []int{n}, err
}

func get(n int) func(ctx context.Context, a *ringStepArgs) error {
	return func(ctx context.Context, a *ringStepArgs) error {
		for range n {
			if _, err := a.Ring.Get(ctx); err != nil {
				return err
			}
		}
		return nil
	}
}

// ringSteppedOps: the ring has four places.
var ringSteppedOps = func() []*ringStepped {
	put := (*ringStepArgs)(nil).put
	closes := func(ctx context.Context, a *ringStepArgs) error { return a.Ring.CloseSend() }
	batch := func(ctx context.Context, a *ringStepArgs) error {
		_, err := a.Ring.PutBatch(ctx, []message64{ringMessage(3), ringMessage(4)})
		return err
	}
	four := []int{1, 2, 3, 4}
	return []*ringStepped{
		{name: "Put", always: true, before: put(1, 2), op: put(3, 1), outcomes: [][]int{{1, 2}, {1, 2, 3}}},
		{name: "Get", always: true, has: four, before: get(1), op: get(1), outcomes: [][]int{{2, 3, 4}, {3, 4}}},
		{name: "the first Put", op: put(1, 1), outcomes: [][]int{{}, {1}}},
		{name: "the first Get", has: four, op: get(1), outcomes: [][]int{four, {2, 3, 4}}},
		{name: "PutBatch", before: put(1, 2), op: batch, outcomes: [][]int{{1, 2}, {1, 2, 3, 4}}},
		{name: "GetBatch", has: four, before: get(1), op: func(ctx context.Context, a *ringStepArgs) error {
			_, err := a.Ring.GetBatch(ctx, make([]message64, 2))
			return err
		}, outcomes: [][]int{{2, 3, 4}, {4}}},
		{name: "Put to one who sleeps", always: true, before: put(1, 0), op: put(1, 1), outcomes: [][]int{{1, 9}, {9}},
			asleep: getFromRing, help: func(ctx context.Context, a *ringStepArgs) ([]int, error) { return nil, put(9, 1)(ctx, a) }},
		{name: "Get from one who sleeps", has: four, op: get(1), outcomes: [][]int{{1, 2, 3, 4, 5}, {2, 3, 4, 5}}, help: getFromRing,
			asleep: func(ctx context.Context, a *ringStepArgs) ([]int, error) {
				err := put(5, 1)(ctx, a)
				for errors.Is(err, mpqueue.ErrAbandoned) {
					err = put(5, 1)(ctx, a)
				}
				return nil, err
			}},
		{name: "CloseSend after Put", before: put(1, 2), op: closes, outcomes: [][]int{{1, 2}}},
		{name: "CloseSend to one who sleeps", always: true, op: closes, outcomes: [][]int{{}}, asleep: getFromRing,
			help: func(ctx context.Context, a *ringStepArgs) ([]int, error) { return nil, a.Ring.CloseSend() }},
		{name: "Close", before: put(1, 2), op: func(ctx context.Context, a *ringStepArgs) error { return a.Ring.Close() },
			outcomes: [][]int{{1, 2}}},
	}
}()

var ringStepper = procstest.Role("ring-stepper", func(ctx context.Context, a ringStepArgs) error {
	s := ringSteppedOps[a.Op]
	mpqueue.ForbidMembarrier(a.Without)
	// Once on a ring of our own: what is done only the first time is ten times
	// the operation.
	own, err := mpqueue.NewRing[message64](4)
	if err != nil {
		return err
	}
	warm := ringStepArgs{Ring: own, Op: a.Op}
	mpqueue.WaitFences()
	for _, n := range s.has {
		own.Put(ctx, ringMessage(n))
	}
	for _, a := range []*ringStepArgs{&warm, &a} {
		if s.before != nil {
			if err := s.before(ctx, a); err != nil {
				return err
			}
		}
	}
	s.op(ctx, &warm)
	own.Close()
	procstest.Step(func() { s.op(ctx, &a) })
	return nil
})

// TestEveryInstructionOfRing kills a process at the instructions of its
// operations on a ring.
func TestEveryInstructionOfRing(t *testing.T) {
	cuts(t, 30)
	for op, s := range ringSteppedOps {
		if *everyStep || s.always && !(testing.Short() && op > 1) {
			t.Run(s.name, func(t *testing.T) { everyInstructionOfRing(t, s, ringStepArgs{Op: op}) })
		}
	}
	if !*everyStep {
		return
	}
	t.Run("Put without membarrier", func(t *testing.T) {
		everyInstructionOfRing(t, ringSteppedOps[0], ringStepArgs{Op: 0, Without: true})
	})
}

func everyInstructionOfRing(t *testing.T, s *ringStepped, a ringStepArgs) {
	patience := 2 * time.Minute
	if *everyStep {
		patience = 30 * time.Minute
	}
	procstest.Watchdog(t, patience)
	type result struct {
		got []int
		err error
	}
	var longest time.Duration
	var woken chan result
	mpqueue.WaitFences()
	procstest.EachInstruction(t, ringStepper, func(t testing.TB) ringStepArgs {
		a := a
		a.Ring = newRing[message64](t, 4)
		for _, n := range s.has {
			if err := a.Ring.Put(background, ringMessage(n)); err != nil {
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
	}, func(t testing.TB, a ringStepArgs) {
		begin := time.Now()
		ctx, cancel := context.WithTimeout(background, 10*time.Second)
		defer cancel()
		got := []int{}
		if s.asleep != nil {
			helped, err := s.help(ctx, &a)
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
		got = append(got, drainRingNow(t, a.Ring)...)
		if !slices.ContainsFunc(s.outcomes, func(want []int) bool { return slices.Equal(want, got) }) {
			t.Errorf("got %v, want one of %v", got, s.outcomes)
		}
		goOnWithRing(t, a.Ring)
		longest = max(longest, time.Since(begin))
	})
	t.Logf("the longest recovery took %v", longest)
	if longest > time.Second {
		t.Error("100 ms are allowed")
	}
}

// drainRingNow gets what is there, as the successor of whoever is dead.
func drainRingNow(t testing.TB, r *mpqueue.Ring[message64]) (all []int) {
	for {
		m, err := r.TryGet()
		switch {
		case errors.Is(err, mpqueue.ErrAbandoned):
			continue
		case errors.Is(err, mpqueue.ErrEmpty) || errors.Is(err, mpqueue.ErrClosed):
			return all
		case err != nil:
			t.Fatal(err)
		}
		n, err := ringNumber(m)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, n)
	}
}

// goOnWithRing uses both sides, as the successor of whoever is dead.
func goOnWithRing(t testing.TB, r *mpqueue.Ring[message64]) {
	var put []int
	for n := 10; n < 14; n++ {
		err := r.TryPut(ringMessage(n))
		if err == mpqueue.ErrClosed {
			break
		}
		if err != nil {
			t.Fatalf("Put of a survivor: %v", err)
		}
		put = append(put, n)
	}
	if got := drainRingNow(t, r); !slices.Equal(got, put) {
		t.Errorf("a survivor put %v and got %v", put, got)
	}
	if err := r.CloseSend(); err != nil {
		t.Error(err)
	}
	if _, err := r.TryGet(); err != mpqueue.ErrClosed {
		t.Errorf("at the end: %v", err)
	}
}
