package futexlock_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"shmkit/futexlock"
	"shmkit/procs/procstest"
)

func init() {
	// once: runs the Once; its own run waits for a signal if N > 0.
	acts["once"] = func(ctx context.Context, t *table, n int) error {
		t.Step[0].Add(1)
		return t.Once.Do(func() error {
			t.Count[0].Add(1)
			t.Step[1].Add(1)
			if n > 0 {
				<-ctx.Done()
			}
			t.Pair.A = 42
			return nil
		})
	}
	// event: waits for the event; then for its end, and again, N times.
	acts["event"] = func(ctx context.Context, t *table, n int) error {
		for range n {
			t.Step[0].Add(1)
			if err := t.Event.Wait(ctx); err != nil {
				return err
			}
			t.Count[0].Add(1)
			for t.Event.IsSet() {
				time.Sleep(10 * time.Microsecond)
			}
		}
		return nil
	}
	// task: takes a task, and does it, or keeps it if N > 0.
	acts["task"] = func(ctx context.Context, t *table, n int) error {
		if err := t.Group.Take(); err != nil {
			return err
		}
		t.Step[0].Add(1)
		if n > 0 {
			<-ctx.Done()
		}
		t.Group.Done()
		return nil
	}
	// tasks: adds and does N tasks in two goroutines, never without one.
	acts["tasks"] = func(ctx context.Context, t *table, n int) error {
		if err := t.Group.Take(); err != nil {
			return err
		}
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				for range n {
					t.Group.Add(1)
					t.Count[1].Add(1)
					t.Group.Done()
				}
			})
		}
		wg.Wait()
		t.Count[2].Add(1)
		t.Group.Done()
		return nil
	}
	// recursive: tries to lock what another process has locked.
	acts["recursive"] = func(ctx context.Context, t *table, n int) error {
		h := futexlock.NewHolder()
		if ok, _ := t.Rec.TryLock(h); ok {
			return errors.New("locked what another process holds")
		}
		t.Step[0].Add(1)
		if err := t.Rec.Lock(h); err != nil {
			return err
		}
		for range n {
			t.Rec.Lock(h)
		}
		t.Step[1].Add(1)
		<-ctx.Done()
		return nil
	}
}

func TestOnce(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	o, tab := newTable(t)
	fails := errors.New("fails")
	if err := tab.Once.Do(func() error { return fails }); !errors.Is(err, fails) || tab.Once.Done() {
		t.Fatalf("a failing run: %v", err)
	}
	func() {
		defer func() { recover() }()
		tab.Once.Do(func() error { panic("f") })
	}()
	if tab.Once.State() != "not done" {
		t.Fatalf("after a panic: %s", tab.Once.State())
	}
	// The runner dies; of those that wait one runs again, once.
	victim := play(t, o, "once", 1)
	await(t, &tab.Step[1], 1)
	t.Log(tab.Once.State())
	var ps []*procstest.Proc
	for range 4 {
		p := play(t, o, "once", 0)
		ps = append(ps, p)
		procstest.WaitBlocked(t, p.PID(), 1)
	}
	within(t, "run again after the kill", 10*time.Millisecond, func() {
		victim.Kill()
		for !tab.Once.Done() { // the end of the others is theirs
			time.Sleep(50 * time.Microsecond)
		}
	})
	for _, p := range ps {
		if s := p.Wait(); s.Code != 0 {
			t.Error(s)
		}
	}
	if tab.Count[0].Load() != 2 || !tab.Once.Done() || tab.Pair.A != 42 {
		t.Errorf("ran %d times; %s", tab.Count[0].Load(), tab.Once.State())
	}
	if err := tab.Once.Do(func() error { return fails }); err != nil {
		t.Error(err)
	}
}

// E1, and a pulse: who was asleep when the event was set returns, even if it
// is cleared at once.
func TestEvent(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	o, tab := newTable(t)
	start := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
	defer cancel()
	if err := tab.Event.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) < 30*time.Millisecond {
		t.Errorf("%v after %v", err, time.Since(start))
	}
	if tab.Event.IsSet() {
		t.Error("set")
	}
	var ps []*procstest.Proc
	for range 3 {
		ps = append(ps, play(t, o, "event", 3))
	}
	for i := range 3 {
		for _, p := range ps {
			await(t, &tab.Step[0], uint32(3*(i+1)))
			procstest.WaitBlocked(t, p.PID(), 1)
		}
		tab.Event.Set()
		tab.Event.Clear()
	}
	for _, p := range ps {
		if s := p.Wait(); s.Code != 0 {
			t.Error(s)
		}
	}
	if tab.Count[0].Load() != 9 {
		t.Errorf("%d wakes, want 9", tab.Count[0].Load())
	}
	tab.Event.Set()
	if err := tab.Event.Wait(ctx); err != nil || !tab.Event.IsSet() {
		t.Errorf("a set event and a done context: %v", err)
	}
}

