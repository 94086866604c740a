package mpqueue_test

import (
	"errors"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"shmkit/mpqueue"
	"shmkit/shm"
)

// TestPipeReturned: an end whose message could not be sent comes back, however the
// message was encoded.
func TestPipeReturned(t *testing.T) {
	ctx := timeout(t)
	type parcel struct {
		Text string
		Conn *mpqueue.Conn
	}
	full := newQueue[parcel](t, 1)
	json := newQueue[parcel](t, 1, mpqueue.WithCodec(mpqueue.JSON[parcel]()))
	sealed := newQueue[parcel](t, 1, mpqueue.WithCodec[parcel](sealingCodec[parcel]{mpqueue.Gob[parcel]()}))
	for _, q := range []*mpqueue.Queue[parcel]{full, json, sealed} {
		if err := q.Put(ctx, parcel{Text: "no room for another"}); err != nil {
			t.Fatal(err)
		}
	}
	x, y := newPipe(t)
	y.Close() // nobody reads there
	for what, send := range map[string]func(c *mpqueue.Conn) error{
		"TryPut":                        func(c *mpqueue.Conn) error { return full.TryPut(parcel{"", c}) },
		"Put":                           func(c *mpqueue.Conn) error { return full.Put(done, parcel{"", c}) },
		"Put of what cannot be read":    func(c *mpqueue.Conn) error { return sealed.Put(done, parcel{"", c}) },
		"TryPut of what cannot be read": func(c *mpqueue.Conn) error { return sealed.TryPut(parcel{"", c}) },
		"Put of JSON":                   func(c *mpqueue.Conn) error { return json.Put(done, parcel{"", c}) },
		"Send":                          func(c *mpqueue.Conn) error { return x.Send(ctx, c) },
		"Send with two":                 func(c *mpqueue.Conn) error { return x.Send(ctx, []*mpqueue.Conn{c, c}) },
	} {
		for _, keep := range []bool{false, true} {
			a, b := newPipe(t)
			if keep {
				b.Keep()
			}
			for range 100 { // more often than handles can be on their way
				if err := send(b); err == nil || !keep && what != "Send with two" && errors.Is(err, shm.ErrClosed) {
					t.Fatal(what, err)
				}
			}
			if err := b.SendBytes(ctx, []byte("still here")); err != nil {
				t.Fatal(what, err)
			}
			if got, err := a.RecvBytes(ctx, nil); string(got) != "still here" || err != nil {
				t.Fatal(what, got, err)
			}
			b.Close()
			if _, err := a.RecvBytes(ctx, nil); err != io.EOF {
				t.Fatal(what, "the end:", err)
			}
		}
	}
}

// TestPipeReturnedInUse: an end comes back while others call it. After that, Close
// closes it, and the other side gets the end.
func TestPipeReturnedInUse(t *testing.T) {
	ctx := timeout(t)
	x, y := newPipe(t)
	y.Close() // what is sent into x comes back
	rounds := 20
	if testing.Short() {
		rounds = 5
	}
	for range rounds {
		a, b := newPipe(t)
		stop := make(chan bool)
		var users sync.WaitGroup
		for range 3 {
			users.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
						b.RecvBytes(done, nil) // ErrEmpty, or shm.ErrClosed while it is away
					}
				}
			})
		}
		for range 200 {
			if err := x.Send(ctx, b); err == nil || errors.Is(err, shm.ErrClosed) {
				t.Error("Send:", err)
			}
		}
		close(stop)
		users.Wait()
		if err := errors.Join(b.SendBytes(ctx, nil), recvError(a.RecvBytes(ctx, nil))); err != nil {
			t.Fatal("after it came back:", err)
		}
		b.Close()
		if err := b.SendBytes(ctx, nil); !errors.Is(err, shm.ErrClosed) {
			t.Fatal("after Close:", err)
		}
		if _, err := a.RecvBytes(within(t, 5*time.Second), nil); err != io.EOF {
			t.Fatal("after Close, at the other end:", err)
		}
	}
}

