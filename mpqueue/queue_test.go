package mpqueue_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"shmkit/mpqueue"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

func TestMain(m *testing.M) { procstest.Main(m) }

var background = context.Background()

// newQueue makes a queue that is checked and closed when the test ends.
func newQueue[T any](t testing.TB, capacity int, opts ...mpqueue.Option) *mpqueue.Queue[T] {
	t.Helper()
	if wrapping.short != 0 {
		opts = append(opts, mpqueue.ShortOfWrap(capacity, wrapping.short))
	}
	q, err := mpqueue.New[T](capacity, opts...)
	if err != nil {
		t.Fatal(err)
	}
	if wrapping.short != 0 {
		mpqueue.AgeWords(q, uint32(min(wrapping.short, 20)))
	}
	t.Cleanup(func() {
		wrapping.note(mpqueue.Wrapped(q))
		for _, err := range shm.Check(q.Segment()) {
			t.Errorf("after the test: %v", err)
		}
		q.Close()
	})
	return q
}

func TestFirstInFirstOut(t *testing.T) {
	for _, capacity := range []int{1, 2, 3, 7, 8, 100} {
		t.Run(fmt.Sprint(capacity), func(t *testing.T) {
			q := newQueue[int](t, capacity)
			next := 0
			for lap := range 5 {
				for i := range capacity {
					if err := q.TryPut(lap*capacity + i); err != nil {
						t.Fatal(err)
					}
				}
				if err := q.TryPut(-1); err != mpqueue.ErrFull {
					t.Fatalf("full queue: %v", err)
				}
				if q.Len() != capacity || !q.Full() || q.Empty() {
					t.Fatal(q.Len(), q.Full(), q.Empty())
				}
				for range capacity {
					v, err := q.Get(background)
					if err != nil || v != next {
						t.Fatalf("got %d, %v, want %d", v, err, next)
					}
					next++
				}
				if _, err := q.TryGet(); err != mpqueue.ErrEmpty {
					t.Fatalf("empty queue: %v", err)
				}
				if q.Len() != 0 || q.Full() || !q.Empty() {
					t.Fatal(q.Len(), q.Full(), q.Empty())
				}
			}
		})
	}
}

func TestMessageSizes(t *testing.T) {
	q := newQueue[string](t, 4, mpqueue.WithMaxBytes(4<<20))
	for _, n := range []int{0, 1, 103, 104, 105, 512, 513, 4096, 65536, 65537, 1 << 20, 4 << 20} {
		want := strings.Repeat("x", n/2) + strings.Repeat("y", n-n/2)
		if err := q.Put(background, want); err != nil {
			t.Fatal(n, err)
		}
		got, err := q.Get(background)
		if err != nil || got != want {
			t.Fatalf("%d bytes: got %d, %v", n, len(got), err)
		}
		if err := q.Put(background, want); err != nil {
			t.Fatal(n, err)
		}
		i, err := q.Receive(background)
		if err != nil || i.Value() != want || i.Redelivered() {
			t.Fatalf("%d bytes: received %v", n, err)
		}
		if err := i.Done(); err != nil {
			t.Fatal(err)
		}
	}
	if err := q.Put(background, strings.Repeat("x", 4<<20+1)); !errors.Is(err, mpqueue.ErrTooLarge) {
		t.Fatal(err)
	}
}

func TestLease(t *testing.T) {
	q := newQueue[int](t, 2)
	q.Put(background, 1)
	q.Put(background, 2)
	a, err := q.Receive(background)
	if err != nil || a.Value() != 1 {
		t.Fatal(err)
	}
	if err := q.TryPut(3); err != mpqueue.ErrFull {
		t.Fatalf("a leased item counts: %v", err)
	}
	if err := a.Requeue(); err != nil {
		t.Fatal(err)
	}
	b, err := q.Receive(background)
	if err != nil || b.Value() != 1 || !b.Redelivered() {
		t.Fatal(b, err)
	}
	if err := b.Done(); err != nil {
		t.Fatal(err)
	}
	if err := b.Done(); err != mpqueue.ErrDone {
		t.Fatal(err)
	}
	if err := q.TryPut(3); err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{2, 3} {
		if v, err := q.Get(background); v != want || err != nil {
			t.Fatal(v, err)
		}
	}
}

func TestCloseSend(t *testing.T) {
	q := newQueue[int](t, 4)
	q.Put(background, 1)
	q.CloseSend()
	if err := q.Put(background, 2); err != mpqueue.ErrClosed {
		t.Fatal(err)
	}
	i, err := q.Receive(background)
	if err != nil {
		t.Fatal(err)
	}
	end := make(chan error)
	go func() {
		_, err := q.Get(background)
		end <- err
	}()
	if err := i.Done(); err != nil {
		t.Fatal(err)
	}
	if err := <-end; !errors.Is(err, io.EOF) || err != mpqueue.ErrClosed {
		t.Fatal(err)
	}
	if _, err := q.TryGet(); err != mpqueue.ErrClosed {
		t.Fatal(err)
	}
}

func TestContext(t *testing.T) {
	q := newQueue[int](t, 1)
	ctx, cancel := context.WithTimeout(background, 20*time.Millisecond)
	defer cancel()
	begin := time.Now()
	_, err := q.Get(ctx)
	t.Log("deadline of 20 ms:", time.Since(begin))
	if !errors.Is(err, mpqueue.ErrEmpty) || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	if err := q.Put(ctx, 1); err != nil {
		t.Fatal("done context, room: one try", err)
	}
	if err := q.Put(ctx, 2); !errors.Is(err, mpqueue.ErrFull) || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	if v, err := q.Get(ctx); v != 1 || err != nil {
		t.Fatal(v, err)
	}
}
