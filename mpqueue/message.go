package mpqueue

import (
	"bytes"
	"fmt"
	"sync"
)

// message is an encoded value on its way into the queue.
type message struct {
	b   []byte
	own *[]byte // from buffers, nil if b is the value's own memory
}

// buffers are what codecs append to.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// bufferMax is the size above which a buffer is not kept.
const bufferMax = 1 << 20

func (m message) free() {
	if m.own != nil && cap(m.b) <= bufferMax {
		*m.own = m.b[:0]
		buffers.Put(m.own)
	}
}

// encode makes a message of *v. It points into *v unless a codec was at work.
func (q *Queue[T]) encode(v *T) (message, error) {
	if q.contents.codec == nil {
		return message{b: rawBytes(v)}, nil
	}
	own := buffers.Get().(*[]byte)
	b, err := q.contents.codec.Append((*own)[:0], *v)
	if err != nil {
		err = fmt.Errorf("mpqueue: encode %s: %w", q.contents.layout.Type, err)
	}
	return message{b, own}, err
}

// take makes a T of a message that is still where it was, or, if a codec has to do
// that, copies the message. A codec is the caller's own code: it may be slow, or
// panic, and must not run while a slot is claimed, for others wait for that.
func (q *Queue[T]) take(b []byte) (v T, m message, err error) {
	if q.contents.codec == nil {
		v, err = q.decode(b)
		return v, m, err
	}
	own := buffers.Get().(*[]byte)
	return v, message{append((*own)[:0], b...), own}, nil
}

// taken is what take returned, decoded.
func (q *Queue[T]) taken(v T, m message, err error) (T, error) {
	if m.own == nil || err != nil {
		return v, err
	}
	v, err = q.decode(m.b)
	m.free()
	return v, err
}

// decode makes a T of a message, of which it keeps nothing.
func (q *Queue[T]) decode(b []byte) (v T, err error) {
	if c := q.contents.codec; c != nil {
		if v, err = c.Decode(b); err != nil {
			err = fmt.Errorf("mpqueue: decode %s: %w", q.contents.layout.Type, err)
		}
		return v, err
	}
	switch any(&v).(type) {
	case *[]byte, *string:
		return fromBytes[T](bytes.Clone(b)), nil
	}
	if len(b) != q.contents.layout.Size {
		return v, corrupt("a message of bytes", uint64(q.contents.layout.Size), uint64(len(b)))
	}
	return *view[T](b), nil
}
