package mpqueue

import (
	"context"
	"errors"
	"fmt"

	"shmkit/shm"
)

// ByteRing carries a stream of bytes from one producer to one consumer. It is an
// io.Writer for the one and an io.Reader for the other; Reserve and Peek give
// both of them the memory itself.
//
// Roles, crashes and handles are those of Ring: a Write of a process that is
// killed has written a part of its bytes, from the front, and the stream goes on
// behind them with its successor. Who needs messages that arrive whole or not at
// all uses Pipe or Queue.
type ByteRing struct {
	c      *ringCore
	closed onceClosed
}

// NewByteRing makes an anonymous byte ring that holds up to size bytes; it is
// freed with its last user. It takes memory for the next power of two. Errors:
// shm.ErrNoSpace, fs.ErrInvalid for a size below 1 or beyond 2^40,
// errors.ErrUnsupported. Of the options only WithSegment applies.
func NewByteRing(size int, opts ...Option) (*ByteRing, error) {
	return buildByteRing("new byte ring", "", size, opts, func(n int, so []shm.Option) (*shm.Segment, error) {
		return shm.NewSegment(n, so...)
	})
}

// CreateByteRing makes a byte ring under a name; see shm.Create for names. A name
// that is in use is fs.ErrExist.
func CreateByteRing(name string, size int, opts ...Option) (*ByteRing, error) {
	return buildByteRing("create byte ring", name, size, opts, func(n int, so []shm.Option) (*shm.Segment, error) {
		return shm.CreateSegment(name, n, so...)
	})
}

// OpenByteRing attaches to the byte ring of that name, which may have been left
// with its bytes by processes that are gone. Errors: fs.ErrNotExist;
// *shm.LayoutError if it is no byte ring.
func OpenByteRing(name string, opts ...Option) (*ByteRing, error) {
	s, err := shm.OpenSegment(name, ringOptions(byteLayout(), KindByteRing, opts)...)
	return attachByteRing("open byte ring", name, s, err)
}

// OpenOrCreateByteRing opens name, or makes it where there is none, and reports
// whether it made it.
func OpenOrCreateByteRing(name string, size int, opts ...Option) (r *ByteRing, made bool, err error) {
	r, err = buildByteRing("open or create byte ring", name, size, opts, func(n int, so []shm.Option) (s *shm.Segment, err error) {
		s, made, err = shm.OpenOrCreateSegment(name, n, so...)
		return s, err
	})
	return r, made, err
}

func byteLayout() shm.Layout {
	l, err := shm.LayoutOf[byte]()
	if err != nil {
		panic(err) // a byte has no pointers
	}
	return l
}

func buildByteRing(op, name string, size int, opts []Option, make func(int, []shm.Option) (*shm.Segment, error)) (*ByteRing, error) {
	n, so, err := ringPlan(byteLayout(), KindByteRing, size, opts)
	if err != nil {
		return nil, ringError(op, name, err)
	}
	s, err := make(n, so)
	return attachByteRing(op, name, s, err)
}

func attachByteRing(op, name string, s *shm.Segment, err error) (*ByteRing, error) {
	var c *ringCore
	if err == nil {
		c, err = ringIn(s, 1)
	}
	if err != nil {
		return nil, ringError(op, name, err)
	}
	return &ByteRing{c: c}, nil
}

// Reserve returns n free bytes of the ring to fill; it waits until so many are
// free. It returns fewer only where the memory of the ring ends, at multiples of
// the power of two from Cap up: records whose size divides that are never cut.
// Nothing is visible to the consumer before Commit.
//
// A producer that reserves and a consumer that peeks for more than Cap bytes
// together can end up waiting for each other.
//
// Errors: ErrClosed after CloseSend; ErrFull joined with ctx's error when ctx is
// done before there is room (a context that is done already means one try);
// ErrBusy if another living process is the producer; ErrAbandoned if the
// consumer died; ErrTooLarge for n beyond Cap. It panics if n is below 1.
func (r *ByteRing) Reserve(ctx context.Context, n int) ([]byte, error) {
	c := r.core()
	if n < 1 {
		panic(fmt.Sprintf("mpqueue: ByteRing.Reserve(%d)", n))
	}
	if uint64(n) > c.geo.capacity {
		return nil, fmt.Errorf("%w: %d bytes in a ring of %d", ErrTooLarge, n, c.geo.capacity)
	}
	want := c.toEdge(&c.in, uint64(n))
	if c.in.limit-c.in.next < want || c.ctl.sendState.Load() != ringOpen {
		if err := c.await(ctx, &c.in, want); err != nil {
			return nil, err
		}
		want = c.toEdge(&c.in, uint64(n)) // the position may be another: we have just become the producer
		if c.in.limit-c.in.next < want {
			return r.Reserve(ctx, n)
		}
	}
	s := span[byte](&c.ringMemory, c.in.next, want)
	c.in.until = c.in.next + want
	return s, nil
}

