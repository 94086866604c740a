package mpqueue_test

import (
	"errors"
	"io"
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
	for _, q := range []*mpqueue.Queue[parcel]{full, json} {
		if err := q.Put(ctx, parcel{Text: "no room for another"}); err != nil {
			t.Fatal(err)
		}
	}
	x, y := newPipe(t)
	y.Close() // nobody reads there
	for what, send := range map[string]func(c *mpqueue.Conn) error{
		"TryPut":        func(c *mpqueue.Conn) error { return full.TryPut(parcel{"", c}) },
		"Put":           func(c *mpqueue.Conn) error { return full.Put(done, parcel{"", c}) },
		"Put of JSON":   func(c *mpqueue.Conn) error { return json.Put(done, parcel{"", c}) },
		"Send":          func(c *mpqueue.Conn) error { return x.Send(ctx, c) },
		"Send with two": func(c *mpqueue.Conn) error { return x.Send(ctx, []*mpqueue.Conn{c, c}) },
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
