package futexlock_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"shmkit/futexlock"
	"shmkit/procs/procstest"
)

func init() {
	// rwpound: N rounds, one in eight of them writing, the others reading.
	acts["rwpound"] = func(ctx context.Context, t *table, n int) error {
		var wg sync.WaitGroup
		errs := make(chan error, 2)
		for g := range 2 {
			wg.Go(func() {
				for i := range n {
					var err error
					if (i+g)%8 == 0 {
						err = t.RW.Lock()
						if err == nil {
							err = t.Pair.work(false)
						}
						t.RW.Unlock()
					} else {
						err = t.RW.RLock()
						if a, b := atomic.LoadInt64(&t.Pair.A), atomic.LoadInt64(&t.Pair.B); a != b {
							err = fmt.Errorf("a reader saw %d and %d", a, b)
						}
						t.RW.RUnlock()
					}
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
	// rwwrite: holds for writing with the data half-written.
	acts["rwwrite"] = func(ctx context.Context, t *table, n int) error {
		if err := t.RW.Lock(); err != nil {
			return err
		}
		t.Pair.A++
		t.Step[0].Add(1)
		<-ctx.Done()
		return nil
	}
	// rwread: holds for reading in N goroutines.
	acts["rwread"] = func(ctx context.Context, t *table, n int) error {
		for range n {
			if err := t.RW.RLock(); err != nil {
				return err
			}
		}
		t.Step[1].Add(1)
		<-ctx.Done()
		return nil
	}
	// rwwant: waits to write, to read, or to write with a deadline of N ms.
	acts["rwwant"] = func(ctx context.Context, t *table, n int) error {
		t.Step[2].Add(1)
		if err := t.RW.Lock(); err != nil {
			return err
		}
		t.Count[0].Add(1)
		t.RW.Unlock()
		return nil
	}
	acts["rwwantread"] = func(ctx context.Context, t *table, n int) error {
		t.Step[3].Add(1)
		err := t.RW.RLock()
		if errors.Is(err, futexlock.ErrOwnerDied) {
			t.Count[2].Add(1)
		} else if err != nil {
			return err
		}
		t.Count[1].Add(1)
		t.RW.RUnlock()
		return nil
	}
}

func TestRWMutexExcludes(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	o, tab := newTable(t)
	const rounds = 8000
	var ps []*procstest.Proc
	for range 4 {
		ps = append(ps, play(t, o, "rwpound", rounds))
	}
	for _, p := range ps {
		if s := p.Wait(); s.Code != 0 {
			t.Error(s)
		}
	}
	if want := int64(4 * 2 * rounds / 8); tab.Pair.A != want || tab.Pair.B != want {
		t.Errorf("counted %d and %d, want %d", tab.Pair.A, tab.Pair.B, want)
	}
	if s := tab.RW.State(); s != "unlocked" {
		t.Errorf("residue: %s", s)
	}
}

// Readers go together, a writer waits for all of them, and who comes to read
// while a writer waits goes after it.
func TestRWMutexOrder(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	o, tab := newTable(t)
	r := play(t, o, "rwread", 3)
	await(t, &tab.Step[1], 1)
	if ok, err := tab.RW.TryRLock(); !ok || err != nil {
		t.Fatalf("a second process cannot read: %v, %v", ok, err)
	}
	if ok, _ := tab.RW.TryLock(); ok {
		t.Fatal("wrote while others read")
	}
	t.Log(tab.RW.State())
	w := play(t, o, "rwwant", 0)
	await(t, &tab.Step[2], 1)
	procstest.WaitBlocked(t, w.PID(), 1)
	if ok, _ := tab.RW.TryRLock(); ok {
		t.Fatal("read while a writer waits")
	}
	late := play(t, o, "rwwantread", 0)
	await(t, &tab.Step[3], 1)
	procstest.WaitBlocked(t, late.PID(), 1)
	tab.RW.RUnlock()
	if tab.Count[0].Load() != 0 {
		t.Fatal("the writer did not wait for the other process's readers")
	}
	// A reader dies: nobody is told, and the writer goes on.
	within(t, "writer granted after the kill of the last reader", 10*time.Millisecond, func() {
		r.Kill()
		if s := w.Wait(); s.Code != 0 {
			t.Error(s)
		}
	})
	if s := late.Wait(); s.Code != 0 {
		t.Error(s)
	}
	if tab.Count[0].Load() != 1 || tab.Count[1].Load() != 1 || tab.Count[2].Load() != 0 {
		t.Errorf("writers %d, readers %d, told %d", tab.Count[0].Load(), tab.Count[1].Load(), tab.Count[2].Load())
	}
}

func TestRWMutexWriterDied(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	o, tab := newTable(t)
	w := play(t, o, "rwwrite", 0)
	await(t, &tab.Step[0], 1)
	r := play(t, o, "rwwantread", 0)
	await(t, &tab.Step[3], 1)
	procstest.WaitBlocked(t, r.PID(), 1)
	within(t, "reader granted after the kill of the writer", 10*time.Millisecond, func() {
		w.Kill()
		if s := r.Wait(); s.Code != 0 {
			t.Error(s)
		}
	})
	if tab.Count[2].Load() != 1 {
		t.Error("the reader was not told")
	}
	if ok, err := tab.RW.TryRLock(); !ok || !errors.Is(err, futexlock.ErrOwnerDied) {
		t.Fatalf("TryRLock: %v, %v", ok, err)
	}
	mustPanic(t, "does not hold", tab.RW.Consistent) // a reader cannot repair
	tab.RW.RUnlock()
	if err := tab.RW.LockContext(seconds(t, 5)); !errors.Is(err, futexlock.ErrOwnerDied) {
		t.Fatalf("Lock: %v", err)
	}
	tab.RW.Consistent()
	tab.RW.Unlock()
	if err := tab.RW.RLock(); err != nil {
		t.Fatalf("after Consistent: %v", err)
	}
	tab.RW.RUnlock()
}

// A writer that dies while it waits for readers leaves nothing to tell.
func TestRWMutexWaitingWriterDied(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	o, tab := newTable(t)
	if err := tab.RW.RLock(); err != nil {
		t.Fatal(err)
	}
	w := play(t, o, "rwwant", 0)
	await(t, &tab.Step[2], 1)
	procstest.WaitBlocked(t, w.PID(), 1)
	r := play(t, o, "rwwantread", 0)
	await(t, &tab.Step[3], 1)
	procstest.WaitBlocked(t, r.PID(), 1)
	w.Kill()
	if s := r.Wait(); s.Code != 0 {
		t.Error(s)
	}
	tab.RW.RUnlock()
	if err := tab.RW.LockContext(seconds(t, 5)); err != nil {
		t.Errorf("after the death of a writer that was never inside: %v", err)
	}
	tab.RW.Unlock()
	if s := tab.RW.State(); s != "unlocked" || tab.Count[2].Load() != 0 {
		t.Errorf("residue: %s, told %d", s, tab.Count[2].Load())
	}
}

func TestRWMutexContext(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	o, tab := newTable(t)
	done, cancel := context.WithCancel(context.Background())
	cancel()
	if err := tab.RW.LockContext(done); err != nil {
		t.Fatalf("a free lock, a done context: %v", err)
	}
	if err := tab.RW.LockContext(done); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if err := tab.RW.RLockContext(done); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	tab.RW.Unlock()
	if err := tab.RW.RLockContext(done); err != nil {
		t.Fatal(err)
	}
	// A writer gives up: the readers that waited behind it go on.
	ctx, stop := context.WithCancel(context.Background())
	gone := make(chan error)
	go func() { gone <- tab.RW.LockContext(ctx) }()
	procstest.WaitBlocked(t, 0, 1)
	r := play(t, o, "rwwantread", 0)
	await(t, &tab.Step[3], 1)
	procstest.WaitBlocked(t, r.PID(), 1)
	stop()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if s := r.Wait(); s.Code != 0 {
		t.Error(s)
	}
	tab.RW.RUnlock()
	if s := tab.RW.State(); s != "unlocked" {
		t.Errorf("residue: %s", s)
	}
}

// More processes read than there are cells: the rest reads alone.
func TestRWMutexManyReaders(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	o, tab := newTable(t)
	var ps []*procstest.Proc
	for range futexlock.ReaderCells {
		ps = append(ps, play(t, o, "rwread", 1))
	}
	await(t, &tab.Step[1], futexlock.ReaderCells)
	t.Log(tab.RW.State())
	if ok, _ := tab.RW.TryRLock(); ok {
		t.Fatal("one process more than there are cells read at once with the others")
	}
	got := make(chan error)
	go func() { got <- tab.RW.RLock() }()
	procstest.WaitBlocked(t, 0, 1)
	for _, p := range ps {
		p.Kill()
	}
	if err := <-got; err != nil {
		t.Fatal(err)
	}
	t.Log(tab.RW.State())
	tab.RW.RUnlock()
	if s := tab.RW.State(); s != "unlocked" {
		t.Errorf("residue: %s", s)
	}
}

func TestRWMutexMisuse(t *testing.T) {
	_, tab := newTable(t)
	mustPanic(t, "does not hold", tab.RW.Unlock)
	mustPanic(t, "does not hold", tab.RW.RUnlock)
	tab.RW.RLock()
	mustPanic(t, "does not hold", tab.RW.Unlock)
	tab.RW.RUnlock()
	tab.RW.Lock()
	mustPanic(t, "does not hold", tab.RW.RUnlock)
	tab.RW.Unlock()
}
