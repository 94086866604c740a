package mpqueue_test

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"shmkit/mpqueue"
	"shmkit/shm"
)

func TestMisuse(t *testing.T) {
	for _, n := range []int{-1, 1<<30 + 1} {
		if _, err := mpqueue.New[int](n); err == nil {
			t.Errorf("capacity %d accepted", n)
		}
	}
	if _, err := mpqueue.New[int](1, mpqueue.Joinable(), mpqueue.WithDelivery(mpqueue.AtMostOnce)); !errors.Is(err, fs.ErrInvalid) || !strings.Contains(err.Error(), "AtMostOnce") {
		t.Errorf("Joinable and AtMostOnce: %v", err)
	}
	q := newQueue[int](t, 1)
	q.Put(background, 1)
	i, err := q.Receive(background)
	if err != nil {
		t.Fatal(err)
	}
	i.Done()
	mustPanic(t, "done", func() { i.Value() })
	mustPanic(t, "done", func() { i.Bytes() })
	mustPanic(t, "ReserveSize", func() { q.ReserveSize(background, 1) })
	c, err := mpqueue.New[int](1)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	c.Close()
	if err := c.Put(background, 1); !errors.Is(err, shm.ErrClosed) {
		t.Fatal(err)
	}
	if _, err := c.Get(background); !errors.Is(err, shm.ErrClosed) {
		t.Fatal(err)
	}
	if err := c.CloseSend(); !errors.Is(err, shm.ErrClosed) {
		t.Fatal(err)
	}
	if _, err := c.MarshalBinary(); !errors.Is(err, shm.ErrClosed) {
		t.Fatal(err)
	}
}

func TestAllocations(t *testing.T) {
	if shm.RaceEnabled {
		t.Skip("the race detector allocates")
	}
	q := newQueue[message64](t, 8)
	if n := testing.AllocsPerRun(100, func() { q.Put(background, message64{}); q.Get(background); q.TryPut(message64{}); q.TryGet() }); n != 0 {
		t.Errorf("%v allocations for fixed messages", n)
	}
	s := newQueue[[]byte](t, 8)
	b, large := make([]byte, 64), make([]byte, 4096)
	if n := testing.AllocsPerRun(100, func() { s.Put(background, b); s.Get(background) }); n > 1 {
		t.Errorf("%v allocations for 64 bytes, want that of the result", n)
	}
	if n := testing.AllocsPerRun(100, func() { s.Put(background, large); s.Get(background) }); n > 1 {
		t.Errorf("%v allocations for 4096 bytes, want that of the result", n)
	}
	// Not even for the Item, as long as its caller keeps it to himself.
	for _, m := range [][]byte{b, large} {
		if n := testing.AllocsPerRun(100, func() {
			s.Put(background, m)
			if i, err := s.Receive(background); err != nil || len(i.Bytes()) != len(m) || i.Done() != nil {
				t.Fatal(err)
			}
		}); n > 0 {
			t.Errorf("Put, Receive and Done of %d bytes allocate %v times", len(m), n)
		}
		if n := testing.AllocsPerRun(100, func() {
			w, err := s.ReserveSize(background, len(m))
			if err != nil || w.Commit() != nil {
				t.Fatal(err)
			}
			i, err := s.TryReceive()
			if err != nil || i.Done() != nil {
				t.Fatal(err)
			}
			if _, err := s.TryReceive(); err != mpqueue.ErrEmpty {
				t.Fatal(err)
			}
		}); n > 1 {
			t.Errorf("Reserve, Commit, TryReceive and Done of %d bytes allocate %v times, want once, for the one that found nothing", len(m), n)
		}
	}
}

// A queue WithoutSpin works like any other; who waits is asleep at once, also with
// a handle that has not heard of the option.
func TestWithoutSpin(t *testing.T) {
	q := newQueue[message64](t, 4, mpqueue.WithoutSpin())
	var other mpqueue.Queue[message64]
	if err := other.UnmarshalBinary(must(q.MarshalBinary())); err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if mpqueue.Spins(q) || mpqueue.Spins(&other) {
		t.Error("it spins")
	}
	if mpqueue.Spins(newQueue[message64](t, 4)) != shm.CanSpin() {
		t.Error("another queue does not")
	}
	p := benchProducer.Start(t, benchArgs{Queue: q, Count: 5000})
	go func() {
		p.Wait()
		q.CloseSend()
	}()
	if err := drain(background, q); err != nil {
		t.Fatal(err)
	}
	if s := p.Wait(); s.Err != nil {
		t.Fatal(s)
	}
}

// TestLastBlock puts a message into the last chunk of the largest arena there can be:
// the numbers of its blocks just fit where a slot says which one holds its message.
func TestLastBlock(t *testing.T) {
	const chunks = 1<<17 - 1
	q := newQueue[string](t, 1000, mpqueue.WithMaxBytes(chunks*64<<10))
	var right []func()
	for ci := range chunks - 1 {
		right = append(right, mpqueue.SpoilChunk(q, ci)) // nobody finds room there
	}
	var put []string
	for {
		v := strings.Repeat(string(rune('a'+len(put))), 3000)
		if err := q.TryPut(v); err == mpqueue.ErrFull {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		put = append(put, v)
	}
	if len(put) != 16 { // blocks of 4096 bytes
		t.Errorf("%d messages in a chunk", len(put))
	}
	if i, err := q.TryReceive(); err != nil || i.Requeue() != nil {
		t.Error(err)
	}
	for _, want := range put {
		if v, err := q.TryGet(); v != want || err != nil {
			t.Errorf("got %.9q, %v, want %.9q", v, err, want)
		}
	}
	for _, f := range right {
		f()
	}
}
