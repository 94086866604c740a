package futexlock_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"shmkit/futexlock"
	"shmkit/procs/procstest"
)

func init() {
	// lockstep: N rounds of two meetings; between them everybody has counted.
	acts["lockstep"] = func(ctx context.Context, t *table, n int) error {
		parties := int64(t.Bar.Parties())
		for i := range int64(n) {
			for k := range 2 {
				t.Count[k].Add(1)
				index, err := t.Bar.Wait(ctx)
				if err != nil {
					return err
				}
				if got := t.Count[k].Load(); got != (i+1)*parties {
					return fmt.Errorf("round %d: %d have counted, want %d", i, got, (i+1)*parties)
				}
				t.Count[2].Add(int64(index))
				if index == 0 {
					t.Count[3].Add(1)
				}
				if index < 0 || index >= int(parties) {
					return fmt.Errorf("index %d", index)
				}
			}
		}
		t.Bar.Leave()
		return nil
	}
	// meet: N rounds with an action; says how each ended.
	acts["meet"] = func(ctx context.Context, t *table, n int) error {
		for range n {
			t.Step[0].Add(1)
			_, err := t.Bar.Wait(ctx, func() error { t.Count[4].Add(1); return nil })
			switch {
			case err == nil:
				t.Count[0].Add(1)
			case errors.Is(err, futexlock.ErrOwnerDied) && errors.Is(err, futexlock.ErrBroken):
				t.Count[2].Add(1)
			case errors.Is(err, futexlock.ErrBroken):
				t.Count[1].Add(1)
			default:
				return err
			}
			t.Step[1].Add(1)
		}
		return nil
	}
}

// B1, B2: five parties in lockstep; every place in every round once.
func TestBarrierLockstep(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	o, tab := newTable(t)
	if err := tab.Bar.Init(5); err != nil {
		t.Fatal(err)
	}
	rounds := 500 // of two waits
	if testing.Short() {
		rounds = 50
	}
	var ps []*procstest.Proc
	for range 4 {
		ps = append(ps, play(t, o, "lockstep", rounds))
	}
	if err := acts["lockstep"](seconds(t, 30), tab, rounds); err != nil {
		t.Error(err)
	}
	for _, p := range ps {
		if s := p.Wait(); s.Code != 0 {
			t.Error(s)
		}
	}
	if n := int64(2 * rounds); tab.Count[3].Load() != n || tab.Count[2].Load() != n*(0+1+2+3+4) {
		t.Errorf("place 0 was given %d times, the sum of places is %d", tab.Count[3].Load(), tab.Count[2].Load())
	}
	if tab.Bar.Waiting() != 0 || tab.Bar.Broken() {
		t.Errorf("afterwards: %s", tab.Bar.State())
	}
}

// B3: the action runs once a round, before anybody returns; if it fails, its
// runner gets its error and the others a broken barrier.
func TestBarrierAction(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	o, tab := newTable(t)
	tab.Bar.Init(3)
	ps := []*procstest.Proc{play(t, o, "meet", 1), play(t, o, "meet", 1)}
	for _, p := range ps {
		procstest.WaitBlocked(t, p.PID(), 1)
	}
	if n := tab.Bar.Waiting(); n != 2 {
		t.Errorf("%d wait, want 2", n)
	}
	index, err := tab.Bar.Wait(seconds(t, 10), func() error { tab.Count[4].Add(1); return nil })
	if err != nil || index != 2 || tab.Count[4].Load() != 1 {
		t.Errorf("place %d, %v, actions %d", index, err, tab.Count[4].Load())
	}
	for _, p := range ps {
		p.Wait()
	}
	tab.Bar.Reset()
	p := play(t, o, "meet", 1)
	q := play(t, o, "meet", 1)
	procstest.WaitBlocked(t, p.PID(), 1)
	procstest.WaitBlocked(t, q.PID(), 1)
	mine := errors.New("mine")
	if _, err := tab.Bar.Wait(seconds(t, 10), func() error { return mine }); !errors.Is(err, mine) {
		t.Errorf("a failing action: %v", err)
	}
	p.Wait()
	q.Wait()
	if tab.Count[1].Load() != 2 || !tab.Bar.Broken() {
		t.Errorf("%d saw it broken; %s", tab.Count[1].Load(), tab.Bar.State())
	}
}

// An action fails after somebody has reset the barrier: its round is over already,
// and the next one goes on.
func TestBarrierActionAfterReset(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	for _, panics := range []bool{false, true} {
		_, tab := newTable(t)
		tab.Bar.Init(2)
		first, next := make(chan error, 1), make(chan error, 1)
		wait := func(end chan error) { _, err := tab.Bar.Wait(seconds(t, 10)); end <- err }
		arrived := func(n int) {
			for tab.Bar.Waiting() != n {
				runtime.Gosched()
			}
		}
		go wait(first)
		arrived(1)
		mine := errors.New("mine")
		func() {
			defer func() {
				if r := recover(); (r != nil) != panics {
					t.Error(r)
				}
			}()
			_, err := tab.Bar.Wait(seconds(t, 10), func() error {
				tab.Bar.Reset()
				go wait(next)
				arrived(1)
				if panics {
					panic(mine)
				}
				return mine
			})
			if !errors.Is(err, mine) {
				t.Errorf("the action's error: %v", err)
			}
		}()
		if err := <-first; !errors.Is(err, futexlock.ErrBroken) {
			t.Errorf("the round that was reset: %v", err)
		}
		if _, err := tab.Bar.Wait(seconds(t, 10)); err != nil {
			t.Errorf("the round after the reset: %v", err)
		}
		if err := <-next; err != nil {
			t.Errorf("the round after the reset: %v", err)
		}
	}
}

