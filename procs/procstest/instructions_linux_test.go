package procstest_test

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"shmkit/procs/procstest"
	"shmkit/shm"
)

// ledger is what a stepped role writes, in this order.
type ledger struct{ a, b, c atomic.Uint32 }

func (l *ledger) write() {
	l.a.Store(1)
	l.b.Store(1)
	l.c.Store(1)
}

var writer = procstest.Role("writer", func(ctx context.Context, o *shm.Object[ledger]) error {
	l := o.Value()
	procstest.Step(l.write)
	return nil
})

func newLedger(t testing.TB) *shm.Object[ledger] {
	o, err := shm.New[ledger]()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.Close() })
	return o
}

// Every prefix of the three stores must be seen, and nothing else: then no
// instruction between two stores was left out.
func TestEachInstruction(t *testing.T) {
	procstest.Watchdog(t, 2*time.Minute)
	seen := map[[3]uint32]int{}
	n := procstest.EachInstruction(t, writer, newLedger, func(t testing.TB, o *shm.Object[ledger]) {
		l := o.Value()
		seen[[3]uint32{l.a.Load(), l.b.Load(), l.c.Load()}]++
	})
	t.Logf("%d instructions: %v", n, seen)
	for _, want := range [][3]uint32{{0, 0, 0}, {1, 0, 0}, {1, 1, 0}, {1, 1, 1}} {
		if seen[want] == 0 && !testing.Short() {
			t.Errorf("no kill left %v", want)
		}
		delete(seen, want)
	}
	if len(seen) > 0 {
		t.Errorf("impossible states %v", seen)
	}
}

func TestEachPause(t *testing.T) {
	procstest.Watchdog(t, 2*time.Minute)
	seen := map[uint32]int{}
	procstest.EachPause(t, writer, newLedger, func(t testing.TB, o *shm.Object[ledger]) {
		l := o.Value()
		seen[l.a.Load()+l.b.Load()+l.c.Load()]++
	}, func(t testing.TB, o *shm.Object[ledger]) {
		if o.Value().c.Load() != 1 {
			t.Error("the role did not finish")
		}
	})
	t.Logf("stores done when paused: %v", seen)
	if len(seen) != 4 && !testing.Short() {
		t.Errorf("pauses saw %v, want 0, 1, 2 and 3 stores", seen)
	}
}

var counter = procstest.Role("counter", func(ctx context.Context, o *shm.Object[ledger]) error {
	l := o.Value()
	calls := 100
	if shm.RaceEnabled {
		calls = 10 // of ten times the instructions
	}
	procstest.Step(func() {
		for range calls {
			count(l)
		}
	})
	return nil
})

// count is a call: where a function begins the scheduler may step in.
//
//go:noinline
func count(l *ledger) uint32 { return add(&l.a) }

//go:noinline
func add(w *atomic.Uint32) uint32 { return w.Add(1) }

// An operation that takes so long, driven by single steps beside two hogs, that
// the runtime's monitor would have it yield is as long as it is.
func TestLongOperation(t *testing.T) {
	procstest.Watchdog(t, 5*time.Minute)
	t.Setenv("SHMKIT_STEPS", "2")
	var over atomic.Bool
	defer over.Store(true)
	for range 2 {
		go func() {
			for !over.Load() {
			}
		}()
	}
	var lengths []int
	for range 2 {
		start := time.Now()
		n := procstest.EachInstruction(t, counter, newLedger, func(testing.TB, *shm.Object[ledger]) {})
		t.Logf("%d instructions, in %v", n, time.Since(start).Round(time.Millisecond))
		lengths = append(lengths, n)
	}
	if longest, shortest := slices.Max(lengths), slices.Min(lengths); longest-shortest > 100 {
		t.Errorf("the same operation took %d instructions, and %d", shortest, longest)
	}
}
