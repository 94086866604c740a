package shm_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"shmkit/futexlock"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

// property is a lock of each type that can be held.
type property struct {
	Mu    futexlock.Mutex
	Rec   futexlock.RecursiveMutex
	RW    futexlock.RWMutex
	Sem   futexlock.Semaphore
	Once  futexlock.Once
	Bar   futexlock.Barrier
	Group futexlock.WaitGroup
	Stage int64 // 1: all held, 2: close, 3: closed
}

type propertyArgs struct {
	What *shm.Object[property]
	Tell *shm.Object[property] // its Stage stays when What is closed
}

// proprietor holds everything and closes it.
var proprietor = procstest.Role("proprietor", func(ctx context.Context, a propertyArgs) error {
	v := a.What.Value()
	_, err := v.Bar.Wait(ctx)
	if err != nil {
		return err
	}
	v.Mu.Lock()
	v.Rec.Lock(futexlock.NewHolder())
	v.RW.Lock()
	if _, err := v.Sem.AcquireOwned(ctx); err != nil {
		return err
	}
	v.Group.Add(1)
	go v.Once.Do(func() error {
		shm.StoreInt64(&a.Tell.Value().Stage, 1)
		select {}
	})
	for shm.LoadInt64(&a.Tell.Value().Stage) != 2 {
		time.Sleep(time.Millisecond)
	}
	if err := a.What.Close(); err != nil {
		return err
	}
	shm.StoreInt64(&a.Tell.Value().Stage, 3)
	<-ctx.Done()
	return nil
})

// estateOf starts a proprietor that holds everything in what.
func estateOf(t *testing.T, opts ...procstest.Option) (what, tell *shm.Object[property], p *procstest.Proc) {
	t.Helper()
	var all [2]*shm.Object[property]
	for i := range all {
		o, err := shm.New[property](shm.WithOwnSegment())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { o.Close() })
		all[i] = o
	}
	what, tell = all[0], all[1]
	what.Value().Sem.Init(1, 1)
	what.Value().Bar.Init(2)
	p = proprietor.Start(t, propertyArgs{what, tell}, opts...)
	if _, err := what.Value().Bar.Wait(context.Background()); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "all held", func() bool { return shm.LoadInt64(&tell.Value().Stage) == 1 })
	return what, tell, p
}

// Whatever the closer held, whoever waits gets it, told as after a death.
func TestCrashCloseHeld(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	what, tell, p := estateOf(t)
	v := what.Value()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	ends := map[string]chan error{}
	wait := func(name string, f func() error) {
		c := make(chan error, 1)
		ends[name] = c
		go func() { c <- f() }()
	}
	wait("Mutex", func() error { return v.Mu.LockContext(ctx) })
	wait("RecursiveMutex", func() error { return v.Rec.LockContext(ctx, futexlock.NewHolder()) })
	wait("RWMutex", func() error { return v.RW.LockContext(ctx) })
	wait("RWMutex, read", func() error {
		err := v.RW.RLockContext(ctx)
		v.RW.RUnlock()
		return err
	})
	wait("Semaphore", func() error { _, err := v.Sem.AcquireOwned(ctx); return err })
	wait("Once", func() error { return v.Once.Do(func() error { return nil }) })
	wait("WaitGroup", func() error { return v.Group.Wait(ctx) })
	wait("Barrier", func() error { _, err := v.Bar.Wait(ctx); return err })
	procstest.WaitBlocked(t, 0, 6)
	begin := time.Now()
	shm.StoreInt64(&tell.Value().Stage, 2)
	// The reader may come before the writer, or after it.
	for _, name := range []string{"Mutex", "RecursiveMutex", "Semaphore", "Once", "WaitGroup", "Barrier"} {
		err := <-ends[name]
		switch name {
		case "Semaphore", "Once":
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		case "WaitGroup", "Barrier":
			if err == nil || ctx.Err() != nil {
				t.Errorf("%s: %v, want an error that tells of the death", name, err)
			}
		default:
			if !errors.Is(err, futexlock.ErrOwnerDied) {
				t.Errorf("%s: %v, want ErrOwnerDied", name, err)
			}
		}
		t.Logf("%s: %v, %v after the close", name, err, time.Since(begin).Round(time.Microsecond))
	}
	if err := <-ends["RWMutex"]; !errors.Is(err, futexlock.ErrOwnerDied) {
		t.Errorf("RWMutex: %v", err)
	}
	v.RW.Unlock()
	if err := <-ends["RWMutex, read"]; !errors.Is(err, futexlock.ErrOwnerDied) {
		t.Errorf("RWMutex, read: %v", err)
	}
	waitFor(t, "closed", func() bool { return shm.LoadInt64(&tell.Value().Stage) == 3 })
	for _, err := range shm.Check(what.Segment()) {
		t.Error(err)
	}
	if n := len(what.Segment().Participants()); n != 1 {
		t.Errorf("%d participants, want this process only", n)
	}
	p.Kill()
}

// Whoever is about to give back what it held is alive: nobody takes a lock over
// from it in the middle.
func TestCrashCloseRival(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	what, tell, p := estateOf(t, procstest.StopAt("futexlock.rwmutex.mourned", 1))
	v := what.Value()
	shm.StoreInt64(&tell.Value().Stage, 2)
	p.WaitStopped()
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	if err := v.RW.LockContext(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got the lock (%v) from one who was just burying its holder", err)
	} else if err := func() error { p.Cont(); return v.RW.Lock() }(); !errors.Is(err, futexlock.ErrOwnerDied) {
		t.Error(err)
	}
	p.Cont()
	waitFor(t, "closed", func() bool { return shm.LoadInt64(&tell.Value().Stage) == 3 })
	if ok, err := v.RW.TryRLock(); ok {
		t.Errorf("a reader got in beside the writer (%v)", err)
	}
	v.RW.Unlock()
	for _, err := range shm.Check(what.Segment()) {
		t.Error(err)
	}
}
