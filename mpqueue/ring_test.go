package mpqueue_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"testing"
	"time"

	"shmkit/futexlock"
	"shmkit/mpqueue"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

// newRing makes a ring that is checked and closed when the test ends.
func newRing[T any](t testing.TB, capacity int, opts ...mpqueue.Option) *mpqueue.Ring[T] {
	t.Helper()
	r, err := mpqueue.NewRing[T](capacity, opts...)
	if err != nil {
		t.Fatal(err)
	}
	checkAtEnd(t, r.Segment(), r.Close)
	return r
}

func checkAtEnd(t testing.TB, s *shm.Segment, close func() error) {
	t.Cleanup(func() {
		s.Sweep()
		for _, err := range shm.Check(s) {
			t.Errorf("after the test: %v", err)
		}
		if err := close(); err != nil {
			t.Error(err)
		}
	})
}

// timeout is a context that ends a test that hangs, not one that is slow.
func timeout(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(background, 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// TestRingOrder fills and drains rings of all small capacities, by one and by
// batches, across the wrap of positions.
func TestRingOrder(t *testing.T) {
	for _, first := range []uint64{0, math.MaxUint64 - 499, 1<<63 - 500} {
		for _, capacity := range []int{1, 2, 3, 7, 8, 100} {
			t.Run(fmt.Sprintf("first=%#x/capacity=%d", first, capacity), func(t *testing.T) {
				r := newRing[int](t, capacity, mpqueue.RingFirst(first))
				put, got := 0, 0
				for put < 1000 {
					for r.Len() < capacity {
						if err := r.TryPut(put); err != nil {
							t.Fatal(err)
						}
						put++
					}
					if err := r.TryPut(-1); err != mpqueue.ErrFull {
						t.Fatalf("a full ring: %v", err)
					}
					for range capacity {
						v, err := r.Get(background)
						if err != nil || v != got {
							t.Fatalf("got %d, %v, want %d", v, err, got)
						}
						got++
					}
					if _, err := r.TryGet(); err != mpqueue.ErrEmpty {
						t.Fatalf("an empty ring: %v", err)
					}
					// The same by batches, which wrap at another place.
					in, out := make([]int, capacity), make([]int, capacity+1)
					for i := range in {
						in[i] = put + i
					}
					k := 1 + put%capacity
					if n, err := r.PutBatch(background, in[:k]); n != k || err != nil {
						t.Fatal(n, err)
					}
					n, err := r.GetBatch(background, out)
					if n != k || err != nil {
						t.Fatal(n, k, err)
					}
					for i := range n {
						if out[i] != got {
							t.Fatalf("batch: got %d, want %d", out[i], got)
						}
						got++
					}
					put += k
				}
				if r.Len() != 0 || r.Cap() != capacity {
					t.Fatal(r.Len(), r.Cap())
				}
			})
		}
	}
}

func TestRingReserve(t *testing.T) {
	r := newRing[int](t, 5)
	put, got := 0, 0
	for range 100 {
		s, err := r.Reserve(background, 3)
		if err != nil || len(s) < 1 || len(s) > 3 {
			t.Fatal(len(s), err)
		}
		for i := range s {
			s[i] = put + i
		}
		if _, err := r.TryGet(); err != mpqueue.ErrEmpty {
			t.Fatal("a reservation can be seen", err)
		}
		n := len(s) - put%2*(len(s)-1)
		if err := r.Commit(n); err != nil {
			t.Fatal(err)
		}
		put += n
		for r.Len() > 0 {
			s, err := r.Peek(background, 2)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range s {
				if v != got {
					t.Fatal(v, got)
				}
				got++
			}
			if err := r.Discard(len(s)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if put != got {
		t.Fatal(put, got)
	}
	for want, f := range map[string]func(){
		"Ring.Commit(1) with 0":    func() { r.Commit(1) },
		"Ring.Discard(1) with 0":   func() { r.Discard(1) },
		"mpqueue: Ring.Reserve(0)": func() { r.Reserve(background, 0) },
		"mpqueue: Ring.Peek(-1)":   func() { r.Peek(background, -1) },
	} {
		mustPanic(t, want, f)
	}
}

func TestRingMisuse(t *testing.T) {
	if _, err := mpqueue.NewRing[int](0); !errors.Is(err, fs.ErrInvalid) {
		t.Error(err)
	}
	if _, err := mpqueue.NewRing[int](-1); !errors.Is(err, fs.ErrInvalid) {
		t.Error(err)
	}
	var pe *shm.PointerError
	if _, err := mpqueue.NewRing[*int](1); !errors.As(err, &pe) {
		t.Error(err)
	}
	if _, err := mpqueue.NewRing[struct{ m futexlock.Mutex }](1); !errors.Is(err, fs.ErrInvalid) {
		t.Error(err)
	}
	name := fmt.Sprintf("ring-%d", time.Now().UnixNano())
	r, err := mpqueue.CreateRing[int64](name, 4)
	if err != nil {
		t.Fatal(err)
	}
	defer shm.Remove(name)
	defer r.Close()
	if _, err := mpqueue.CreateRing[int64](name, 4); !errors.Is(err, fs.ErrExist) {
		t.Error(err)
	}
	var le *shm.LayoutError
	if _, err := mpqueue.OpenRing[int32](name); !errors.As(err, &le) {
		t.Error("another type:", err)
	}
	if _, err := mpqueue.OpenByteRing(name); !errors.As(err, &le) {
		t.Error("another kind:", err)
	}
	if _, err := mpqueue.Open[int64](name); !errors.As(err, &le) {
		t.Error("no queue:", err)
	}
	if _, err := mpqueue.OpenRing[int64](name + "x"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	again, made, err := mpqueue.OpenOrCreateRing[int64](name, 9)
	if err != nil || made || again.Cap() != 4 {
		t.Fatal(made, err)
	}
	// Two handles of one process are one participant, with one view.
	if err := r.Put(background, 7); err != nil {
		t.Fatal(err)
	}
	if err := again.Put(background, 8); err != nil {
		t.Fatal(err)
	}
	if v, err := again.Get(background); v != 7 || err != nil {
		t.Fatal(v, err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	if v, err := r.Get(background); v != 8 || err != nil {
		t.Fatal(v, err)
	}
	if err := errors.Join(r.Close(), r.Close()); err != nil {
		t.Fatal(err)
	}
	if err := r.Put(background, 1); !errors.Is(err, shm.ErrClosed) {
		t.Error("Put after Close:", err)
	}
	if _, err := r.Get(background); !errors.Is(err, shm.ErrClosed) {
		t.Error("Get after Close:", err)
	}
	if err := r.CloseSend(); !errors.Is(err, shm.ErrClosed) {
		t.Error("CloseSend after Close:", err)
	}
}

func TestRingContext(t *testing.T) {
	r := newRing[int](t, 1)
	ctx, cancel := context.WithTimeout(background, 20*time.Millisecond)
	defer cancel()
	begin := time.Now()
	_, err := r.Get(ctx)
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("a deadline of 20 ms took %v", took)
	}
	if !errors.Is(err, mpqueue.ErrEmpty) || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	if err := r.Put(ctx, 1); err != nil {
		t.Fatal("done context, room: one try:", err)
	}
	if err := r.Put(ctx, 2); !errors.Is(err, mpqueue.ErrFull) || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	if v, err := r.Get(ctx); v != 1 || err != nil {
		t.Fatal(v, err)
	}
}

func TestRingClose(t *testing.T) {
	for _, first := range []uint64{0, math.MaxUint64 - 1, math.MaxUint64} {
		r := newRing[int](t, 4, mpqueue.RingFirst(first))
		for i := range 2 {
			if err := r.Put(background, i); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(r.CloseSend(), r.CloseSend()); err != nil {
			t.Fatal(err)
		}
		if err := r.Put(background, 9); err != mpqueue.ErrClosed {
			t.Fatal(err)
		}
		n := 0
		for v, err := range r.All(background) {
			if err != nil || v != n {
				t.Fatal(v, err)
			}
			n++
		}
		if n != 2 {
			t.Fatal(n)
		}
		if _, err := r.Get(background); !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
	}
}

// TestRingCloseWakes closes the ring under a sleeper, by CloseSend and by Close.
func TestRingCloseWakes(t *testing.T) {
	for what, end := range map[string]func(*mpqueue.Ring[int]) error{
		"CloseSend": (*mpqueue.Ring[int]).CloseSend, "Close": (*mpqueue.Ring[int]).Close,
	} {
		t.Run(what, func(t *testing.T) {
			r, err := mpqueue.NewRing[int](1)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			if err := r.Put(background, 1); err != nil {
				t.Fatal(err)
			}
			put := make(chan error)
			go func() { put <- r.Put(background, 2) }()
			procstest.WaitBlocked(t, 0, 1)
			if err := end(r); err != nil {
				t.Fatal(err)
			}
			if err := <-put; !errors.Is(err, mpqueue.ErrClosed) && !errors.Is(err, shm.ErrClosed) {
				t.Fatal(err)
			}
		})
	}
}
