package mpqueue_test

import (
	"errors"
	"io"
	"testing"

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
