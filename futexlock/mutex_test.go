package futexlock_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"shmkit/futexlock"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

func init() {
	// pound: N rounds of two goroutines in the mutex.
	acts["pound"] = func(ctx context.Context, t *table, n int) error {
		var wg sync.WaitGroup
		errs := make(chan error, 2)
		for range 2 {
			wg.Go(func() {
				for range n {
					err := t.Mu.Lock()
					if err == nil {
						err = t.Pair.work(false)
					}
					t.Mu.Unlock()
					if err != nil {
						errs <- err
						return
					}
				}
			})
		}
		wg.Wait()
		close(errs)
		return <-errs
	}
	// hold: takes the mutex, leaves the data half-written, and waits.
	acts["hold"] = func(ctx context.Context, t *table, n int) error {
		err := t.Mu.Lock()
		if err != nil && !errors.Is(err, futexlock.ErrOwnerDied) {
			return err
		}
		if n > 0 { // repairs what the last one left
			t.Pair.B = t.Pair.A
			t.Mu.Consistent()
		}
		t.Pair.A++
		t.Step[0].Add(1)
		<-ctx.Done()
		return nil
	}
	// want: takes the mutex once, says what it was told, and lets go.
	acts["want"] = func(ctx context.Context, t *table, n int) error {
		t.Step[1].Add(1)
		err := t.Mu.LockContext(ctx)
		switch {
		case err == nil:
			t.Count[0].Add(1)
		case errors.Is(err, futexlock.ErrOwnerDied):
			t.Count[1].Add(1)
		default:
			return err
		}
		t.Mu.Unlock()
		return nil
	}
	// exec: takes the mutex and becomes another program.
	acts["exec"] = func(ctx context.Context, t *table, n int) error {
		t.Mu.Lock()
		t.Step[0].Add(1)
		return syscall.Exec("/bin/sleep", []string{"sleep", "60"}, os.Environ())
	}
	// leave: takes the mutex and ends without unlocking it.
	acts["leave"] = func(ctx context.Context, t *table, n int) error { return t.Mu.Lock() }
	// steal: unlocks what another holds.
	acts["steal"] = func(ctx context.Context, t *table, n int) (err error) {
		defer func() { err = fmt.Errorf("panic: %v", recover()) }()
		t.Mu.Unlock()
		return nil
	}
}

// Four processes of two goroutines each, mapped wherever their kernel likes.
func TestMutexExcludes(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	o, tab := newTable(t)
	const rounds = 20000
	var ps []*procstest.Proc
	for range 4 {
		ps = append(ps, play(t, o, "pound", rounds))
	}
	for _, p := range ps {
		if s := p.Wait(); s.Code != 0 {
			t.Error(s)
		}
	}
	if tab.Pair.A != 8*rounds || tab.Pair.B != 8*rounds {
		t.Errorf("counted %d and %d, want %d", tab.Pair.A, tab.Pair.B, 8*rounds)
	}
	if s := tab.Mu.State(); s != "unlocked" {
		t.Errorf("residue: %s", s)
	}
}

// The holder is killed; a waiter that was asleep, and one that comes later, and
// one that only tries, hold the lock and are told; after Consistent nobody is.
func TestMutexOwnerDied(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	o, tab := newTable(t)
	p := play(t, o, "hold", 0)
	await(t, &tab.Step[0], 1)
	if owner, ok := tab.Mu.Owner(); !ok || owner.PID != p.PID() || owner.Dead {
		t.Errorf("owner %v, want pid %d", owner, p.PID())
	}
	w := play(t, o, "want", 0)
	await(t, &tab.Step[1], 1)
	procstest.WaitBlocked(t, w.PID(), 1)
	within(t, "asleep, granted after the kill", 10*time.Millisecond, func() {
		p.Kill()
		if s := w.Wait(); s.Code != 0 {
			t.Error(s)
		}
	})
	if tab.Count[1].Load() != 1 {
		t.Errorf("the waiter was told %d times, want once", tab.Count[1].Load())
	}
	// It said nothing about the data: the next one is told as well.
	ok, err := tab.Mu.TryLock()
	if !ok || !errors.Is(err, futexlock.ErrOwnerDied) {
		t.Fatalf("TryLock: %v, %v", ok, err)
	}
	tab.Mu.Unlock()
	if err := tab.Mu.LockContext(seconds(t, 5)); !errors.Is(err, futexlock.ErrOwnerDied) {
		t.Fatalf("LockContext: %v", err)
	}
	tab.Mu.Consistent()
	tab.Mu.Unlock()
	if err := tab.Mu.Lock(); err != nil {
		t.Fatalf("after Consistent: %v", err)
	}
	tab.Mu.Unlock()
	if s := tab.Mu.State(); s != "unlocked" {
		t.Errorf("residue: %s", s)
	}
}

