package mpqueue_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"shmkit/mpqueue"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

// The sweep is stepped through, too. The test's process must not be attached
// when the victim dies, or it would sweep it itself: so it lets go of the queue,
// and comes back by its name when the sweeper is dead.

type sweepArgs struct {
	Name  string
	Turn  *shm.Object[turn]
	Large bool
	Hold  bool // the victim keeps the item that it has received
}

// turn says who has got how far.
type turn struct{ attached, holds, dead atomic.Uint32 }

var sweepVictim = procstest.Role("mpqueue-victim", func(ctx context.Context, a sweepArgs) error {
	q, err := mpqueue.Open[[]byte](a.Name)
	if err != nil {
		return err
	}
	if !a.Hold {
		q.Get(ctx)
		return q.Put(ctx, numbered(4, a.Large))
	}
	if _, err := q.Receive(ctx); err != nil {
		return err
	}
	a.Turn.Value().holds.Store(1)
	<-ctx.Done()
	return nil
})

var sweeper = procstest.Role("mpqueue-sweeper", func(ctx context.Context, a sweepArgs) error {
	q, err := mpqueue.Open[[]byte](a.Name)
	if err != nil {
		return err
	}
	t := a.Turn.Value()
	t.attached.Store(1)
	if !wait(&t.dead) {
		return fmt.Errorf("the victim does not die")
	}
	procstest.Step(func() { q.Segment().Sweep() })
	return nil
})

// wait waits until another process has set w.
func wait(w *atomic.Uint32) bool {
	for begin := time.Now(); w.Load() == 0; time.Sleep(50 * time.Microsecond) {
		if time.Since(begin) > 20*time.Second {
			return false
		}
	}
	return true
}

// TestEveryInstructionOfSweep kills a process in the sweep of another, which was
// killed at some point of its operation.
func TestEveryInstructionOfSweep(t *testing.T) {
	if testing.Short() && !*everyStep {
		return // five seconds
	}
	cases := []struct {
		point    string
		large    bool
		outcomes [][]int
	}{
		{"mpqueue.get.taken", true, [][]int{{1, 2, 3}}},
		{"", true, [][]int{{1, 2, 3}}},
		{"mpqueue.put.filled", true, [][]int{{2, 3}}},
		{"mpqueue.get.claimed", false, [][]int{{1, 2, 3}}},
	}
	if !*everyStep {
		cases = cases[:1]
	}
	cuts(t, 15)
	for _, c := range cases {
		name := c.point
		if name == "" {
			name = "holder of an item"
		}
		t.Run(name, func(t *testing.T) {
			procstest.Watchdog(t, 2*time.Minute)
			n := 0
			procstest.EachInstruction(t, sweeper, func(t testing.TB) sweepArgs {
				n++
				a := sweepArgs{Name: fmt.Sprintf("swept-%d", n), Turn: newTurn(t), Large: c.large, Hold: c.point == ""}
				kill(t, a, c.point)
				return a
			}, func(t testing.TB, a sweepArgs) {
				q, err := mpqueue.Open[[]byte](a.Name)
				if err != nil {
					t.Fatal(err)
				}
				q.Segment().Sweep()
				survive(t, &stepArgs{Queue: q}, &stepped{large: c.large, outcomes: c.outcomes}, nil)
				for _, err := range shm.Check(q.Segment()) {
					t.Errorf("after the sweep: %v", err)
				}
				q.Close()
				if err := shm.Remove(a.Name); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func newTurn(t testing.TB) *shm.Object[turn] {
	o, err := shm.New[turn]()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.Close() })
	return o
}

// kill makes the queue of a and a victim that is at the point, and kills it as
// soon as the sweeper is attached and this process is not.
func kill(t testing.TB, a sweepArgs, point string, opts ...mpqueue.Option) {
	q, err := mpqueue.Create[[]byte](a.Name, 4, append(opts, mpqueue.WithMaxBytes(1<<20))...)
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; n <= 3; n++ {
		if err := q.Put(background, numbered(n, a.Large)); err != nil {
			t.Fatal(err)
		}
	}
	turn := a.Turn.Value()
	var victim *procstest.Proc
	if point == "" {
		victim = sweepVictim.Start(t, a)
		if !wait(&turn.holds) {
			t.Fatal("the victim does not receive")
		}
	} else {
		victim = sweepVictim.Start(t, a, procstest.StopAt(point, 1))
		victim.WaitStopped()
	}
	q.Close()
	go func() {
		if wait(&turn.attached) {
			victim.Kill()
			turn.dead.Store(1)
		}
	}()
}