// TestPipeReturnedClosed: an end that its user has closed while it was away stays
// closed when its message cannot be sent.
func TestPipeReturnedClosed(t *testing.T) {
	ctx := timeout(t)
	q := newQueue[*mpqueue.Conn](t, 1, mpqueue.WithCodec[*mpqueue.Conn](closingCodec{}))
	a, b := newPipe(t)
	if err := q.Put(ctx, b); err == nil {
		t.Fatal("it was put")
	}
	if err := b.SendBytes(ctx, nil); !errors.Is(err, shm.ErrClosed) {
		t.Fatal("it is open:", err)
	}
	if _, err := a.RecvBytes(within(t, 5*time.Second), nil); err != io.EOF {
		t.Fatal("the other end:", err)
	}
}

// closingCodec encodes a Conn, closes it, and fails.
type closingCodec struct{}

func (closingCodec) Append(b []byte, c *mpqueue.Conn) ([]byte, error) {
	h, err := c.MarshalBinary()
	return append(b, h...), errors.Join(err, c.Close(), errors.New("no"))
}

func (closingCodec) Decode([]byte) (*mpqueue.Conn, error) { return nil, errors.New("no") }

func recvError(_ []byte, err error) error { return err }

// sealingCodec makes bytes in which nobody finds anything.
type sealingCodec[T any] struct{ mpqueue.Codec[T] }

func (s sealingCodec[T]) Append(b []byte, v T) ([]byte, error) {
	n := len(b)
	b, err := s.Codec.Append(b, v)
	for i := range b[n:] {
		b[n+i] ^= byte(91 + 7*i)
	}
	return b, err
}

func (s sealingCodec[T]) Decode(b []byte) (T, error) {
	b = slices.Clone(b)
	for i := range b {
		b[i] ^= byte(91 + 7*i)
	}
	return s.Codec.Decode(b)
}

// TestPipeReturnedOnly: what comes back is what was in the message that could not be
// sent: not what the same goroutine has sent before, nor what its codec sent in a
// message of its own meanwhile, nor what others encode at the same time.
func TestPipeReturnedOnly(t *testing.T) {
	ctx := timeout(t)
	q := newQueue[*mpqueue.Conn](t, 4)
	nested := newQueue[*mpqueue.Conn](t, 1, mpqueue.WithCodec[*mpqueue.Conn](nestingCodec{q}))
	if err := nested.Put(ctx, nil); err != nil {
		t.Fatal(err)
	}
	a, b := newPipe(t)
	c, d := newPipe(t)
	e, f := newPipe(t)
	if err := q.Put(ctx, b); err != nil { // before
		t.Fatal(err)
	}
	sent := make(chan error)
	nestedDuring = func() {
		go func() { sent <- q.Put(ctx, f) }() // at the same time
		if err := errors.Join(<-sent, q.Put(ctx, d)); err != nil {
			t.Error(err)
		}
	}
	g, h := newPipe(t)
	if err := nested.Put(done, h); !errors.Is(err, mpqueue.ErrFull) {
		t.Fatal(err)
	}
	if err := errors.Join(h.SendBytes(ctx, nil), recvError(g.RecvBytes(ctx, nil))); err != nil {
		t.Error("it did not come back:", err)
	}
	for _, away := range []*mpqueue.Conn{b, d, f} {
		if err := away.SendBytes(ctx, nil); !errors.Is(err, shm.ErrClosed) {
			t.Error("it was sent, and came back:", err)
		}
	}
	for _, other := range []*mpqueue.Conn{a, e, c} {
		got, err := q.Get(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(got.SendBytes(ctx, nil), recvError(other.RecvBytes(ctx, nil)), got.Close()); err != nil {
			t.Error("what was sent:", err)
		}
	}
}

// nestingCodec puts something into a queue of its own while it encodes.
type nestingCodec struct{ q *mpqueue.Queue[*mpqueue.Conn] }

var nestedDuring = func() {}

func (nestingCodec) Append(b []byte, c *mpqueue.Conn) ([]byte, error) {
	if c == nil {
		return b, nil
	}
	h, err := c.MarshalBinary()
	nestedDuring()
	return append(b, h...), err
}

func (nestingCodec) Decode([]byte) (*mpqueue.Conn, error) { return nil, nil }
