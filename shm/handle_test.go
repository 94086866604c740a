package shm_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"shmkit/futexlock"
	"shmkit/mpqueue"
	"shmkit/procs"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

// luggage is an argument with handles in every place.
type luggage struct {
	Counter *shm.Object[atomic.Int64] // by pointer
	Inside  struct {
		Lock  shm.Object[pair] // by value
		Array shm.Slice[int32]
	}
	List  []*shm.Object[atomic.Int64]
	Map   map[string]*shm.Object[atomic.Int64]
	Bytes *shm.Segment
	Named *shm.Object[account]
}

// traveller uses everything in its luggage.
var traveller = procstest.Role("traveller", func(ctx context.Context, l luggage) error {
	l.Counter.Value().Add(1)
	if ok, err := l.Inside.Lock.Value().Mu.TryLock(); ok || err != nil {
		return fmt.Errorf("the lock is not the sender's: %v, %v", ok, err)
	}
	l.Inside.Array.Data()[2] = 7
	for _, o := range l.List {
		o.Value().Add(1)
	}
	l.Map["a"].Value().Add(1)
	l.Bytes.Data()[5] = 9
	l.Named.Value().Balance = 42
	return nil
})

func must[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// Handles travel as arguments, in structs, slices and maps within them, whether
// their objects are small, large or named.
func TestHandleArguments(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	for _, opts := range [][]shm.Option{nil, {shm.WithOwnSegment()}} {
		counter := must[*shm.Object[atomic.Int64]](t)
		l := luggage{Counter: counter(shm.New[atomic.Int64](opts...))}
		lock := must[*shm.Object[pair]](t)(shm.New[pair](opts...))
		array := must[*shm.Slice[int32]](t)(shm.NewSlice[int32](10, opts...))
		copyHandle(t, lock, &l.Inside.Lock)
		copyHandle(t, array, &l.Inside.Array)
		l.List = []*shm.Object[atomic.Int64]{counter(shm.New[atomic.Int64](opts...)), counter(shm.New[atomic.Int64](opts...)), l.Counter}
		l.Map = map[string]*shm.Object[atomic.Int64]{"a": l.List[0]}
		l.Bytes = must[*shm.Segment](t)(shm.NewSegment(100))
		l.Named = must[*shm.Object[account]](t)(shm.Create[account]("luggage"))
		lock.Value().Mu.Lock()

		if s := traveller.Start(t, l).Wait(); s.Err != nil {
			t.Fatal(s)
		}
		if a, b, c := l.Counter.Value().Load(), l.List[0].Value().Load(), l.List[1].Value().Load(); a != 2 || b != 2 || c != 1 {
			t.Errorf("counters %d, %d, %d, want 2, 2, 1", a, b, c)
		}
		if array.Data()[2] != 7 || l.Bytes.Data()[5] != 9 || l.Named.Value().Balance != 42 {
			t.Error("what the other wrote is not here")
		}
		lock.Value().Mu.Unlock()
		for _, c := range []io.Closer{l.Counter, lock, array, &l.Inside.Lock, &l.Inside.Array, l.List[0], l.List[1], l.Bytes, l.Named} {
			c.Close()
		}
		shm.Remove("luggage")
		shm.DropPins()
	}
}

type handle interface {
	MarshalBinary() ([]byte, error)
}

func copyHandle(t testing.TB, from handle, to interface{ UnmarshalBinary([]byte) error }) {
	t.Helper()
	b, err := from.MarshalBinary()
	if err == nil {
		err = to.UnmarshalBinary(b)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// reader gets handles, one on a line, from its standard input.
var reader = procstest.Role("reader", func(ctx context.Context, ready *shm.Object[atomic.Int64]) error {
	ready.Value().Add(1)
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var o shm.Object[atomic.Int64]
		if err := o.UnmarshalText(in.Bytes()); err != nil {
			return err
		}
		ready.Value().Add(o.Value().Load())
		if err := o.Close(); err != nil {
			return err
		}
	}
	return nil
})

// A handle reaches a process that runs already, though the sender closes its own
// right after sending, and keeps nothing once it has arrived.
func TestHandleClosedBySender(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	for _, opts := range [][]shm.Option{nil, {shm.WithOwnSegment()}} {
		ready := must[*shm.Object[atomic.Int64]](t)(shm.New[atomic.Int64]())
		in, out, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		p := reader.Start(t, ready, procstest.With(procs.Stdin(in)))
		in.Close()
		waitFor(t, "the reader", func() bool { return ready.Value().Load() == 1 })
		const n = 200
		for i := range n {
			o := must[*shm.Object[atomic.Int64]](t)(shm.New[atomic.Int64](opts...))
			o.Value().Store(1)
			text, err := o.MarshalText()
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(out, "%s\n", text)
			o.Close()
			// No more on their way than the sender keeps.
			waitFor(t, "the reader keeps up", func() bool { return int(ready.Value().Load()) > i-30 })
		}
		out.Close()
		if s := p.Wait(); s.Err != nil {
			t.Error(s)
		}
		if got := ready.Value().Load(); got != n+1 {
			t.Errorf("%d arrived, want %d", got-1, n)
		}
		waitFor(t, "nothing is kept", func() bool { return shm.Pins() == 0 })
		ready.Close()
	}
}

type queued struct {
	Queue *mpqueue.Queue[[64]byte]
	Seen  *shm.Object[atomic.Int64]
}

// queueReader gets handles in messages of a queue.
var queueReader = procstest.Role("queue reader", func(ctx context.Context, a queued) error {
	for {
		v, err := a.Queue.Get(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var o shm.Object[atomic.Int64]
		if err := o.UnmarshalBinary(v[1 : 1+v[0]]); err != nil {
			return err
		}
		a.Seen.Value().Add(o.Value().Load())
		o.Close()
	}
})

// The same through a queue, whose messages wait where no receiver has seen them.
func TestHandleThroughQueue(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	q := must[*mpqueue.Queue[[64]byte]](t)(mpqueue.New[[64]byte](8))
	defer q.Close()
	seen := must[*shm.Object[atomic.Int64]](t)(shm.New[atomic.Int64]())
	defer seen.Close()
	p := queueReader.Start(t, queued{q, seen})
	const n = 100
	for range n {
		o := must[*shm.Object[atomic.Int64]](t)(shm.New[atomic.Int64]())
		o.Value().Store(1)
		b, err := o.MarshalBinary()
		if err == nil {
			m := [64]byte{byte(len(b))}
			copy(m[1:], b)
			err = q.Put(t.Context(), m)
		}
		if err != nil {
			t.Fatal(err)
		}
		o.Close()
	}
	q.CloseSend()
	if s := p.Wait(); s.Err != nil {
		t.Error(s)
	}
	if got := seen.Value().Load(); got != n {
		t.Errorf("%d arrived, want %d", got, n)
	}
	waitFor(t, "nothing is kept", func() bool { return shm.Pins() == 0 })
}

// Without the pin the handle of a closed object leads nowhere: this is what
// TestHandleClosedBySender would see.
func TestHandleOracle(t *testing.T) {
	for _, opts := range [][]shm.Option{nil, {shm.WithOwnSegment()}} {
		keep := must[*shm.Object[int64]](t)(shm.New[int64]())
		o := must[*shm.Object[int64]](t)(shm.New[int64](opts...))
		b, err := o.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		o.Close()
		shm.DropPins()
		var r shm.Object[int64]
		var he *shm.HandleError
		if err := r.UnmarshalBinary(b); !errors.As(err, &he) {
			t.Errorf("a handle that nobody keeps: %v", err)
		} else {
			t.Log(err)
		}
		keep.Close()
	}
}

// sender writes a handle of its own object and dies.
var sender = procstest.Role("sender", func(ctx context.Context, a senderArgs) error {
	var text []byte
	if a.Named != "" {
		o, err := shm.Create[int64](a.Named)
		if err != nil {
			return err
		}
		*o.Value() = 42
		text, _ = o.MarshalText()
	} else {
		o, err := shm.New[int64]()
		if err != nil {
			return err
		}
		text, _ = o.MarshalText()
	}
	copy(a.Mail.Data(), text)
	<-ctx.Done()
	return nil
})

type senderArgs struct {
	Mail  *shm.Slice[byte]
	Named string
}

// A handle of a dead process: an anonymous object went with it, and the error
// says so; a named one is found by its name.
func TestHandleOfTheDead(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	for _, name := range []string{"", "will"} {
		mail := must[*shm.Slice[byte]](t)(shm.NewSlice[byte](200))
		p := sender.Start(t, senderArgs{mail, name})
		waitFor(t, "mail", func() bool {
			return shm.WordAt(mail.Segment(), int(shm.OffsetOf(mail.Segment(), mail.Data()))).Load() != 0
		})
		time.Sleep(time.Millisecond)
		p.Kill()
		text := strings.TrimRight(string(mail.Data()), "\x00")
		var o shm.Object[int64]
		err := o.UnmarshalText([]byte(text))
		var he *shm.HandleError
		switch {
		case name == "" && !errors.As(err, &he):
			t.Errorf("an anonymous object of a dead process: %v", err)
		case name != "" && (err != nil || *o.Value() != 42):
			t.Errorf("a named object of a dead process: %v", err)
		}
		t.Log(err)
		o.Close()
		mail.Close()
	}
	shm.Remove("will")
}

// Bytes that are no handle are an error.
func TestHandleGarbage(t *testing.T) {
	o := must[*shm.Object[int64]](t)(shm.New[int64]())
	defer shm.DropPins()
	defer o.Close()
	good, _ := o.MarshalBinary()
	for i := range good {
		var r shm.Object[int64]
		r.UnmarshalBinary(good[:i])
		bad := append([]byte(nil), good...)
		bad[i] ^= 0xff
		var s shm.Object[int64]
		if err := s.UnmarshalBinary(bad); err == nil && i < 16 {
			t.Errorf("byte %d changed: nothing noticed", i)
		}
		s.Close()
	}
	var m shm.Object[futexlock.Mutex]
	if err := m.UnmarshalText([]byte("not base64!")); err == nil {
		t.Error("text that is none")
	}
	var zero shm.Object[int64]
	if _, err := zero.MarshalBinary(); !errors.Is(err, shm.ErrClosed) {
		t.Errorf("the zero handle: %v", err)
	}
}
