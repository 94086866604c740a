package futexlock_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"shmkit/futexlock"
	"shmkit/procs/procstest"
)

func init() {
	// condwait: waits once, N ms at most (0: for ever), and says how it ended.
	acts["condwait"] = func(ctx context.Context, t *table, n int) error {
		if n > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, time.Duration(n)*time.Millisecond)
			defer cancel()
		}
		if err := t.Mu.Lock(); err != nil {
			return err
		}
		t.Step[0].Add(1)
		err := t.Cond.Wait(ctx, &t.Mu)
		switch {
		case err == nil:
			t.Count[0].Add(1)
		case errors.Is(err, context.DeadlineExceeded):
			t.Count[1].Add(1)
		case errors.Is(err, futexlock.ErrOwnerDied):
			t.Count[2].Add(1)
		default:
			return err
		}
		t.Step[1].Add(1)
		t.Mu.Unlock() // panics if Wait came back without the mutex
		return nil
	}
	// condstate: Python's wait_for case: announces state 0, waits for 4.
	acts["condstate"] = func(ctx context.Context, t *table, n int) error {
		if n > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, time.Duration(n)*time.Millisecond)
			defer cancel()
		}
		t.Mu.Lock()
		defer t.Mu.Unlock()
		t.Pair.A = 0
		t.Step[2].Store(1)
		t.Cond.Signal()
		return t.Cond.WaitFor(ctx, &t.Mu, func() bool { return t.Pair.A == 4 })
	}
	// condtake, condmake: N items through a box of one, every one announced
	// by one signal.
	acts["condtake"] = func(ctx context.Context, t *table, n int) error {
		for range n {
			t.Mu.Lock()
			err := t.Cond.WaitFor(ctx, &t.Mu, func() bool { return t.Pair.A > 0 })
			if err == nil {
				t.Pair.A--
				t.Pair.B++
			}
			t.Mu.Unlock()
			if err != nil {
				return err
			}
		}
		return nil
	}
	acts["condmake"] = func(ctx context.Context, t *table, n int) error {
		for i := range n {
			t.Mu.Lock()
			t.Pair.A++
			if i%2 == 0 {
				t.Cond.Signal()
			}
			t.Mu.Unlock()
			if i%2 == 1 {
				t.Cond.Signal()
			}
		}
		return nil
	}
}

// C1: one notification, one waiter; what comes when nobody waits is lost.
func TestCondSignal(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	o, tab := newTable(t)
	tab.Cond.Signal()
	tab.Cond.Broadcast()
	p := play(t, o, "condwait", 0)
	await(t, &tab.Step[0], 1)
	procstest.WaitBlocked(t, p.PID(), 1)
	go acts["condwait"](context.Background(), tab, 0)
	await(t, &tab.Step[0], 2)
	procstest.WaitBlocked(t, 0, 1)
	if n := tab.Count[0].Load(); n != 0 {
		t.Fatalf("%d woke before the first signal", n)
	}
	for i := range uint32(2) {
		tab.Mu.Lock()
		tab.Cond.Signal()
		tab.Mu.Unlock()
		await(t, &tab.Step[1], i+1)
	}
	p.Wait()
	if s := tab.Cond.State(); s != "waiters" && s != "nobody waits" {
		t.Errorf("residue: %s", s)
	}
	tab.Cond.Signal() // finds nobody, and drops the flag
	if s := tab.Cond.State(); s != "nobody waits" {
		t.Errorf("residue: %s", s)
	}
}

// C2: everybody's timeout, then a notification for all, in processes and in
// goroutines.
func TestCondBroadcast(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	o, tab := newTable(t)
	start := func(ms int) (wait func()) {
		tab.Step[0].Store(0)
		var wg sync.WaitGroup
		for range 3 {
			p := play(t, o, "condwait", ms)
			wg.Go(func() { p.Wait() })
			wg.Go(func() { acts["condwait"](context.Background(), tab, ms) })
		}
		await(t, &tab.Step[0], 6)
		return wg.Wait
	}
	start(50)()
	if n := tab.Count[1].Load(); n != 6 && !(withoutWaitv() && n+tab.Count[0].Load() == 6) {
		// Without futex_waitv one waiter's cancel can wake another.
		t.Errorf("%d timed out, want 6", n)
	}
	tab.Count[0].Store(0)
	wait := start(0)
	tab.Mu.Lock() // all six are in Wait now
	tab.Cond.Broadcast()
	tab.Mu.Unlock()
	wait()
	if n := tab.Count[0].Load(); n != 6 {
		t.Errorf("%d were woken, want 6", n)
	}
}

