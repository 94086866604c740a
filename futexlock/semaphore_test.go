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
	// own: takes N owned permits and keeps them.
	acts["own"] = func(ctx context.Context, t *table, n int) error {
		for range n {
			if _, err := t.Sem.AcquireOwned(ctx); err != nil {
				return err
			}
		}
		t.Step[0].Add(1)
		<-ctx.Done()
		return nil
	}
	// acquire: takes N permits at once and ends.
	acts["acquire"] = func(ctx context.Context, t *table, n int) error {
		t.Step[1].Add(1)
		if err := t.Sem.Acquire(ctx, uint32(n)); err != nil {
			return err
		}
		t.Step[2].Add(1)
		return nil
	}
	// sempound: N rounds with the semaphore as a lock, taken in every way.
	acts["sempound"] = func(ctx context.Context, t *table, n int) error {
		var wg sync.WaitGroup
		errs := make(chan error, 2)
		for g := range 2 {
			wg.Go(func() {
				for i := range n {
					give := func() { t.Sem.Release(1) }
					if (i+g)%2 == 0 {
						p, err := t.Sem.AcquireOwned(ctx)
						if err != nil {
							errs <- err
							return
						}
						give = p.Release
					} else if err := t.Sem.Acquire(ctx, 1); err != nil {
						errs <- err
						return
					}
					if err := t.Pair.work(false); err != nil {
						errs <- err
						return
					}
					give()
				}
			})
		}
		wg.Wait()
		close(errs)
		return <-errs
	}
}

// Python's cases: a Semaphore counts without a bound, a BoundedSemaphore ends
// at its maximum, value unchanged.
func TestSemaphoreCounts(t *testing.T) {
	_, tab := newTable(t)
	s := &tab.Sem
	for _, max := range []uint32{0, 2, 200} {
		if err := s.Init(2, max); err != nil {
			t.Fatal(err)
		}
		want := func(v uint32) {
			t.Helper()
			if s.Value() != v {
				t.Errorf("max %d: value %d, want %d", max, s.Value(), v)
			}
		}
		want(2)
		for v := uint32(1); v < 2; v-- {
			if !s.TryAcquire(1) {
				t.Error("TryAcquire failed")
			}
			want(v)
		}
		if s.TryAcquire(1) {
			t.Error("took what was not there")
		}
		want(0)
		for v := range uint32(2) {
			if err := s.Release(1); err != nil {
				t.Error(err)
			}
			want(v + 1)
		}
		err := s.Release(1)
		if max == 2 && !errors.Is(err, futexlock.ErrOverflow) || max != 2 && err != nil {
			t.Errorf("max %d: release above 2: %v", max, err)
		}
	}
	s.Init(0, 3)
	if err := s.Release(4); !errors.Is(err, futexlock.ErrOverflow) || s.Value() != 0 {
		t.Errorf("Release(4) of at most 3: %v, value %d", err, s.Value())
	}
	if err := s.Release(3); err != nil || s.Value() != 3 {
		t.Errorf("Release(3): %v, value %d", err, s.Value())
	}
	if s.TryAcquire(4) || !s.TryAcquire(2) || s.Value() != 1 || s.TryAcquire(2) {
		t.Errorf("weighted: value %d", s.Value())
	}
	if err := s.Acquire(context.Background(), 4); !errors.Is(err, futexlock.ErrOverflow) {
		t.Errorf("Acquire above the maximum: %v", err)
	}
	if err := s.Init(3, 2); !errors.Is(err, futexlock.ErrOverflow) {
		t.Errorf("Init(3, 2): %v", err)
	}
	s.Init(1, 0)
	if _, err := s.AcquireOwned(context.Background()); !errors.Is(err, futexlock.ErrTooManyHolders) {
		t.Errorf("AcquireOwned without a maximum: %v", err)
	}
}

// L8: what is not there is not waited for longer than asked.
func TestSemaphoreTimeouts(t *testing.T) {
	_, tab := newTable(t)
	for _, max := range []uint32{0, 3} {
		tab.Sem.Init(0, max)
		for _, d := range []time.Duration{0, 20 * time.Millisecond, 130 * time.Millisecond} {
			start := time.Now()
			ctx, cancel := context.WithTimeout(context.Background(), d)
			err := tab.Sem.Acquire(ctx, 1)
			took := time.Since(start)
			cancel()
			if !errors.Is(err, context.DeadlineExceeded) || took < d || took > d+2*time.Second {
				t.Errorf("timeout %v: %v after %v", d, err, took)
			}
			t.Logf("timeout %v: late by %v", d, took-d)
		}
		if err := tab.Sem.Release(1); err != nil || tab.Sem.Value() != 1 {
			t.Errorf("after the timeouts: %v, value %d", err, tab.Sem.Value())
		}
	}
}

// A post wakes exactly one of those who wait.
func TestSemaphoreWakesOne(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	for _, max := range []uint32{0, 5} {
		o, tab := newTable(t)
		tab.Sem.Init(0, max)
		var ps []*procstest.Proc
		for range 3 {
			ps = append(ps, play(t, o, "acquire", 1))
		}
		for _, p := range ps {
			procstest.WaitBlocked(t, p.PID(), 1)
		}
		for i := range uint32(3) {
			if err := tab.Sem.Release(1); err != nil {
				t.Fatal(err)
			}
			await(t, &tab.Step[2], i+1)
			if n := tab.Step[2].Load(); n != i+1 || tab.Sem.Value() != 0 {
				t.Errorf("%d got in after %d posts, value %d", n, i+1, tab.Sem.Value())
			}
		}
		for _, p := range ps {
			p.Wait()
		}
	}
}

func TestSemaphoreExcludes(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	o, tab := newTable(t)
	tab.Sem.Init(1, 1)
	const rounds = 5000
	var ps []*procstest.Proc
	for range 3 {
		ps = append(ps, play(t, o, "sempound", rounds))
	}
	for _, p := range ps {
		if s := p.Wait(); s.Code != 0 {
			t.Error(s)
		}
	}
	if tab.Pair.A != 6*rounds || tab.Sem.Value() != 1 {
		t.Errorf("counted %d, value %d", tab.Pair.A, tab.Sem.Value())
	}
}

// Owned permits come back, all of them and exactly, when their holder dies;
// the waiter for them gets one.
func TestSemaphoreOwnerDied(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	o, tab := newTable(t)
	tab.Sem.Init(3, 3)
	p := play(t, o, "own", 2)
	await(t, &tab.Step[0], 1)
	mine, err := tab.Sem.AcquireOwned(seconds(t, 5))
	if err != nil {
		t.Fatal(err)
	}
	w := play(t, o, "acquire", 1)
	await(t, &tab.Step[1], 1)
	procstest.WaitBlocked(t, w.PID(), 1)
	t.Log(tab.Sem.State())
	within(t, "permit granted after the kill", 10*time.Millisecond, func() {
		p.Kill()
		if s := w.Wait(); s.Code != 0 {
			t.Error(s)
		}
	})
	if v := tab.Sem.Value(); v != 1 {
		t.Errorf("value %d, want 1: one is ours, one went with Acquire", v)
	}
	mine.Release()
	mustPanic(t, "or no longer", mine.Release)
	if err := tab.Sem.Release(1); err != nil {
		t.Error(err)
	}
	if err := tab.Sem.Release(1); !errors.Is(err, futexlock.ErrOverflow) {
		t.Errorf("above the maximum: %v", err)
	}
	if v := tab.Sem.Value(); v != 3 {
		t.Errorf("value %d, want 3", v)
	}
	mustPanic(t, "zero Permit", futexlock.Permit{}.Release)
}
