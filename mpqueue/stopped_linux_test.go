package mpqueue_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"shmkit/mpqueue"
	"shmkit/procs/procstest"
)

// TestStoppedInTheWay stops processes in the middle of what they do. They are alive:
// nobody takes away what is theirs, however long it lasts. Try operations say busy
// after a moment, deadlines hold, and when they go on, nothing has been lost and
// nothing has changed its place.
func TestStoppedInTheWay(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	const moment = 30 * time.Millisecond
	busy := func(t *testing.T, what string, try func() error) {
		t.Helper()
		takes(t, what, 0, func() {
			if err := try(); err != mpqueue.ErrBusy {
				t.Errorf("%s: %v", what, err)
			}
		})
	}
	t.Run("in Put", func(t *testing.T) {
		q := newQueue[int](t, 4)
		p := halted.Start(t, victimArgs{q, "Put"}, procstest.StopAt("mpqueue.put.claimed", 1))
		p.WaitStopped()
		if err := q.TryPut(2); err != nil { // behind it
			t.Fatal(err)
		}
		busy(t, "TryGet", func() error { _, err := q.TryGet(); return err })
		busy(t, "TryReceive", func() error { _, err := q.TryReceive(); return err })
		takes(t, "Get with a deadline", moment, func() {
			if _, err := q.Get(within(t, moment)); !errors.Is(err, mpqueue.ErrEmpty) || !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		})
		time.Sleep(3 * moment) // it may last
		q.Segment().Sweep()
		p.Cont()
		for _, want := range []int{1, 2} {
			if v, err := q.Get(background); v != want || err != nil {
				t.Fatal(v, err)
			}
		}
		if s := p.Wait(); s.Err != nil {
			t.Fatal(s)
		}
	})
	t.Run("in Get", func(t *testing.T) {
		q := newQueue[int](t, 1)
		q.Put(background, 1)
		p := halted.Start(t, victimArgs{q, "Get"}, procstest.StopAt("mpqueue.get.claimed", 1))
		p.WaitStopped()
		busy(t, "TryPut", func() error { return q.TryPut(2) })
		takes(t, "Put with a deadline", moment, func() {
			if err := q.Put(within(t, moment), 2); !errors.Is(err, mpqueue.ErrFull) || !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		})
		if _, err := q.TryGet(); err != mpqueue.ErrEmpty { // the message is the other's
			t.Error(err)
		}
		q.Segment().Sweep()
		p.Cont()
		if err := q.Put(background, 2); err != nil {
			t.Fatal(err)
		}
		if v, err := q.Get(background); v != 2 || err != nil {
			t.Fatal(v, err)
		}
		if s := p.Wait(); s.Err != nil {
			t.Fatal(s)
		}
	})
	t.Run("with an item", func(t *testing.T) {
		q := newQueue[int](t, 2)
		q.Put(background, 1)
		q.Put(background, 2)
		p := halted.Start(t, victimArgs{q, "Receive"})
		for q.Stats().Leased == 0 {
			time.Sleep(100 * time.Microsecond)
		}
		p.Stop()
		if v, err := q.TryGet(); v != 2 || err != nil { // others go on
			t.Fatal(v, err)
		}
		if err := q.TryPut(3); err != nil {
			t.Fatal(err)
		}
		if err := q.TryPut(4); err != mpqueue.ErrFull {
			t.Fatal("its item counts: ", err)
		}
		q.CloseSend()
		if v, err := q.TryGet(); v != 3 || err != nil {
			t.Fatal(v, err)
		}
		takes(t, "Get at the end", moment, func() { // its item may come back
			if _, err := q.Get(within(t, moment)); !errors.Is(err, mpqueue.ErrEmpty) {
				t.Error(err)
			}
		})
		p.Kill()
		if i, err := q.Receive(background); err != nil || i.Value() != 1 || !i.Redelivered() || i.Done() != nil {
			t.Fatal(i, err)
		}
		if _, err := q.Get(background); err != mpqueue.ErrClosed {
			t.Fatal(err)
		}
	})
}
