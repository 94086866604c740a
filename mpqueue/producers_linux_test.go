package mpqueue_test

import (
	"errors"
	"testing"
	"time"

	"shmkit/mpqueue"
	"shmkit/procs/procstest"
)

// registerAndGo registers the test's process too, sweeps the one that dies, and ends the
// registration.
func registerAndGo(h *hands, dies *procstest.Proc) {
	h.t.Helper()
	h.come()
	p, err := h.q.Producer()
	if err != nil {
		h.t.Fatal(err)
	}
	dies.Kill()
	dies.Wait()
	h.q.Segment().Sweep()
	p.Close()
}

// The last two producers go at once, and whoever sweeps one that has died stands still
// in the middle of it, or dies there too: the queue ends all the same, and says how.
func TestLastProducersAtOnce(t *testing.T) {
	for name, other := range map[string]func(h *hands, dies, sweeps *procstest.Proc) error{
		"two deaths": func(h *hands, dies, sweeps *procstest.Proc) error {
			dies.Kill()
			dies.Wait()
			h.come()
			h.q.Segment().Sweep()
			sweeps.Cont()
			return mpqueue.ErrAbandoned
		},
		"a death and Close": func(h *hands, dies, sweeps *procstest.Proc) error {
			registerAndGo(h, dies)
			sweeps.Cont()
			return mpqueue.ErrClosed
		},
		"a death, and its sweeper's": func(h *hands, dies, sweeps *procstest.Proc) error {
			registerAndGo(h, dies)
			sweeps.Kill()
			sweeps.Wait()
			h.q.Segment().Sweep()
			return mpqueue.ErrClosed
		},
		"the sweeper's of the last": func(h *hands, dies, sweeps *procstest.Proc) error {
			dies.Kill()
			dies.Wait()
			sweeps.Kill()
			sweeps.Wait()
			h.come()
			h.q.Segment().Sweep()
			return mpqueue.ErrAbandoned
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHands(t, "last-producers", 8, 3)
			killed := h.start(handArgs{Who: 0, Does: "produce"})
			sweeps := h.start(handArgs{Who: 1, Does: "sweep"}, procstest.StopAt("mpqueue.sweep.producer", 1))
			dies := h.start(handArgs{Who: 2, Does: "produce"})
			h.put(20)
			h.leave()
			killed.Kill()
			killed.Wait()
			h.begin(1)
			sweeps.WaitStopped()
			want := other(h, dies, sweeps)
			ctx := within(t, 5*time.Second)
			if b, err := h.q.Get(ctx); len(b) != 20 || err != nil {
				t.Fatal(len(b), err)
			}
			if _, err := h.q.Get(ctx); !errors.Is(err, want) {
				t.Errorf("at the end: %v, want %v", err, want)
			}
			_, reserved := h.q.ReserveSize(ctx, 10)
			for what, err := range map[string]error{"Put": h.q.Put(ctx, nil), "TryPut": h.q.TryPut(nil), "ReserveSize": reserved} {
				if err != mpqueue.ErrClosed {
					t.Errorf("%s after the end: %v", what, err)
				}
			}
		})
	}
}
