package mpqueue

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"

	"shmkit/procs/procstest"
	"shmkit/shm"
)

// leaver is an operation that finds nothing, and then fails.
type leaver struct {
	err   atomic.Pointer[error]
	short atomic.Bool // no lease block is free
}

func (l *leaver) try() (uint64, outcome, error) {
	if err := l.err.Load(); err != nil {
		return 0, empty, *err
	}
	if l.short.Load() {
		return 0, noSpare, nil
	}
	return 0, empty, nil
}

func (l *leaver) more() bool { return true }

// Who was woken and leaves without what it waited for wakes another, whatever it
// leaves for: else the next message waits for the end of somebody's slice. Nobody
// else is asleep here, so the wake that is passed on finds nobody and says so.
func TestWakePassedOn(t *testing.T) {
	broken := errors.New("broken")
	for _, c := range []struct {
		name string
		want error
	}{{"closed handle", shm.ErrClosed}, {"broken", broken}, {"cancelled", context.Canceled}, {"waits for something else", nil}} {
		t.Run(c.name, func(t *testing.T) {
			q, err := New[int](1)
			if err != nil {
				t.Fatal(err)
			}
			defer q.Close()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var l leaver
			left := make(chan error, 1)
			go func() {
				left <- q.q.await(ctx, &waiter{word: &q.q.notEmpty, spin: &q.q.spinGet, op: &l, why: ErrEmpty})
			}()
			procstest.WaitBlocked(t, 0, 1)
			before := q.q.notEmpty.Load()
			switch c.want {
			case context.Canceled:
				cancel()
			case nil:
				l.short.Store(true)
				signal(&q.q.notEmpty)
				for q.q.spare.Load()&waited == 0 {
					runtime.Gosched()
				}
				procstest.WaitBlocked(t, 0, 1)
			default:
				l.err.Store(&c.want)
				signal(&q.q.notEmpty)
			}
			if !l.short.Load() {
				if err := <-left; !errors.Is(err, c.want) {
					t.Fatal(err)
				}
			}
			// Its own wake, the one that was passed on, and that nobody was asleep.
			// Who sleeps elsewhere now has done that before.
			if after := q.q.notEmpty.Load(); after&(waited|pending) != 0 || after == before {
				t.Errorf("the word to sleep on was %#x, is %#x: no wake was passed on", before, after)
			}
		})
	}
}
