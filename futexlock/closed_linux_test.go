package futexlock_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	"shmkit/procs/procstest"
	"shmkit/shm"
)

// A segment that this process closes under its own waiters ends their wait.
func TestClosedUnderWaiters(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	o, err := shm.New[table](shm.WithOwnSegment())
	if err != nil {
		t.Fatal(err)
	}
	tab := o.Value()
	tab.Mu.Lock()
	tab.Group.Add(1)
	tab.Bar.Init(2)
	tab.RW.Lock()
	running := make(chan struct{})
	go tab.Once.Do(func() error { close(running); select {} })
	<-running
	owned := &tab.Sems[0]
	owned.Init(0, 1)
	ctx := context.Background()
	errs := make(chan error)
	// panics makes an error of what a function without one says.
	panics := func(f func()) (err error) {
		defer func() {
			if r := recover(); r != nil {
				err = fmt.Errorf("%v: %w", r, shm.ErrClosed)
			}
		}()
		f()
		return nil
	}
	waits := []func() error{
		func() error { return tab.Mu.LockContext(ctx) },
		func() error { return tab.Event.Wait(ctx) },
		func() error { return tab.Sem.Acquire(ctx, 1) },
		func() error { _, err := tab.Bar.Wait(ctx); return err },
		func() error { return tab.Group.Wait(ctx) },
		func() error { return panics(func() { tab.Mu.Lock() }) },
		func() error { return tab.RW.RLockContext(ctx) },
		func() error { return tab.RW.LockContext(ctx) },
		func() error { return tab.Once.DoContext(ctx, func() error { return nil }) },
		func() error { _, err := owned.AcquireOwned(ctx); return err },
		func() error {
			tab.Free.Lock()
			return panics(func() { tab.Cond.Wait(ctx, &tab.Free) })
		},
	}
	for _, f := range waits {
		go func() { errs <- f() }()
	}
	procstest.WaitBlocked(t, 0, len(waits)-1) // one of the two lockers waits in Go
	runtime.Gosched()
	o.Close()
	for range waits {
		if err := <-errs; !errors.Is(err, shm.ErrClosed) {
			t.Errorf("%v, want shm.ErrClosed", err)
		}
	}
}
