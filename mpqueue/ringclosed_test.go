package mpqueue_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	"shmkit/mpqueue"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

type heirArgs struct {
	Name     string
	Producer bool
}

// ringHeir takes a side of a ring over as soon as it can.
var ringHeir = procstest.Role("ring-heir", func(ctx context.Context, a heirArgs) error {
	r, err := mpqueue.OpenRing[int](a.Name)
	if err != nil {
		return err
	}
	defer r.Close()
	for begin := time.Now(); time.Since(begin) < 10*time.Second; time.Sleep(time.Millisecond) {
		if a.Producer {
			err = r.TryPut(1)
		} else {
			_, err = r.TryGet()
		}
		if !errors.Is(err, mpqueue.ErrBusy) {
			return nil
		}
	}
	return fmt.Errorf("it never got the role: %w", err)
})

// heldRing returns a ring whose segment this process also has for itself.
func heldRing(t *testing.T) (*mpqueue.Ring[int], heirArgs) {
	name := fmt.Sprintf("held-ring-%d", time.Now().UnixNano())
	r, err := mpqueue.CreateRing[int](name, 1)
	if err != nil {
		t.Fatal(err)
	}
	s, err := shm.OpenSegment(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Close()
		shm.Remove(name)
	})
	return r, heirArgs{Name: name}
}

// TestRingClosedHeld: Close ends a call that sleeps, and gives its role up, though
// the process keeps the segment.
func TestRingClosedHeld(t *testing.T) {
	for _, producer := range []bool{true, false} {
		t.Run(fmt.Sprintf("producer=%v", producer), func(t *testing.T) {
			r, a := heldRing(t)
			a.Producer = producer
			wait := func() error { _, err := r.Get(background); return err }
			if producer {
				if err := r.Put(background, 1); err != nil {
					t.Fatal(err)
				}
				wait = func() error { return r.Put(background, 2) }
			}
			end := make(chan error, 1)
			go func() { end <- wait() }()
			procstest.WaitBlocked(t, 0, 1)
			begin := time.Now()
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			select {
			case err := <-end:
				if !errors.Is(err, shm.ErrClosed) {
					t.Fatal(err)
				}
				t.Logf("it was over %v after Close", time.Since(begin))
			case <-time.After(10 * time.Second):
				t.Fatal("it sleeps on")
			}
			if s := ringHeir.Start(t, a).Wait(); s.Err != nil {
				t.Fatal(s)
			}
			runtime.KeepAlive(r)
		})
	}
}

// TestRingClosedUnused: the role of a ring that nobody was using when it was closed
// is given up by the next call, or when the handle has been collected, though the
// process keeps the segment.
func TestRingClosedUnused(t *testing.T) {
	for _, call := range []bool{true, false} {
		t.Run(fmt.Sprintf("call=%v", call), func(t *testing.T) {
			r, a := heldRing(t)
			a.Producer = true
			if err := errors.Join(r.Put(background, 1), r.Close()); err != nil {
				t.Fatal(err)
			}
			if call {
				if err := r.TryPut(1); !errors.Is(err, shm.ErrClosed) {
					t.Fatal(err)
				}
				defer runtime.KeepAlive(r)
			}
			r = nil
			heir := ringHeir.Start(t, a)
			for range 20 {
				runtime.GC()
				time.Sleep(5 * time.Millisecond)
			}
			if s := heir.Wait(); s.Err != nil {
				t.Fatal(s)
			}
		})
	}
}
