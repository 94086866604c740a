package mpqueue_test

import (
	"encoding/binary"
	"errors"
	"io"
	"testing"
	"time"

	"shmkit/mpqueue"
)

// parcelOfConns is a registered type with handles in it, and one that fails to decode.
type parcelOfConns struct {
	Ends []*mpqueue.Conn
	By   map[string]*mpqueue.Conn
	Then unreadable
}

// unreadable encodes itself, and cannot be decoded. (Zero it would be left out.)
type unreadable struct{ Bad bool }

func (u unreadable) MarshalBinary() ([]byte, error) { return []byte{1}, nil }
func (u *unreadable) UnmarshalBinary([]byte) error  { return errors.New("unreadable") }

func init() { mpqueue.RegisterType[parcelOfConns]() }

// TestPipeBadMessageClosesHandles: the ends in a message that cannot be decoded are not
// held by its receiver.
func TestPipeBadMessageClosesHandles(t *testing.T) {
	ctx := timeout(t)
	for what, wrap := range map[string]func(c, d *mpqueue.Conn) any{
		"a type that fails": func(c, d *mpqueue.Conn) any { return []any{c, d, parcelOfConns{Then: unreadable{true}}} },
		"inside of one": func(c, d *mpqueue.Conn) any {
			return parcelOfConns{Ends: []*mpqueue.Conn{c}, By: map[string]*mpqueue.Conn{"d": d}, Then: unreadable{true}}
		},
		"bytes behind the end": func(c, d *mpqueue.Conn) any { return map[string]any{"c": c, "d": d} },
	} {
		t.Run(what, func(t *testing.T) {
			x, y := newPipe(t)
			a, b := newPipe(t)
			c, d := newPipe(t)
			if err := x.Send(ctx, wrap(b, d)); err != nil {
				t.Fatal(err)
			}
			if what == "bytes behind the end" {
				m, err := y.RecvBytes(ctx, nil)
				if err == nil {
					err = x.SendBytes(ctx, binary.LittleEndian.AppendUint64(m, 0))
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if v, err := y.Recv(ctx); err == nil || v != nil {
				t.Fatal("it could be decoded:", v)
			}
			for _, c := range []*mpqueue.Conn{a, c} {
				if _, err := c.RecvBytes(within(t, 5*time.Second), nil); err != io.EOF {
					t.Error("the other end:", err)
				}
			}
		})
	}
}
