package futexlock_test

import (
	"context"
	"errors"
	"os/exec"
	"runtime"
	"sync"
	"testing"
	"time"

	"shmkit/futexlock"
	"shmkit/procs/procstest"
)

func init() {
	// parent: starts other programs, which end, while it holds the mutex.
	acts["parent"] = func(ctx context.Context, t *table, n int) error {
		t.Mu.Lock()
		for range n {
			if err := exec.Command("/bin/true").Run(); err != nil {
				return err
			}
		}
		t.Step[0].Add(1)
		<-ctx.Done()
		return nil
	}
	// churn: does to its threads what a runtime can do, while it holds the mutex.
	acts["churn"] = func(ctx context.Context, t *table, n int) error {
		t.Mu.Lock()
		for i := range n {
			var wg sync.WaitGroup
			for range 10 {
				wg.Go(runtime.LockOSThread) // the thread ends with its goroutine
			}
			wg.Wait()
			runtime.GOMAXPROCS(1 + i%4)
			runtime.GC()
		}
		t.Step[0].Add(1)
		<-ctx.Done()
		return nil
	}
	// chain: takes the mutex, and keeps it until it may let go: after n others.
	acts["chain"] = func(ctx context.Context, t *table, n int) error {
		if err := t.Mu.Lock(); err != nil {
			return err
		}
		turn := t.Step[1].Add(1)
		for t.Step[2].Load() < turn {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			time.Sleep(100 * time.Microsecond)
		}
		t.Mu.Unlock()
		return nil
	}
}

// A holder whose children end, and one whose threads come and go, while the
// collector runs and the number of processors changes, hold on.
func TestMutexHolderLives(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	for _, name := range []string{"parent", "churn"} {
		o, tab := newTable(t)
		p := play(t, o, name, 20)
		for tab.Step[0].Load() == 0 {
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
			err := tab.Mu.LockContext(ctx)
			cancel()
			if err == nil && tab.Step[0].Load() == 0 {
				tab.Mu.Unlock() // before it had begun
				time.Sleep(time.Millisecond)
				continue
			}
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("%s: %v", name, err)
			}
		}
		if ok, err := tab.Mu.TryLock(); ok || err != nil {
			t.Errorf("%s: taken from a living holder: %v", name, err)
		}
		p.Kill()
		if err := tab.Mu.Lock(); !errors.Is(err, futexlock.ErrOwnerDied) {
			t.Errorf("%s: killed: %v", name, err)
		}
		tab.Mu.Consistent()
		tab.Mu.Unlock()
	}
}

// Five processes sleep. Each Unlock lets one of them in, the others go on
// sleeping, until all were in; the word is as it was in the beginning.
func TestMutexChain(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	o, tab := newTable(t)
	tab.Mu.Lock()
	const n = 5
	var ps []*procstest.Proc
	for range n {
		p := play(t, o, "chain", 0)
		procstest.WaitBlocked(t, p.PID(), 1)
		ps = append(ps, p)
	}
	tab.Mu.Unlock()
	for in := range uint32(n) {
		await(t, &tab.Step[1], in+1)
		asleep := 0
		for _, p := range ps {
			if p.Alive() && procstest.Blocked(p.PID()) > 0 {
				asleep++
			}
		}
		if got := tab.Step[1].Load(); got != in+1 {
			t.Fatalf("%d are in at once", got-in)
		}
		t.Logf("%d in, %d asleep", in+1, asleep)
		tab.Step[2].Store(in + 1)
	}
	for _, p := range ps {
		if s := p.Wait(); s.Err != nil {
			t.Error(s)
		}
	}
	if s := tab.Mu.State(); s != "unlocked" {
		t.Errorf("residue: %s", s)
	}
}

// A waiter is killed: nobody else notices, and nobody is told of a death.
func TestMutexWaiterDied(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	for round := range 10 {
		o, tab := newTable(t)
		tab.Mu.Lock()
		var ps []*procstest.Proc
		for range 3 {
			p := play(t, o, "want", 0)
			procstest.WaitBlocked(t, p.PID(), 1)
			ps = append(ps, p)
		}
		ps[round%3].Kill()
		tab.Mu.Unlock()
		for i, p := range ps {
			if s := p.Wait(); i != round%3 && s.Err != nil {
				t.Error(s)
			}
		}
		if in, told := tab.Count[0].Load(), tab.Count[1].Load(); in != 2 || told != 0 {
			t.Errorf("%d came in, %d were told of a death; want 2 and 0", in, told)
		}
	}
}
