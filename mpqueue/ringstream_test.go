package mpqueue_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"testing"
	"time"

	"shmkit/mpqueue"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

type streamArgs struct {
	Ring    *mpqueue.Ring[message64]
	Count   int
	Batch   int
	Without bool                       // membarrier
	Put     *shm.Object[atomic.Uint64] // numbers whose Put returned nil; may be nil
}

// streamProducer puts 0, 1, 2, … Count−1, or until the ring is closed.
var streamProducer = procstest.Role("ring-stream", func(ctx context.Context, a streamArgs) error {
	mpqueue.ForbidMembarrier(a.Without)
	mpqueue.WaitFences()
	if a.Put == nil {
		return fillRing(ctx, a.Ring, a.Count, a.Batch)
	}
	for n := range uint64(a.Count) {
		if err := a.Ring.Put(ctx, ringMessage(int(n))); err != nil {
			if errors.Is(err, mpqueue.ErrClosed) {
				return nil
			}
			return err
		}
		a.Put.Value().Store(n + 1)
	}
	return nil
})

// TestRingStream sends some millions of numbers from one process to another, by
// all ways, from positions that wrap on the way: they come in order, each once.
func TestRingStream(t *testing.T) {
	for _, c := range []struct {
		capacity, count, batch int
		first                  uint64
		without                bool
	}{
		{1, 50_000, 1, math.MaxUint64 - 499, false},
		{3, 100_000, 1, 1<<63 - 500, false},
		{64, 500_000, 1, 0, false},
		{1024, 1_000_000, 1, math.MaxUint64 - 499, false},
		{1024, 2_000_000, 100, math.MaxUint64 - 499, false},
		{1000, 1_000_000, 7, 1<<32 - 500, false},
		{1024, 100_000, 1, math.MaxUint64 - 499, true},
	} {
		t.Run(fmt.Sprintf("capacity=%d/batch=%d/first=%#x/membarrier=%v", c.capacity, c.batch, c.first, !c.without), func(t *testing.T) {
			procstest.Watchdog(t, 2*time.Minute)
			mpqueue.ForbidMembarrier(c.without)
			defer mpqueue.ForbidMembarrier(false)
			count := c.count
			if testing.Short() {
				count /= 20
			}
			r := newRing[message64](t, c.capacity, mpqueue.RingFirst(c.first))
			begin := time.Now()
			p := streamProducer.Start(t, streamArgs{Ring: r, Count: count, Batch: c.batch, Without: c.without})
			if err := drainRing(background, r, count, c.batch); err != nil {
				t.Fatal(err)
			}
			if _, err := r.Get(background); err != mpqueue.ErrClosed {
				t.Fatalf("at the end: %v", err)
			}
			if s := p.Wait(); s.Err != nil {
				t.Fatal(s)
			}
			t.Logf("%v a message, the start of the process included", time.Since(begin)/time.Duration(count))
		})
	}
}

