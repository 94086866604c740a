package mpqueue

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"

	"shmkit/shm"
)

// Ring passes values of T from one producer to one consumer, first in, first
// out: the fastest way from one process to another.
//
//	r, err := mpqueue.NewRing[sample](1024)
//	…
//	err = r.Put(ctx, s)        // in one process
//	s, err := r.Get(ctx)       // in another
//
// T is a type free of pointers; see ByteRing for bytes. The process that puts
// first becomes the producer, the one that gets first the consumer (one process
// may be both). Anybody else is told ErrBusy as long as that process is attached
// and lives; when it has closed the ring, or has died, the next one takes its
// place and goes on where it stopped. Within a process one goroutine at a time
// may use a side: a second one that has to wait too panics, otherwise values are
// lost.
//
// When a process is killed, at whatever instruction: what it had put is
// delivered, what it was putting is not; what it had got went with it, what it
// was getting went with it or is delivered to its successor. The other side is
// told ErrAbandoned when it waits for what only the dead one could give.
//
// A Ring is a handle, as Queue is. The zero Ring is good for UnmarshalBinary and
// UnmarshalText only.
type Ring[T any] struct {
	c      *ringCore
	closed onceClosed
}

// NewRing makes an anonymous ring for up to capacity items; it is freed with its
// last user. It takes memory for the next power of two. Errors:
// *shm.PointerError if T cannot be shared, shm.ErrNoSpace, fs.ErrInvalid for a
// capacity below 1 or beyond 2^40, errors.ErrUnsupported. Of the options only
// WithSegment applies.
func NewRing[T any](capacity int, opts ...Option) (*Ring[T], error) {
	return buildRing[T]("new ring", "", capacity, opts, func(size int, so []shm.Option) (*shm.Segment, error) {
		return shm.NewSegment(size, so...)
	})
}

// CreateRing makes a ring under a name; see shm.Create for names. A name that is
// in use is fs.ErrExist.
func CreateRing[T any](name string, capacity int, opts ...Option) (*Ring[T], error) {
	return buildRing[T]("create ring", name, capacity, opts, func(size int, so []shm.Option) (*shm.Segment, error) {
		return shm.CreateSegment(name, size, so...)
	})
}

// OpenRing attaches to the ring of that name, which may have been left with its
// items by processes that are gone. Errors: fs.ErrNotExist; *shm.LayoutError if
// it holds no ring of T.
func OpenRing[T any](name string, opts ...Option) (*Ring[T], error) {
	l, err := ringLayout[T]()
	if err != nil {
		return nil, ringError("open ring", name, err)
	}
	s, err := shm.OpenSegment(name, ringOptions(l, KindRing, opts)...)
	return attachRing[T]("open ring", name, l, s, err)
}

// OpenOrCreateRing opens name, or makes it where there is none, and reports
// whether it made it.
func OpenOrCreateRing[T any](name string, capacity int, opts ...Option) (r *Ring[T], made bool, err error) {
	r, err = buildRing[T]("open or create ring", name, capacity, opts, func(size int, so []shm.Option) (s *shm.Segment, err error) {
		s, made, err = shm.OpenOrCreateSegment(name, size, so...)
		return s, err
	})
	return r, made, err
}

func ringLayout[T any]() (shm.Layout, error) {
	l, err := shm.LayoutOf[T]()
	if err == nil && l.Locks() > 0 {
		err = fmt.Errorf("%s contains a lock, which must not be copied: %w", l.Type, fs.ErrInvalid)
	}
	return l, err
}

func ringOptions(l shm.Layout, kind uint32, opts []Option) []shm.Option {
	o := makeOptions(opts)
	return append(o.shm[:len(o.shm):len(o.shm)], shm.WithKind(kind), shm.WithLayout(l, 0))
}

// ringPlan is ringOptions for a ring to be made, and its size.
func ringPlan(l shm.Layout, kind uint32, capacity int, opts []Option) (int, []shm.Option, error) {
	g, err := planRing(uint64(max(capacity, 0)), uint64(l.Size), makeOptions(opts).first)
	if err != nil {
		return 0, nil, fmt.Errorf("%w: %w", err, fs.ErrInvalid)
	}
	fill := shm.WithInit(func(data []byte) { initRing(ringControlAt(data, 0), g) })
	return int(g.total()), append(ringOptions(l, kind, opts), fill), nil
}

func ringError(op, name string, err error) error {
	if name == "" {
		return fmt.Errorf("mpqueue: %s: %w", op, err)
	}
	return fmt.Errorf("mpqueue: %s %q: %w", op, name, err)
}

func buildRing[T any](op, name string, capacity int, opts []Option, make func(int, []shm.Option) (*shm.Segment, error)) (*Ring[T], error) {
	l, err := ringLayout[T]()
	if err != nil {
		return nil, ringError(op, name, err)
	}
	size, so, err := ringPlan(l, KindRing, capacity, opts)
	if err != nil {
		return nil, ringError(op, name, err)
	}
	s, err := make(size, so)
	return attachRing[T](op, name, l, s, err)
}

func attachRing[T any](op, name string, l shm.Layout, s *shm.Segment, err error) (*Ring[T], error) {
	var c *ringCore
	if err == nil {
		c, err = ringIn(s, uint64(l.Size))
	}
	if err != nil {
		return nil, ringError(op, name, err)
	}
	return &Ring[T]{c: c}, nil
}

