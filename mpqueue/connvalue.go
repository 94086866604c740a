package mpqueue

import (
	"context"
	"sync"
)

// encodings are buffers for the messages of Send and Recv.
var encodings = sync.Pool{New: func() any { return new([]byte) }}

// largeEncoding is the size beyond which a buffer is not kept.
const largeEncoding = 1 << 20

// Send sends v as one message: anything that a Queue[any] takes, that is nil,
// bool, numbers, string, []byte, time.Time, slices and maps of these, and types of
// RegisterType. What was sent does not change with v afterwards. An error of the
// encoding is returned before anything is sent; the others are those of SendBytes.
func (c *Conn) Send(ctx context.Context, v any) error {
	buf := encodings.Get().(*[]byte)
	before := messageBegins()
	b, err := anyCodec{}.Append((*buf)[:0], v)
	if err == nil {
		err = c.SendBytes(ctx, b)
	} else {
		err = c.fail("send", err)
	}
	messageEnds(before, err)
	if cap(b) <= largeEncoding {
		*buf = b
		encodings.Put(buf)
	}
	return err
}

// Recv receives a message that was sent by Send. A message that is no encoded value
// is ErrCorrupt, and gone; the other errors are those of RecvBytes.
func (c *Conn) Recv(ctx context.Context) (any, error) {
	buf := encodings.Get().(*[]byte)
	b, err := c.RecvBytes(ctx, (*buf)[:0])
	var v any
	if err == nil {
		v, err = anyCodec{}.Decode(b)
		err = c.fail("receive", err)
	}
	if cap(b) <= largeEncoding {
		*buf = b
		encodings.Put(buf)
	}
	return v, err
}

// A Conn can be sent like any value; like any handle it is given away by that.
func init() { RegisterType[*Conn]() }
