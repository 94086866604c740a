package mpqueue_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"shmkit/mpqueue"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

// onCPU returns how long the threads of a process have run in all.
func onCPU(t *testing.T, pid int) (sum time.Duration, threads int) {
	t.Helper()
	all, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	for _, path := range all {
		b, err := os.ReadFile(path)
		var ns, waited int64
		if _, e := fmt.Sscan(string(b), &ns, &waited); err != nil || e != nil {
			t.Skip("this kernel does not say how long threads run: ", err, e)
		}
		sum += time.Duration(ns)
	}
	return sum, len(all)
}

type idleArgs struct {
	Queue *mpqueue.Queue[int]
	Call  string
}

// idler waits in one call.
var idler = procstest.Role("mpqueue-idler", func(ctx context.Context, a idleArgs) error {
	switch a.Call {
	case "Get":
		a.Queue.Get(ctx)
	case "Put":
		a.Queue.Put(ctx, 1)
	default:
		a.Queue.Receive(ctx)
	}
	return nil
})

// busyIdle is the share of a core that no idle process may use: ten times what is
// promised, and more under the race detector, which makes all code slower, and
// where the kernel cannot wait for a peer's death: a sleeper then looks for it
// every 10 ms.
func busyIdle() float64 {
	if shm.RaceEnabled || withoutWaitv() {
		return 0.05
	}
	return 0.01
}

// TestIdle looks at what a process costs that waits for a message, for room, or for
// an item: next to nothing. It looks ten times a second whether somebody has died;
// half of the cost is the Go runtime's, which wakes a thread of its own each time.
// On a machine that is busy otherwise each look costs more, so the test judges the
// best of several watches; who spins is never idle.
func TestIdle(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	watch := 3 * time.Second
	if testing.Short() {
		watch = time.Second
	}
	calls := []string{"Get", "Put", "Receive"}
	procs := make([]*procstest.Proc, len(calls))
	before := make([]time.Duration, len(calls))
	for i, call := range calls {
		q := newQueue[int](t, 1)
		if call == "Put" {
			q.Put(background, 1)
		}
		procs[i] = idler.Start(t, idleArgs{q, call})
		procstest.WaitBlocked(t, procs[i].PID(), 1)
	}
	time.Sleep(100 * time.Millisecond) // what a start costs is over
	least := []float64{1, 1, 1}
	for n := 0; n < 5 && slices.Max(least) > busyIdle(); n++ {
		begin := time.Now()
		for i := range procs {
			before[i], _ = onCPU(t, procs[i].PID())
		}
		time.Sleep(watch)
		for i, call := range calls {
			after, threads := onCPU(t, procs[i].PID())
			share := float64(after-before[i]) / float64(time.Since(begin))
			least[i] = min(least[i], share)
			t.Logf("blocked in %s: %v of CPU in %v, %.3f %% of a core, %d threads",
				call, after-before[i], time.Since(begin).Round(time.Millisecond), 100*share, threads)
		}
	}
	for i, call := range calls {
		if least[i] > busyIdle() {
			t.Errorf("an idle %s is not idle: %.3f %% of a core", call, 100*least[i])
		}
	}
}

type crowdArgs struct {
	Queue *mpqueue.Queue[int]
	State *shm.Object[crowd]
	N     int
	Many  bool // a queue for each
}

type crowd struct{ waiting, wake, got atomic.Int32 }

// crowded has many goroutines that wait in Get, on one queue or on a queue each.
var crowded = procstest.Role("mpqueue-crowded", func(ctx context.Context, a crowdArgs) error {
	s := a.State.Value()
	qs := make([]*mpqueue.Queue[int], a.N)
	for i := range qs {
		qs[i] = a.Queue
		if a.Many {
			var err error
			if qs[i], err = mpqueue.New[int](1, mpqueue.WithSegment(shm.WithParticipants(1))); err != nil {
				return err
			}
			defer qs[i].Close()
		}
	}
	var wg sync.WaitGroup
	for _, q := range qs {
		wg.Go(func() {
			s.waiting.Add(1)
			if _, err := q.Get(ctx); err == nil {
				s.got.Add(1)
			}
		})
	}
	for s.wake.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	for _, q := range qs {
		if err := q.Put(ctx, 1); err != nil {
			return err
		}
	}
	wg.Wait()
	return nil
})

// TestCrowd counts the threads of a process in which 1,000 goroutines wait in Get,
// and wakes them all.
func TestCrowd(t *testing.T) {
	for _, many := range []bool{false, true} {
		name := map[bool]string{false: "one queue", true: "1,000 queues"}[many]
		t.Run(name, func(t *testing.T) {
			procstest.Watchdog(t, time.Minute)
			const n = 1000
			o, err := shm.New[crowd]()
			if err != nil {
				t.Fatal(err)
			}
			defer o.Close()
			s := o.Value()
			p := crowded.Start(t, crowdArgs{newQueue[int](t, 8), o, n, many})
			for begin := time.Now(); s.waiting.Load() < n; time.Sleep(time.Millisecond) {
				if time.Since(begin) > 20*time.Second || !p.Alive() {
					t.Fatalf("%d of %d goroutines wait", s.waiting.Load(), n)
				}
			}
			if !withoutWaitv() || !many { // else one goroutine looks at all words
				procstest.WaitBlocked(t, p.PID(), 1)
			}
			var before, after time.Duration
			most, threads := 0, 0
			for range 20 { // two slices
				before = after
				after, threads = onCPU(t, p.PID())
				most = max(most, threads)
				time.Sleep(10 * time.Millisecond)
			}
			begin := time.Now()
			s.wake.Store(1)
			if st := p.Wait(); st.Err != nil {
				t.Fatal(st)
			}
			t.Logf("%d goroutines wait in Get on %s: %d threads, %v of CPU in 10 ms; all have got theirs after %v",
				n, name, most, after-before, time.Since(begin).Round(100*time.Microsecond))
			if s.got.Load() != n {
				t.Errorf("%d of %d have got something", s.got.Load(), n)
			}
			if most > 50 {
				t.Errorf("%d threads", most)
			}
		})
	}
}