// C4, C3: a timeout is never early, and the mutex is held again after it, even
// if another process keeps it beyond the deadline.
func TestCondTimeout(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	o, tab := newTable(t)
	start := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	tab.Mu.Lock()
	err := tab.Cond.Wait(ctx, &tab.Mu)
	if d := time.Since(start); !errors.Is(err, context.DeadlineExceeded) || d < 50*time.Millisecond {
		t.Errorf("%v after %v", err, d)
	}
	p := play(t, o, "condwait", 500)
	tab.Mu.Unlock()
	await(t, &tab.Step[0], 1)
	tab.Mu.Lock() // from inside its Wait until well after its deadline
	if tab.Step[1].Load() != 0 {
		t.Fatal("this machine was away for 500 ms: the test says nothing")
	}
	// Its wait is over when it wants the mutex back.
	for !strings.Contains(tab.Mu.State(), "waiters") {
		time.Sleep(time.Millisecond)
	}
	procstest.WaitBlocked(t, p.PID(), 1)
	if d := time.Since(start); d < 550*time.Millisecond {
		t.Errorf("both waits were over after %v, they had 50 and 500 ms", d)
	}
	if tab.Step[1].Load() != 0 {
		t.Error("Wait returned while another process held the mutex")
	}
	tab.Mu.Unlock()
	p.Wait()
	if tab.Count[1].Load() != 1 {
		t.Error("the waiter did not see its deadline")
	}
}

// C5, C6: waiting for a predicate.
func TestCondWaitFor(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	for _, c := range []struct{ steps, ms int }{{4, 0}, {3, 100}} {
		o, tab := newTable(t)
		tab.Pair.A = -1
		p := play(t, o, "condstate", c.ms)
		tab.Mu.Lock()
		if err := tab.Cond.WaitFor(seconds(t, 10), &tab.Mu, func() bool { return tab.Pair.A == 0 }); err != nil {
			t.Error(err)
		}
		tab.Mu.Unlock()
		for range c.steps {
			tab.Mu.Lock()
			tab.Pair.A++
			tab.Cond.Signal()
			tab.Mu.Unlock()
		}
		if s := p.Wait(); (s.Code == 0) != (c.steps == 4) {
			t.Errorf("%d steps: %v", c.steps, s)
		}
	}
}

// Every signal makes progress: a lost one would hang both sides.
func TestCondNoLostWake(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	o, tab := newTable(t)
	const n = 4000
	var ps []*procstest.Proc
	for range 2 {
		ps = append(ps, play(t, o, "condtake", n), play(t, o, "condmake", n))
	}
	for _, p := range ps {
		if s := p.Wait(); s.Code != 0 {
			t.Error(s)
		}
	}
	if tab.Pair.A != 0 || tab.Pair.B != 2*n {
		t.Errorf("%d left, %d taken", tab.Pair.A, tab.Pair.B)
	}
}

// The holder of the mutex dies between changing the condition and signalling:
// waiters are not left asleep, they are told.
func TestCondHolderDied(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	o, tab := newTable(t)
	w := play(t, o, "condwait", 0)
	await(t, &tab.Step[0], 1)
	procstest.WaitBlocked(t, w.PID(), 1)
	tab.Step[0].Store(0)
	p := play(t, o, "hold", 0)
	await(t, &tab.Step[0], 1)
	within(t, "waiter told after the kill", 10*time.Millisecond, func() {
		p.Kill()
		w.Wait()
	})
	if tab.Count[2].Load() != 1 {
		t.Errorf("woken %d, told %d", tab.Count[0].Load(), tab.Count[2].Load())
	}
}

// A waiter that was asleep is killed: the next signal finds another.
func TestCondWaiterDied(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	o, tab := newTable(t)
	first := play(t, o, "condtake", 1)
	procstest.WaitBlocked(t, first.PID(), 1)
	second := play(t, o, "condtake", 1)
	procstest.WaitBlocked(t, second.PID(), 1)
	first.Kill()
	acts["condmake"](context.Background(), tab, 1)
	if s := second.Wait(); s.Code != 0 {
		t.Error(s)
	}
}

func TestCondMisuse(t *testing.T) {
	_, tab := newTable(t)
	mustPanic(t, "does not hold", func() { tab.Cond.Wait(context.Background(), &tab.Mu) })
	var c futexlock.Cond
	mustPanic(t, "no attached segment", func() { c.Wait(context.Background(), &tab.Mu) })
}