// toEdge returns n, cut at the end of the memory as seen from side s.
func (c *ringCore) toEdge(s *ringSide, n uint64) uint64 {
	return min(n, c.mask+1-s.next&c.mask)
}

// Commit appends the first n bytes of the last reservation to the stream, in one
// step, and gives up the others; 0 gives up all. Errors as for Write. It panics
// if fewer than n are reserved.
func (r *ByteRing) Commit(n int) error { return r.core().commit(n) }

// Peek returns the next n bytes of the stream without removing them; it waits
// until so many are there. It returns fewer only where the memory of the ring
// ends (see Reserve), or at the end of the stream, and then at least one. The
// bytes are valid until Discard, and the producer can change them if it breaks
// the rules.
//
// Errors: ErrClosed, which is io.EOF, when the ring is closed and drained;
// ErrEmpty joined with ctx's error when ctx is done before so many are there;
// ErrBusy if another living process is the consumer; ErrAbandoned if the
// producer died; ErrTooLarge for n beyond Cap. It panics if n is below 1.
func (r *ByteRing) Peek(ctx context.Context, n int) ([]byte, error) {
	c := r.core()
	if n < 1 {
		panic(fmt.Sprintf("mpqueue: ByteRing.Peek(%d)", n))
	}
	if uint64(n) > c.geo.capacity {
		return nil, fmt.Errorf("%w: %d bytes of a ring of %d", ErrTooLarge, n, c.geo.capacity)
	}
	want := c.toEdge(&c.out, uint64(n))
	if c.out.limit-c.out.next < want {
		err := c.await(ctx, &c.out, want)
		want = c.toEdge(&c.out, uint64(n))
		have := c.out.limit - c.out.next
		switch {
		case have > 0 && (errors.Is(err, ErrClosed) || errors.Is(err, ErrAbandoned)):
			want = min(want, have) // the rest of the stream
			c.out.told = 0         // what comes after it is still to be told
		case err != nil:
			return nil, err
		case have < want:
			return r.Peek(ctx, n)
		}
	}
	s := span[byte](&c.ringMemory, c.out.next, want)
	c.out.until = c.out.next + want
	return s, nil
}

// Discard removes the first n bytes of the last Peek, in one step. Errors as for
// Read. It panics if that returned fewer than n.
func (r *ByteRing) Discard(n int) error { return r.core().discard(n) }

// Len returns how many bytes wait to be read; always 0 to Cap.
func (r *ByteRing) Len() int { return r.core().length() }

// Cap returns how many bytes the ring holds.
func (r *ByteRing) Cap() int { return int(r.core().geo.capacity) }

// CloseSend says for everybody that nothing more will be written; any process may
// call it, at any time. Readers get what is there and then io.EOF. It may be
// called again.
func (r *ByteRing) CloseSend() error { return r.core().closeSend() }

// Close lets go of the ring in this process, and with its last handle of the
// roles it has there. Calls of this process that wait return shm.ErrClosed then.
// Everybody else goes on. It may be called again. Where the process has the segment
// in other ways too (a handle of package shm) a role that no call was using is given
// up only by the next call, or when the handle has been collected.
func (r *ByteRing) Close() error { return r.closed.close(r.c) }

// Segment returns the segment that the ring lives in.
func (r *ByteRing) Segment() *shm.Segment { return r.core().seg }

func (r *ByteRing) core() *ringCore {
	if r.c == nil {
		zeroRing()
	}
	return r.c
}
