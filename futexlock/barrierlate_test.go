package futexlock_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"shmkit/futexlock"
	"shmkit/procs/procstest"
	"shmkit/shm"
	"shmkit/shm/fault"
)

// A party dies between two rounds, when nobody waits. Whoever comes after the sweep
// is told, also one that is the last to arrive and would wait for nobody.
func TestBarrierSweptBetweenRounds(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	o, tab := newTable(t)
	tab.Bar.Init(1)
	p := play(t, o, "meet", 1)
	p.Wait()
	if tab.Count[0].Load() != 1 {
		t.Fatalf("its round did not end well: %s", tab.Bar.State())
	}
	shm.SweepDead(0)
	if _, err := tab.Bar.Wait(seconds(t, 10)); !errors.Is(err, futexlock.ErrBroken) || !errors.Is(err, futexlock.ErrOwnerDied) {
		t.Errorf("after the end of a party: %v; %s", err, tab.Bar.State())
	}
	tab.Bar.Reset()
	if _, err := tab.Bar.Wait(seconds(t, 10)); err != nil {
		t.Error(err)
	}
}

// A caller for which a full round has no place gives up, and the barrier is reset
// before it has gone: it does not come again to the next round.
func TestBarrierGivesUpOnce(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	o, _ := newTable(t)
	if s := play(t, o, "give up in a full round", 0).Wait(); s.Code != 0 {
		t.Error(s)
	}
}

func init() {
	acts["give up in a full round"] = func(ctx context.Context, t *table, _ int) error {
		t.Bar.Init(1)
		var late error
		_, first := t.Bar.Wait(ctx, func() error {
			cancelled, cancel := context.WithCancel(ctx)
			cancel()
			fault.Call("futexlock.barrier.broken", t.Bar.Reset) // we are the one that breaks the round
			_, late = t.Bar.Wait(cancelled)
			return nil
		})
		if !errors.Is(late, context.Canceled) || !errors.Is(late, futexlock.ErrBroken) {
			return fmt.Errorf("the one that gave up: %v", late)
		}
		if !errors.Is(first, futexlock.ErrBroken) || t.Bar.Broken() || t.Bar.Waiting() != 0 {
			return fmt.Errorf("the round that was broken: %v; afterwards %s", first, t.Bar.State())
		}
		return nil
	}
}