// Put appends v. It waits while the ring is full. When it returns nil the ring
// has v, whatever happens to this process next. A nil ctx means one try, as TryPut.
//
// Errors: ErrClosed after CloseSend; ErrFull joined with ctx's error when ctx is
// done before there is room (a context that is done already means one try);
// ErrBusy if another living process is the producer; ErrAbandoned if the
// consumer died; shm.ErrClosed when this process closes the ring meanwhile, and
// then only it is unknown whether v was put.
func (r *Ring[T]) Put(ctx context.Context, v T) error {
	c := r.core()
	if p := c.in.next; p != c.in.limit && c.in.mode.Load() == sidePlain && c.ctl.sendState.Load() == ringOpen {
		*place[T](&c.ringMemory, p) = v
		shm.RaceRelease(&c.ctl.write)
		c.in.next = p + 1
		// Publishes the item; pairs with the load in items.
		shm.StoreRelease(&c.ctl.write, p+1)
		if c.ctl.sendState.Load() == ringOpen && c.ctl.notEmpty.Load()&waited == 0 {
			return nil
		}
		return c.published(p, p+1)
	}
	return r.putSlow(ctx, v)
}

func (r *Ring[T]) putSlow(ctx context.Context, v T) error {
	c := r.c
	if err := c.await(ctx, &c.in, 1); err != nil {
		return err
	}
	p := c.in.next
	*place[T](&c.ringMemory, p) = v
	return c.publish(p, 1)
}

// TryPut is Put without waiting: ErrFull if there is no room. To be sure of that
// costs a system call; who only wants to know from time to time looks at Len.
func (r *Ring[T]) TryPut(v T) error { return r.Put(noWait, v) }

// Get removes the oldest item and returns it. It waits while there is none. A nil
// ctx means one try, as TryGet.
//
// Errors: ErrClosed, which is io.EOF, when the ring is closed and drained;
// ErrEmpty joined with ctx's error when ctx is done before there is an item;
// ErrBusy if another living process is the consumer; ErrAbandoned if the
// producer died; ErrCorrupt; shm.ErrClosed when this process closes the ring.
func (r *Ring[T]) Get(ctx context.Context) (v T, err error) {
	c := r.core()
	if p := c.out.next; p != c.out.limit && c.out.mode.Load() == sidePlain {
		v = *place[T](&c.ringMemory, p)
		c.handBack(p, 1)
		shm.RaceRelease(&c.ctl.read)
		c.out.next = p + 1
		// Frees the place; pairs with the load in room.
		shm.StoreRelease(&c.ctl.read, p+1)
		if c.ctl.recvState.Load() == ringOpen && c.ctl.notFull.Load()&waited == 0 {
			return v, nil
		}
		return v, c.taken()
	}
	return r.getSlow(ctx)
}

func (r *Ring[T]) getSlow(ctx context.Context) (v T, err error) {
	c := r.c
	if c.out.next == c.out.limit {
		if err := c.await(ctx, &c.out, 1); err != nil {
			return v, err
		}
	}
	p := c.out.next
	v = *place[T](&c.ringMemory, p)
	c.handBack(p, 1)
	return v, c.take(p, 1)
}

// TryGet is Get without waiting: ErrEmpty if there is no item. To be sure of that
// costs a system call; who only wants to know from time to time looks at Len.
func (r *Ring[T]) TryGet() (T, error) { return r.Get(noWait) }

// All returns the items as they come, until the ring is closed and drained or
// ctx is done; an error other than those is yielded with the zero T and ends the
// sequence, as does ctx's.
func (r *Ring[T]) All(ctx context.Context) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for {
			v, err := r.Get(ctx)
			if errors.Is(err, ErrClosed) || !yield(v, err) || err != nil {
				return
			}
		}
	}
}

// Len returns how many items wait to be taken; always 0 to Cap. Any process may
// ask, at the price of two loads. What another process has put, or taken, in the
// last nanoseconds may be missing.
func (r *Ring[T]) Len() int { return r.core().length() }

// Cap returns the capacity.
func (r *Ring[T]) Cap() int { return int(r.core().geo.capacity) }

// CloseSend says for everybody that nothing more will be put; any process may
// call it, at any time. Put returns ErrClosed from now on; Get returns what is
// there and then ErrClosed. A Put that runs at the same time either comes before,
// and is delivered, or returns ErrClosed. It may be called again.
func (r *Ring[T]) CloseSend() error { return r.core().closeSend() }

// Close lets go of the ring in this process, and with its last handle of the
// roles it has there. Calls of this process that wait return shm.ErrClosed then.
// Everybody else goes on. It may be called again. Where the process has the segment
// in other ways too (a handle of package shm) a role that no call was using is given
// up only by the next call, or when the handle has been collected.
func (r *Ring[T]) Close() error { return r.closed.close(r.c) }

// Segment returns the segment that the ring lives in.
func (r *Ring[T]) Segment() *shm.Segment { return r.core().seg }

func (r *Ring[T]) core() *ringCore {
	if r.c == nil {
		zeroRing()
	}
	return r.c
}

func zeroRing() {
	panic("mpqueue: use of a zero ring: it comes from NewRing, OpenRing, or the like, or as a handle")
}
