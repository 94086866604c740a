package mpqueue_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"shmkit/mpqueue"
	"shmkit/procs/procstest"
)

// Who prepares chunks is killed between any two of its steps: the sweep leaves an
// arena that is all there.
func TestArenaCut(t *testing.T) {
	slab := func(h *hands) { h.put(200); h.get(200) } // of 128 blocks
	run := func(h *hands) { h.put(3 * chunk); h.get(3 * chunk) }
	for _, c := range []struct {
		point  string
		passes []int
		chunks int
		before func(*hands)
		size   int
	}{
		{"mpqueue.arena.gone", []int{1, 64, 128}, 1, slab, 4096},
		{"mpqueue.arena.retired", []int{1}, 1, slab, 4096},
		{"mpqueue.arena.emptied", []int{1, 2}, 3, run, 5000},
		{"mpqueue.arena.seized", []int{1, 2, 3}, 3, nil, 3 * chunk},
		{"mpqueue.arena.reserved", []int{1}, 3, nil, 3 * chunk},
		{"mpqueue.arena.bodies", []int{1, 2}, 3, nil, 3 * chunk},
	} {
		for _, pass := range c.passes {
			t.Run(fmt.Sprint(c.point, ":", pass), func(t *testing.T) {
				cut := func(plant string) *hands {
					h := newHands(t, fmt.Sprint("arena-cut", plant), 200, c.chunks)
					if c.before != nil {
						c.before(h)
					}
					mpqueue.Plant(plant) // this process sweeps as soon as the other one has ended
					defer mpqueue.Plant("")
					p := h.start(handArgs{Who: 0, Does: "put", Size: c.size}, procstest.KillAt(c.point, pass))
					h.begin(0)
					if s := p.Wait(); !s.Killed() {
						t.Fatal(s)
					}
					h.q.Segment().Sweep()
					return h
				}
				h := cut("")
				if _, err := h.q.TryGet(); err != mpqueue.ErrEmpty {
					t.Error(err)
				}
				h.put(c.size)
				h.get(c.size)
				h.intact(c.chunks)
				if h := cut("no sweep"); len(h.wrong()) == 0 {
					t.Error("without a sweep nothing is wrong: the test is blind")
				}
			})
		}
	}
}

type hoardArgs struct {
	Queue *mpqueue.Queue[[]byte]
	Items int
	Plant string // a bug
}

// hoarding receives items and keeps them, and then waits for more.
var hoarding = procstest.Role("mpqueue-hoarding", func(ctx context.Context, a hoardArgs) error {
	mpqueue.Plant(a.Plant)
	for range a.Items + 1 {
		if _, err := a.Queue.Receive(ctx); err != nil {
			return err
		}
	}
	return nil
})

// A consumer of a queue that grows is killed while it gives memory back: the next one
// gives back what is left, and nothing is given back that is in use.
func TestArenaGiveBackCut(t *testing.T) {
	const chunks, kept, rest = 40, 16, 6
	for _, c := range []struct {
		point  string
		passes []int
	}{
		{"mpqueue.arena.retired", []int{1}},
		{"mpqueue.arena.emptied", []int{1, 5, 11}},
		{"mpqueue.arena.seized", []int{1, 11}},
		{"mpqueue.arena.punch", []int{1, 2, 13, 18}},
		{"mpqueue.arena.punched", []int{1, 2, 13}},
	} {
		if testing.Short() {
			c.passes = c.passes[len(c.passes)-1:]
		}
		for _, pass := range c.passes {
			t.Run(fmt.Sprint(c.point, ":", pass), func(t *testing.T) {
				procstest.Watchdog(t, time.Minute)
				h := &hands{t: t, q: newQueue[[]byte](t, 0, mpqueue.WithMaxBytes(chunks*chunk))}
				h.put(20)
				if i, err := h.q.TryReceive(); err != nil || i.Done() != nil { // leases have memory from here on
					t.Fatal(i, err)
				}
				for range kept { // chunks that a drained queue keeps
					h.put(chunk)
				}
				h.put(12 * chunk) // a run
				for range rest {
					h.put(chunk)
				}
				full := blocks(t, h.q.Segment())
				for range kept {
					h.get(chunk)
				}
				h.get(12 * chunk)
				for range rest {
					h.get(chunk)
				}
				p := hoarding.Start(t, hoardArgs{Queue: h.q}, procstest.KillAt(c.point, pass))
				if s := p.Wait(); !s.Killed() {
					t.Fatal(s)
				}
				h.q.Segment().Sweep()
				for _, err := range h.wrong() {
					t.Error(err)
				}
				cut := blocks(t, h.q.Segment())
				ctx, cancel := context.WithTimeout(background, 20*time.Millisecond)
				defer cancel()
				h.q.Get(ctx) // sleeps, and gives back before
				left := blocks(t, h.q.Segment())
				t.Logf("%d kB of memory, %d kB when the consumer was killed, %d kB after the next one", full/2, cut/2, left/2)
				if drained := full - (12+rest)*chunk/512; left > drained {
					t.Errorf("%d kB should be left", drained/2)
				}
				h.intact(chunks)
			})
		}
	}
}

// Who makes room for more leases is killed between the memory and the number that says
// that it is there: the next one makes it, and gets everything. What the number says is
// there is there: nobody takes memory by using it, which would be a SIGBUS for him when
// there is none.
func TestLeaseGrowthCut(t *testing.T) {
	const n, atFirst = 300, 256
	for pass, held := range []int{0, atFirst} { // how many leases have memory by then
		t.Run(fmt.Sprint(held), func(t *testing.T) {
			procstest.Watchdog(t, time.Minute)
			cut := func(plant string) (grown int64) {
				h := &hands{t: t, q: newQueue[[]byte](t, n)}
				for range n {
					h.put(20)
				}
				p := hoarding.Start(t, hoardArgs{h.q, n, plant}, procstest.KillAt("mpqueue.lease.reserved", pass+1))
				if s := p.Wait(); !s.Killed() {
					t.Fatal(s)
				}
				h.q.Segment().Sweep()
				had := blocks(t, h.q.Segment())
				var items []*mpqueue.Item[[]byte]
				for k := range n {
					i, err := h.q.TryReceive()
					if err != nil {
						t.Fatal(k, err)
					}
					if i.Redelivered() != (k < held) || string(i.Bytes()) != string(text(20)) {
						t.Fatalf("item %d: % x, redelivered %v", k, i.Bytes(), i.Redelivered())
					}
					items = append(items, i)
					if len(items) == []int{atFirst, n}[pass] { // those the dead one made room for
						grown = blocks(t, h.q.Segment()) - had
					}
				}
				for _, i := range items {
					if err := i.Done(); err != nil {
						t.Fatal(err)
					}
				}
				for _, err := range h.wrong() {
					t.Error(err)
				}
				return grown
			}
			if grown := cut(""); grown != 0 {
				t.Errorf("%d bytes of memory were not there", grown*512)
			}
			if cut("count first") == 0 {
				t.Error("leases counted too early are not noticed: the test is blind")
			}
		})
	}
}