// Three holders die one after the other, each having repaired what the one
// before left; and a recoverer dies before it says so.
func TestMutexChainOfDeaths(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	o, tab := newTable(t)
	for i := range 4 {
		p := play(t, o, "hold", i%2) // every second one repairs
		await(t, &tab.Step[0], uint32(i+1))
		p.Kill()
	}
	if err := tab.Mu.Lock(); !errors.Is(err, futexlock.ErrOwnerDied) {
		t.Fatalf("after four deaths: %v", err)
	}
	tab.Mu.Consistent()
	tab.Mu.Unlock()
}

// A process that ends without unlocking, by whatever way, is a dead holder.
func TestMutexHolderEnds(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	o, tab := newTable(t)
	for _, name := range []string{"leave", "exec"} {
		p := play(t, o, name, 0)
		if name == "exec" {
			await(t, &tab.Step[0], 1)
		} else if s := p.Wait(); s.Code != 0 {
			t.Fatal(s)
		}
		within(t, "granted after the end by "+name, 100*time.Millisecond, func() {
			if err := tab.Mu.LockContext(seconds(t, 10)); !errors.Is(err, futexlock.ErrOwnerDied) {
				t.Errorf("%s: %v", name, err)
			}
		})
		tab.Mu.Consistent()
		tab.Mu.Unlock()
		p.Kill()
	}
}

// A stopped holder is alive, for however long; killed while stopped it is dead.
func TestMutexStoppedHolder(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	o, tab := newTable(t)
	p := play(t, o, "hold", 0)
	await(t, &tab.Step[0], 1)
	p.Stop()
	ctx, cancel := context.WithTimeout(context.Background(), 1500*time.Millisecond)
	defer cancel()
	if err := tab.Mu.LockContext(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("the holder stands still: %v", err)
	}
	within(t, "granted after the kill of the stopped", 10*time.Millisecond, func() {
		p.Kill()
		if err := tab.Mu.Lock(); !errors.Is(err, futexlock.ErrOwnerDied) {
			t.Errorf("killed while stopped: %v", err)
		}
	})
	tab.Mu.Consistent()
	tab.Mu.Unlock()
}

func TestMutexMisuse(t *testing.T) {
	o, tab := newTable(t)
	mustPanic(t, "it is free", tab.Mu.Unlock)
	mustPanic(t, "it is free", tab.Mu.Consistent)
	var m futexlock.Mutex
	mustPanic(t, "no attached segment", func() { m.Lock() })
	mustPanic(t, "no attached segment", func() { m.Unlock() })
	mustPanic(t, "no attached segment", func() { m.TryLock() })

	tab.Mu.Lock()
	p := play(t, o, "steal", 0)
	if s := p.Wait(); s.Code != 1 {
		t.Errorf("a process unlocked what another holds: %v", s)
	} else {
		t.Log(s.Err)
	}
	if ok, _ := tab.Mu.TryLock(); ok {
		t.Error("locked twice")
	}
	// Ownership belongs to the process, not to the goroutine.
	done := make(chan bool)
	go func() { tab.Mu.Unlock(); close(done) }()
	<-done
	if s := tab.Mu.State(); s != "unlocked" {
		t.Error(s)
	}
}

// A word with any holder that never was is taken over, not waited for.
func TestMutexFlippedBits(t *testing.T) {
	o, err := shm.New[table](shm.WithOwnSegment())
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	tab := o.Value()
	off, _ := shm.Offset(o.Segment(), &tab.Mu)
	words, err := shm.SliceAt[uint32](o.Segment(), off, 1)
	if err != nil {
		t.Fatal(err)
	}
	for bit := range 32 {
		words[0] = 1 << bit
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		err := tab.Mu.LockContext(ctx)
		cancel()
		if err != nil && !errors.Is(err, futexlock.ErrOwnerDied) {
			t.Errorf("bit %d: %v", bit, err)
			continue
		}
		tab.Mu.Consistent()
		tab.Mu.Unlock()
	}
	words[0] = 0
}