// Abort breaks the barrier also while rounds end.
func TestBarrierAbortAtTheEndOfRounds(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	_, tab := newTable(t)
	tab.Bar.Init(1)
	for range 500 {
		going, end := make(chan struct{}), make(chan error)
		go func() {
			for n := 0; ; n++ {
				if _, err := tab.Bar.Wait(context.Background()); err != nil {
					end <- err
					return
				}
				if n == 0 {
					close(going)
				}
			}
		}()
		<-going
		tab.Bar.Abort()
		if !tab.Bar.Broken() {
			t.Fatal("not broken after Abort")
		}
		if err := <-end; !errors.Is(err, futexlock.ErrBroken) {
			t.Fatal(err)
		}
		tab.Bar.Reset()
	}
}

// B4, B5, B7: abort, reset, and a party that gives up.
func TestBarrierBroken(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	o, tab := newTable(t)
	tab.Bar.Init(3)
	for i, f := range []func(){
		tab.Bar.Abort,
		func() { tab.Bar.Reset() },
		func() {
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
			defer cancel()
			if _, err := tab.Bar.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, futexlock.ErrBroken) {
				t.Errorf("a party that gives up: %v", err)
			}
		},
	} {
		p := play(t, o, "meet", 1)
		procstest.WaitBlocked(t, p.PID(), 1)
		f()
		if s := p.Wait(); s.Code != 0 {
			t.Error(s)
		}
		if n := tab.Count[1].Load(); n != int64(i+1) {
			t.Errorf("case %d: %d saw it broken", i, n)
		}
		if broken := i != 1; tab.Bar.Broken() != broken {
			t.Errorf("case %d: %s", i, tab.Bar.State())
		}
		if i != 1 {
			if _, err := tab.Bar.Wait(seconds(t, 10)); !errors.Is(err, futexlock.ErrBroken) {
				t.Errorf("case %d: a later Wait: %v", i, err)
			}
		}
		tab.Bar.Reset()
	}
}

// A party dies, while others wait and between two rounds: those who wait for
// it are told, until Reset.
func TestBarrierPartyDied(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	o, tab := newTable(t)
	tab.Bar.Init(3)
	victim, p := play(t, o, "meet", 1), play(t, o, "meet", 1)
	procstest.WaitBlocked(t, victim.PID(), 1)
	procstest.WaitBlocked(t, p.PID(), 1)
	within(t, "told after the kill", 10*time.Millisecond, func() {
		victim.Kill()
		p.Wait()
	})
	if tab.Count[2].Load() != 1 {
		t.Errorf("%s; told %d", tab.Bar.State(), tab.Count[2].Load())
	}
	tab.Bar.Reset()
	tab.Bar.Init(2)
	victim = play(t, o, "meet", 2) // dies in its second round, when nobody else waits
	if _, err := tab.Bar.Wait(seconds(t, 10)); err != nil {
		t.Fatal(err)
	}
	procstest.WaitBlocked(t, victim.PID(), 1)
	victim.Kill()
	if _, err := tab.Bar.Wait(seconds(t, 10)); !errors.Is(err, futexlock.ErrOwnerDied) {
		t.Errorf("after a death: %v", err)
	}
	tab.Bar.Reset()
	// With one who left there is nobody to miss.
	tab.Bar.Init(2)
	leaver := play(t, o, "lockstep", 1)
	tab.Count[0].Store(0)
	tab.Count[1].Store(0)
	if err := acts["lockstep"](seconds(t, 10), tab, 1); err != nil {
		t.Error(err)
	}
	if s := leaver.Wait(); s.Code != 0 {
		t.Error(s)
	}
	tab.Bar.Init(1)
	for range 2 {
		if _, err := tab.Bar.Wait(seconds(t, 10)); err != nil {
			t.Errorf("after the other left: %v", err)
		}
	}
}

// More callers than parties: they go round by round.
func TestBarrierMoreCallers(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	_, tab := newTable(t)
	tab.Bar.Init(3)
	var wg sync.WaitGroup
	for range 9 {
		wg.Go(func() {
			for tab.Count[0].Add(1) <= 900 {
				if _, err := tab.Bar.Wait(context.Background(), func() error { return nil }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func TestBarrierMisuse(t *testing.T) {
	_, tab := newTable(t)
	if _, err := tab.Bar.Wait(context.Background()); !errors.Is(err, futexlock.ErrNotInit) {
		t.Errorf("before Init: %v", err)
	}
	for _, n := range []int{0, -1, 1 << 14} {
		if err := tab.Bar.Init(n); !errors.Is(err, futexlock.ErrOverflow) {
			t.Errorf("Init(%d): %v", n, err)
		}
	}
	tab.Bar.Init(1)
	func() {
		defer func() { recover() }()
		tab.Bar.Wait(context.Background(), func() error { panic("action") })
	}()
	if !tab.Bar.Broken() {
		t.Error("an action panicked and the barrier is whole")
	}
}

// A party dies, and everybody forgets it by Reset. It does not come back when
// the count of resets does, after 4,096.
func TestBarrierForgetsForGood(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	o, tab := newTable(t)
	tab.Bar.Init(2)
	p := play(t, o, "lockstep", 1)
	if _, err := tab.Bar.Wait(seconds(t, 10)); err != nil {
		t.Fatal(err)
	}
	p.Kill()
	p.Wait()
	for range 4096 {
		tab.Bar.Reset()
	}
	errs := make(chan error, 2)
	for range 2 {
		go func() { _, err := tab.Bar.Wait(seconds(t, 10)); errs <- err }()
	}
	for range 2 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}
