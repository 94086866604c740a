package mpqueue_test

import (
	"errors"
	"testing"

	"shmkit/mpqueue"
)

// TestRingBuilds: who sleeps makes the other side execute a fence if that one
// publishes by plain stores, also where its own stores are fences: the other process
// may be another build of the program.
func TestRingBuilds(t *testing.T) {
	mpqueue.FenceInStore(true)
	defer mpqueue.FenceInStore(false)
	// Without the system call, to ask for the fence leaves a bit in the ring.
	mpqueue.ForbidMembarrier(true)
	defer mpqueue.ForbidMembarrier(false)
	for _, plain := range []bool{false, true} {
		r := newRing[int](t, 1)
		if err := r.Put(background, 1); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Get(background); err != nil {
			t.Fatal(err)
		}
		if p, c := mpqueue.RingRolesPlain(r); p || c {
			t.Fatal("a store that is a fence is announced as plain")
		}
		if plain {
			mpqueue.PretendPlainProducer(r)
		}
		if _, err := r.TryGet(); !errors.Is(err, mpqueue.ErrEmpty) {
			t.Fatal(err)
		}
		if got := mpqueue.RingAsksForFences(r); got != plain {
			t.Errorf("a producer that publishes plainly: %v; it was asked for a fence: %v", plain, got)
		}
	}
}
