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

// Who registers while another, which was the last, is about to close the queue is told
// that it is closed, or keeps it open. By the way of the planted bug, which closes it
// under him, this can be seen.
func TestProducerComesAtTheEnd(t *testing.T) {
	for name, last := range map[string]func(h *hands, bug string) *procstest.Proc{
		"Close": func(h *hands, bug string) *procstest.Proc {
			p := h.start(handArgs{Who: 1, Does: "go", Bug: bug}, procstest.StopAt("mpqueue.producer.alone", 1))
			h.begin(1)
			p.WaitStopped()
			return p
		},
		"a death": func(h *hands, bug string) *procstest.Proc {
			dies := h.start(handArgs{Who: 0, Does: "produce"})
			p := h.start(handArgs{Who: 1, Does: "sweep", Bug: bug}, procstest.StopAt("mpqueue.producer.alone", 1))
			h.leave()
			dies.Kill()
			dies.Wait()
			h.begin(1)
			p.WaitStopped()
			h.come()
			return p
		},
	} {
		for _, bug := range []string{"", "late producer"} {
			t.Run(name+" "+bug, func(t *testing.T) {
				h := newHands(t, "late-producer", 8, 3)
				goes := last(h, bug)
				p, err := h.q.Producer()
				if err != nil {
					t.Fatal(err)
				}
				goes.Cont()
				h.done(1)
				err = p.Put(t.Context(), text(20))
				if bug != "" {
					if err != mpqueue.ErrClosed {
						t.Fatal("the bug shows no more: ", err)
					}
					return
				}
				if err != nil {
					t.Fatal("Put of one that has registered: ", err)
				}
				if err := p.Close(); err != nil {
					t.Error(err)
				}
				h.get(20)
				if _, err := h.q.TryGet(); err != mpqueue.ErrClosed {
					t.Error("at the end: ", err)
				}
				if _, err := h.q.Producer(); err != mpqueue.ErrClosed {
					t.Error("Producer at the end: ", err)
				}
			})
		}
	}
}

// Who has decided that the queue ends, and is killed before he closes it, has ended it
// all the same: for who comes next, and for who waits.
func TestProducerKilledAtTheEnd(t *testing.T) {
	for name, next := range map[string]func(q *mpqueue.Queue[[]byte]) error{
		"Producer": func(q *mpqueue.Queue[[]byte]) error { _, err := q.Producer(); return err },
		"Get":      func(q *mpqueue.Queue[[]byte]) error { _, err := q.Get(within(t, 5*time.Second)); return err },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHands(t, "ended-producer", 8, 3)
			p := h.start(handArgs{Who: 0, Does: "go"}, procstest.StopAt("mpqueue.producer.ended", 1))
			h.begin(0)
			p.WaitStopped()
			if name == "Get" {
				p.Kill()
				p.Wait()
			}
			if err := next(h.q); err != mpqueue.ErrClosed {
				t.Error(err)
			}
			if _, err := h.q.TryGet(); err != mpqueue.ErrClosed {
				t.Error(err)
			}
		})
	}
}

// One who closes the queue, and was no producer, has looked at some of the cells when
// another registers there, and a producer dies and is swept: then he has seen neither,
// and must look again.
func TestProducerDiesUnseen(t *testing.T) {
	for _, bug := range []string{"", "late producer"} {
		t.Run(bug, func(t *testing.T) {
			h := newHands(t, "unseen-producer", 8, 3)
			// In this order they have the places after the test's own.
			comes := h.start(handArgs{Who: 0, Does: "register"}, procstest.StopAt("mpqueue.producer.counted", 1))
			dies := h.start(handArgs{Who: 1, Does: "produce"})
			closes := h.start(handArgs{Who: 2, Does: "close", Bug: bug}, procstest.StopAt("mpqueue.producer.looked", 2))
			h.begin(2)
			closes.WaitStopped()
			h.begin(0)
			comes.WaitStopped()
			dies.Kill()
			dies.Wait()
			h.q.Segment().Sweep()
			closes.Cont()
			h.done(2)
			comes.Cont()
			h.done(0)
			err := h.q.TryPut(text(20))
			if bug != "" {
				if err != mpqueue.ErrClosed {
					t.Fatal("the bug shows no more: ", err)
				}
				return
			}
			if err != nil {
				t.Fatal("Put, with one who has registered: ", err)
			}
			comes.Kill()
			comes.Wait()
			h.q.Segment().Sweep()
			h.get(20)
			if _, err := h.q.TryGet(); err != mpqueue.ErrAbandoned {
				t.Error("at the end: ", err)
			}
		})
	}
}
