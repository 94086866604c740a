package mpqueue

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"shmkit/procs/procstest"
	"shmkit/shm"
)

// leaver is an operation that finds nothing, and then fails.
type leaver struct{ err atomic.Pointer[error] }

func (l *leaver) try() (uint64, outcome, error) {
	if err := l.err.Load(); err != nil {
		return 0, empty, *err
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
	}{{"closed handle", shm.ErrClosed}, {"broken", broken}, {"cancelled", context.Canceled}} {
		t.Run(c.name, func(t *testing.T) {
			q, err := New[int](1)
			if err != nil {
				t.Fatal(err)
			}
			defer q.Close()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var l leaver
			left := make(chan error)
			go func() {
				left <- q.q.await(ctx, &waiter{word: &q.q.notEmpty, spin: &q.q.spinGet, op: &l, why: ErrEmpty})
			}()
			procstest.WaitBlocked(t, 0, 1)
			before := q.q.notEmpty.Load()
			if c.want == context.Canceled {
				cancel()
			} else {
				l.err.Store(&c.want)
				q.q.signal(&q.q.notEmpty)
			}
			if err := <-left; !errors.Is(err, c.want) {
				t.Fatal(err)
			}
			// Its own wake, the one that was passed on, and that nobody was asleep.
			if after := q.q.notEmpty.Load(); after&(waited|pending) != 0 || after == before {
				t.Errorf("the word to sleep on was %#x, is %#x: no wake was passed on", before, after)
			}
		})
	}
}
