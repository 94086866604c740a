package shm_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"shmkit/mpqueue"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

// queueTestator makes a queue for one, and dies with a lease, a reservation and
// items in it.
var queueTestator = procstest.Role("queue testator", func(ctx context.Context, ready *shm.Object[atomic.Uint32]) error {
	q, err := mpqueue.Create[string]("left queue", 8, mpqueue.WithSegment(shm.WithParticipants(1)))
	if err != nil {
		return err
	}
	for _, s := range []string{"leased", "second", "third"} {
		if err := q.Put(ctx, s); err != nil {
			return err
		}
	}
	if _, err := q.Receive(ctx); err != nil {
		return err
	}
	if _, err := q.ReserveSize(ctx, 100); err != nil {
		return err
	}
	ready.Value().Store(1)
	<-ctx.Done()
	return nil
})

// queueCaller opens it, and must sweep before it has a place.
var queueCaller = procstest.Role("queue caller", func(ctx context.Context, name string) error {
	q, err := mpqueue.Open[string](name)
	if err != nil {
		return err
	}
	return q.Close()
})

// A queue in a table for one passes through the hands of visitors that are killed
// at every point of their sweep, and loses nothing.
func TestCrashVisitQueue(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	const name = "left queue"
	for _, point := range append(points("shm.visit.", "shm.sweep."), "mpqueue.sweep.leases", "mpqueue.sweep.orphan", "mpqueue.sweep.slots") {
		n := 1
		for ; n <= 4; n++ {
			ready, err := shm.New[atomic.Uint32]()
			if err != nil {
				t.Fatal(err)
			}
			p := queueTestator.Start(t, ready)
			waitFor(t, "the testator", func() bool { return ready.Value().Load() != 0 })
			p.Kill()
			ready.Close()
			st := queueCaller.Start(t, name, procstest.KillAt(point, n)).Wait()
			if !st.Killed() && st.Err != nil {
				t.Fatal(st)
			}
			if st := queueCaller.Start(t, name).Wait(); st.Err != nil {
				t.Fatal(st)
			}
			q, err := mpqueue.Open[string](name)
			if err != nil {
				t.Fatal(err)
			}
			for _, err := range shm.Check(q.Segment()) {
				t.Errorf("%s, pass %d: %v", point, n, err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			for _, want := range []string{"leased", "second", "third"} {
				it, err := q.Receive(ctx)
				if err != nil {
					t.Fatalf("%s, pass %d: instead of %q: %v", point, n, want, err)
				}
				if got := it.Value(); got != want || it.Redelivered() != (want == "leased") {
					t.Errorf("%s, pass %d: %q (again: %v), want %q", point, n, got, it.Redelivered(), want)
				}
				it.Done()
			}
			cancel()
			for range 8 { // nothing of the capacity is lost
				if err := q.TryPut("more"); err != nil {
					t.Errorf("%s, pass %d: %v", point, n, err)
				}
			}
			q.Close()
			if err := shm.Remove(name); err != nil {
				t.Error(err)
			}
			if !st.Killed() {
				break
			}
		}
		t.Logf("%s: died at %d passes", point, n-1)
	}
}