func TestWaitGroup(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	o, tab := newTable(t)
	if err := tab.Group.Wait(seconds(t, 1)); err != nil {
		t.Fatal(err)
	}
	if err := tab.Group.Take(); !errors.Is(err, futexlock.ErrNoTask) {
		t.Errorf("Take of nothing: %v", err)
	}
	tab.Group.Add(3)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := tab.Group.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with tasks: %v", err)
	}
	for range 3 {
		play(t, o, "task", 0)
	}
	if err := tab.Group.Wait(seconds(t, 10)); err != nil {
		t.Error(err)
	}
	if n := tab.Step[0].Load(); n != 3 {
		t.Errorf("%d tasks were taken", n)
	}
	mustPanic(t, "has no task", tab.Group.Done)
	mustPanic(t, "has no task", func() { tab.Group.Add(-1) })
}

// Wait does not return while there is a task, however fast tasks come and go,
// and does when there is none.
func TestWaitGroupTraffic(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	o, tab := newTable(t)
	const n = 20000
	tab.Group.Add(3)
	for range 3 {
		play(t, o, "tasks", n)
	}
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			if err := tab.Group.Wait(seconds(t, 30)); err != nil {
				t.Error(err)
			}
			if c := tab.Count[1].Load(); c != 3*2*n || tab.Count[2].Load() != 3 {
				t.Errorf("Wait returned after %d of %d tasks", c, 3*2*n)
			}
		})
	}
	wg.Wait()
}

func TestWaitGroupOwnerDied(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	o, tab := newTable(t)
	tab.Group.Add(2)
	victim := play(t, o, "task", 1)
	await(t, &tab.Step[0], 1)
	got := make(chan error)
	go func() { got <- tab.Group.Wait(seconds(t, 20)) }()
	procstest.WaitBlocked(t, 0, 1)
	tab.Group.Done()
	procstest.WaitBlocked(t, 0, 1)
	within(t, "told after the kill", 10*time.Millisecond, func() {
		victim.Kill()
		if err := <-got; !errors.Is(err, futexlock.ErrOwnerDied) {
			t.Error(err)
		}
	})
	if open, lost := tab.Group.Tasks(); open != 0 || lost != 1 {
		t.Errorf("%d open, %d lost", open, lost)
	}
	// A replacement takes the lost task over.
	if s := play(t, o, "task", 0).Wait(); s.Code != 0 {
		t.Error(s)
	}
	if err := tab.Group.Wait(seconds(t, 10)); err != nil {
		t.Error(err)
	}
	// Or everybody forgets it.
	tab.Group.Add(1)
	victim = play(t, o, "task", 1)
	await(t, &tab.Step[0], 3)
	victim.Kill()
	if err := tab.Group.Wait(seconds(t, 10)); !errors.Is(err, futexlock.ErrOwnerDied) {
		t.Error(err)
	}
	tab.Group.Reset()
	if err := tab.Group.Wait(seconds(t, 10)); err != nil {
		t.Error(err)
	}
}

// 70 processes die with a task each: more than there are cells.
func TestWaitGroupManyDeaths(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	o, tab := newTable(t)
	const n = futexlock.TaskProcesses + 6
	for i := range n {
		if err := tab.Group.Add(1); err != nil {
			t.Fatal(err)
		}
		p := play(t, o, "task", 1)
		await(t, &tab.Step[0], uint32(i+1))
		p.Kill()
	}
	tab.Group.Add(1)
	tab.Group.Done()
	if _, lost := tab.Group.Tasks(); lost != n {
		t.Errorf("%d lost, want %d", lost, n)
	}
	tab.Group.Reset()
}

func TestRecursiveMutex(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	o, tab := newTable(t)
	r, h, other := &tab.Rec, futexlock.NewHolder(), futexlock.NewHolder()
	for range 3 {
		if err := r.Lock(h); err != nil {
			t.Fatal(err)
		}
	}
	if ok, _ := r.TryLock(other); ok {
		t.Error("another holder of this process got in")
	}
	mustPanic(t, "another Holder", func() { r.Unlock(other) })
	mustPanic(t, "zero Holder", func() { r.Lock(futexlock.Holder{}) })
	if ok, err := r.TryLock(h); !ok || err != nil {
		t.Errorf("again by trying: %v, %v", ok, err)
	}
	p := play(t, o, "recursive", 5)
	await(t, &tab.Step[0], 1)
	procstest.WaitBlocked(t, p.PID(), 1)
	for range 4 {
		if tab.Step[1].Load() != 0 {
			t.Error("released before the last unlock")
		}
		r.Unlock(h)
	}
	await(t, &tab.Step[1], 1)
	mustPanic(t, "is held by", func() { r.Unlock(h) })
	t.Log(r.State())
	p.Kill()
	// However often the dead one had locked it, we have locked it once.
	if err := r.LockContext(seconds(t, 5), h); !errors.Is(err, futexlock.ErrOwnerDied) {
		t.Fatal(err)
	}
	// It is told until it says Consistent, inside as well.
	if err := r.Lock(h); !errors.Is(err, futexlock.ErrOwnerDied) {
		t.Errorf("again, after a death: %v", err)
	}
	if ok, err := r.TryLock(h); !ok || !errors.Is(err, futexlock.ErrOwnerDied) {
		t.Errorf("again by trying, after a death: %v, %v", ok, err)
	}
	r.Consistent(h)
	if err := r.Lock(h); err != nil {
		t.Errorf("again, after Consistent: %v", err)
	}
	for range 4 {
		r.Unlock(h)
	}
	mustPanic(t, "it is free", func() { r.Unlock(h) })
	if s := r.State(); s != "unlocked" {
		t.Errorf("residue: %s", s)
	}
}
