package mpqueue

import (
	"context"
	"errors"
	"io"

	"shmkit/shm"
)

var (
	_ io.ReadWriter = (*ByteRing)(nil)
	_ io.ReaderFrom = (*ByteRing)(nil)
	_ io.WriterTo   = (*ByteRing)(nil)
)

// Write appends all of b, in parts as room becomes free; see WriteContext.
func (r *ByteRing) Write(b []byte) (int, error) { return r.WriteContext(context.Background(), b) }

// WriteContext appends all of b. It waits while the ring is full. What fits is
// published in one step. It returns how many bytes the stream has, and why not
// all: ErrClosed after CloseSend; ErrFull joined with ctx's error when ctx is
// done; ErrBusy if another living process is the producer; ErrAbandoned if the
// consumer died; shm.ErrClosed when this process closes the ring meanwhile.
func (r *ByteRing) WriteContext(ctx context.Context, b []byte) (int, error) {
	c := r.core()
	done := 0
	for done < len(b) {
		if c.in.limit == c.in.next || c.ctl.sendState.Load() != ringOpen {
			if err := c.await(ctx, &c.in, 1); err != nil {
				return done, err
			}
		}
		if _, err := c.room(min(uint64(len(b)-done), c.geo.capacity)); err != nil {
			return done, err
		}
		p, n := c.in.next, min(uint64(len(b)-done), c.in.limit-c.in.next)
		c.copyIn(p, b[done:done+int(n)])
		if err := c.publish(p, n); err != nil {
			return done, err
		}
		done += int(n)
	}
	return done, nil
}

// Read fills b with what is there, and waits only while there is nothing; see
// ReadContext. The end of the stream is io.EOF itself.
func (r *ByteRing) Read(b []byte) (int, error) {
	n, err := r.ReadContext(context.Background(), b)
	if errors.Is(err, ErrClosed) {
		err = io.EOF
	}
	return n, err
}

// ReadContext fills b with what is there, up to len(b) bytes, and waits while
// there is nothing. It moves the read position once. Errors: ErrClosed, which is
// io.EOF, when the ring is closed and drained; ErrEmpty joined with ctx's error
// when ctx is done; ErrBusy if another living process is the consumer;
// ErrAbandoned, which is io.ErrUnexpectedEOF, if the producer died; ErrCorrupt;
// shm.ErrClosed when this process closes the ring.
func (r *ByteRing) ReadContext(ctx context.Context, b []byte) (int, error) {
	c := r.core()
	if len(b) == 0 {
		return 0, nil
	}
	if c.out.limit == c.out.next {
		if err := c.await(ctx, &c.out, 1); err != nil {
			return 0, err
		}
	}
	if _, err := c.items(min(uint64(len(b)), c.geo.capacity)); err != nil {
		return 0, err
	}
	p, n := c.out.next, min(uint64(len(b)), c.out.limit-c.out.next)
	c.copyOut(b[:n], p)
	c.handBack(p, n)
	if err := c.take(p, n); err != nil {
		return 0, err
	}
	return int(n), nil
}

// ReadFrom writes everything that src gives, until its io.EOF, straight into the
// ring's memory. It is what io.Copy uses.
func (r *ByteRing) ReadFrom(src io.Reader) (total int64, err error) {
	for {
		// As much as is free, but at least one byte.
		if _, err := r.Reserve(context.Background(), 1); err != nil {
			return total, err
		}
		if _, err := r.c.room(r.c.geo.capacity); err != nil {
			return total, err
		}
		room := r.c.toEdge(&r.c.in, r.c.in.limit-r.c.in.next)
		b := span[byte](&r.c.ringMemory, r.c.in.next, room)
		n, err := src.Read(b)
		if n < 0 || uint64(n) > room {
			panic("mpqueue: ByteRing.ReadFrom: impossible count of a Reader")
		}
		if n > 0 {
			if err := r.c.publish(r.c.in.next, uint64(n)); err != nil {
				return total, err
			}
			total += int64(n)
		}
		switch {
		case err == io.EOF:
			return total, nil
		case err != nil:
			return total, err
		}
	}
}

// WriteTo writes the stream to dst, straight from the ring's memory, until its
// end. It is what io.Copy uses.
func (r *ByteRing) WriteTo(dst io.Writer) (total int64, err error) {
	for {
		if _, err := r.Peek(context.Background(), 1); err != nil {
			if errors.Is(err, ErrClosed) {
				err = nil
			}
			return total, err
		}
		if _, err := r.c.items(r.c.geo.capacity); err != nil {
			return total, err
		}
		have := r.c.toEdge(&r.c.out, r.c.out.limit-r.c.out.next)
		n, err := dst.Write(span[byte](&r.c.ringMemory, r.c.out.next, have))
		if n < 0 || uint64(n) > have {
			panic("mpqueue: ByteRing.WriteTo: impossible count of a Writer")
		}
		if n > 0 {
			r.c.handBack(r.c.out.next, uint64(n))
			if err := r.c.take(r.c.out.next, uint64(n)); err != nil {
				return total, err
			}
			total += int64(n)
		}
		if err != nil {
			return total, err
		}
		if uint64(n) < have {
			return total, io.ErrShortWrite
		}
	}
}

// MarshalBinary encodes the handle; see shm.Segment.
func (r *ByteRing) MarshalBinary() ([]byte, error) { return r.c.marshal() }

// UnmarshalBinary makes r a handle of the byte ring that b refers to. The error is
// a *shm.HandleError, which wraps a *shm.LayoutError if that is no byte ring. It
// panics if r is a handle already.
func (r *ByteRing) UnmarshalBinary(b []byte) (err error) {
	if r.c != nil {
		panic("mpqueue: Unmarshal into a byte ring that is in use")
	}
	r.c, err = unmarshalRing(b, byteLayout(), KindByteRing)
	return err
}

// MarshalText is MarshalBinary as text.
func (r *ByteRing) MarshalText() ([]byte, error) { return r.c.marshalText() }

// UnmarshalText is the other end of MarshalText.
func (r *ByteRing) UnmarshalText(b []byte) error {
	raw, err := shm.DecodeText(b)
	if err != nil {
		return err
	}
	return r.UnmarshalBinary(raw)
}