// TestRingCloseRaces sends CloseSend while a producer puts: exactly the puts that
// returned nil are delivered.
func TestRingCloseRaces(t *testing.T) {
	rounds := 40
	if testing.Short() {
		rounds = 10
	}
	late := 0
	for i := range rounds {
		r, err := mpqueue.NewRing[message64](1 + i%5)
		if err != nil {
			t.Fatal(err)
		}
		put, err := shm.New[atomic.Uint64]()
		if err != nil {
			t.Fatal(err)
		}
		p := streamProducer.Start(t, streamArgs{Ring: r, Count: 1 << 30, Put: put})
		go func() {
			for put.Value().Load() < uint64(i)*10 {
			}
			if err := r.CloseSend(); err != nil {
				t.Error(err)
			}
		}()
		got := uint64(0)
		for m, err := range r.All(timeout(t)) {
			if err != nil {
				t.Fatal(err)
			}
			if n, err := ringNumber(m); err != nil || uint64(n) != got {
				t.Fatalf("got %d, %v, want %d", n, err, got)
			}
			got++
		}
		if s := p.Wait(); s.Err != nil {
			t.Fatal(s)
		}
		if n := put.Value().Load(); n != got {
			t.Fatalf("%d puts returned nil, %d were delivered", n, got)
		}
		for _, err := range shm.Check(r.Segment()) {
			t.Error(err)
		}
		if _, write := mpqueue.RingPositions(r); write != got {
			late++
		}
		if err := errors.Join(r.Close(), put.Close()); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d rounds", rounds)
	if late > 0 {
		t.Errorf("after %d rounds the write position was behind the end", late)
	}
}

// TestRingStopped: who is stopped is alive. The other side waits for it, as long
// as its context says, and goes on when it goes on.
func TestRingStopped(t *testing.T) {
	ctx := timeout(t)
	r := newRing[int](t, 2)
	p := ringPutter.Start(t, ringArgs{Ring: r, From: 0, N: 1000})
	for i := range 10 {
		if v, err := r.Get(ctx); v != i || err != nil {
			t.Fatal(v, err)
		}
	}
	p.Stop()
	next := 10
	for r.Len() > 0 {
		if v, err := r.Get(ctx); v != next || err != nil {
			t.Fatal(v, err)
		}
		next++
	}
	short, cancel := context.WithTimeout(ctx, 250*time.Millisecond) // more than two backstops
	defer cancel()
	if _, err := r.Get(short); !errors.Is(err, mpqueue.ErrEmpty) || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("a producer that is stopped: %v", err)
	}
	if err := r.TryPut(1); !errors.Is(err, mpqueue.ErrBusy) {
		t.Fatalf("it keeps its role: %v", err)
	}
	p.Cont()
	for ; next < 1000; next++ {
		if v, err := r.Get(ctx); v != next || err != nil {
			t.Fatal(v, err)
		}
	}
}

// TestRingCancel measures how soon a call that sleeps is over when its context is.
func TestRingCancel(t *testing.T) {
	r := newRing[int](t, 1)
	if err := r.Put(background, 1); err != nil {
		t.Fatal(err)
	}
	full := newRing[int](t, 1)
	if err := full.Put(background, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Get(background); err != nil {
		t.Fatal(err)
	}
	for what, f := range map[string]func(ctx context.Context) error{
		"Get of an empty ring": func(ctx context.Context) error { _, err := r.Get(ctx); return err },
		"Put to a full ring":   func(ctx context.Context) error { return full.Put(ctx, 2) },
	} {
		judgeMedian(t, what, func() (took []time.Duration) {
			for i := range 40 {
				ctx, cancel := context.WithCancel(background)
				end := make(chan error)
				go func() { end <- f(ctx) }()
				procstest.WaitBlocked(t, 0, 1)
				begin := time.Now()
				if i%2 == 0 {
					cancel()
				} else { // by a deadline
					cancel()
					var stop context.CancelFunc
					ctx, stop = context.WithDeadline(background, time.Now().Add(5*time.Millisecond))
					<-end
					go func() { end <- f(ctx) }()
					begin = time.Now().Add(5 * time.Millisecond)
					defer stop()
				}
				if err := <-end; !errors.Is(err, ctx.Err()) || ctx.Err() == nil {
					t.Fatal(err)
				}
				took = append(took, time.Since(begin))
				cancel()
			}
			return took
		})
	}
}

// TestRingRecovery measures how soon one who sleeps knows of the other's death: once
// the kernel is done with the dead process, which on a busy machine takes a while.
func TestRingRecovery(t *testing.T) {
	judgeMedian(t, "the death of a producer was known", func() (took []time.Duration) {
		for range 20 {
			r := newRing[int](t, 1)
			p := ringPutter.Start(t, ringArgs{Ring: r, From: 1, N: 1})
			if v, err := r.Get(timeout(t)); v != 1 || err != nil {
				t.Fatal(v, err)
			}
			end := make(chan error)
			go func() { _, err := r.Get(timeout(t)); end <- err }()
			procstest.WaitBlocked(t, 0, 1)
			p.Kill()
			begin := time.Now()
			if err := <-end; !errors.Is(err, mpqueue.ErrAbandoned) {
				t.Fatal(err)
			}
			took = append(took, time.Since(begin))
		}
		return took
	})
}
