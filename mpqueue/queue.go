package mpqueue

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"

	"shmkit/shm"
)

// Queue passes values of T between processes, first in, first out, each to one
// receiver. Any number of processes, and of goroutines in each, may put and get
// at the same time.
//
// T is a type free of pointers, string, or []byte. A []byte that Get returns is
// the caller's own.
//
// A Queue is a handle: it travels to other processes as an argument of package
// procs, inside messages, or by its name. The zero Queue is good for
// UnmarshalBinary and UnmarshalText only.
//
// When a process is killed, at whatever instruction, the others go on: what it
// had put is delivered, what it was putting is not, and what it had received
// and not called Done for is delivered again. Calls that wait for the dead one
// notice within milliseconds, at the latest after 100 ms.
type Queue[T any] struct {
	q     *core
	fixed bool   // T lies in the slot as it is
	meta  uint64 // of every slot, if fixed
}

// New makes an anonymous queue for up to capacity items; it is freed with its
// last user. Items that are leased (see Receive) count until they are done.
// Errors: *shm.PointerError if T cannot be shared, shm.ErrNoSpace, fs.ErrInvalid
// for a capacity below 1 or beyond 2^30, errors.ErrUnsupported.
func New[T any](capacity int, opts ...Option) (*Queue[T], error) {
	return build[T]("new", "", capacity, opts, func(size int, so []shm.Option) (*shm.Segment, bool, error) {
		s, err := shm.NewSegment(size, so...)
		return s, true, err
	})
}

// Create makes a queue under a name; see shm.Create for names. A name that is
// in use is fs.ErrExist.
func Create[T any](name string, capacity int, opts ...Option) (*Queue[T], error) {
	return build[T]("create", name, capacity, opts, func(size int, so []shm.Option) (*shm.Segment, bool, error) {
		s, err := shm.CreateSegment(name, size, so...)
		return s, true, err
	})
}

// Open attaches to the queue of that name, which may have been left with its
// items by processes that are gone. Errors: fs.ErrNotExist; *shm.LayoutError if
// it holds no queue of T.
func Open[T any](name string, opts ...Option) (*Queue[T], error) {
	t, err := typeOf[T]()
	if err != nil {
		return nil, fmt.Errorf("mpqueue: open %q: %w", name, err)
	}
	o := makeOptions(opts)
	s, err := shm.OpenSegment(name, t.segment(o, 0)...)
	return attach[T]("open", name, s, err)
}

// OpenOrCreate opens name, or makes it where there is none, and reports whether
// it made it.
func OpenOrCreate[T any](name string, capacity int, opts ...Option) (*Queue[T], bool, error) {
	made := false
	q, err := build[T]("open or create", name, capacity, opts, func(size int, so []shm.Option) (s *shm.Segment, _ bool, err error) {
		s, made, err = shm.OpenOrCreateSegment(name, size, so...)
		return s, made, err
	})
	return q, made, err
}

// contents is what a queue of T is made of.
type contents struct {
	layout   shm.Layout
	variable bool
}

func typeOf[T any]() (contents, error) {
	var v T
	switch any(&v).(type) {
	case *[]byte, *string:
		l, err := shm.LayoutOf[byte]()
		l.Type = fmt.Sprintf("%T", v)
		l.Size = 0 // of any size
		return contents{l, true}, err
	}
	l, err := shm.LayoutOf[T]()
	if err == nil && l.Locks() > 0 {
		err = fmt.Errorf("%s contains a lock, which must not be copied: %w", l.Type, fs.ErrInvalid)
	}
	return contents{l, false}, err
}

func (t contents) segment(o *options, sparse int) []shm.Option {
	return append(o.shm[:len(o.shm):len(o.shm)], shm.WithKind(KindQueue), shm.WithLayout(t.layout, 0), shm.WithSparse(sparse))
}

func build[T any](op, name string, capacity int, opts []Option, make func(int, []shm.Option) (*shm.Segment, bool, error)) (*Queue[T], error) {
	fail := func(err error) (*Queue[T], error) {
		if name == "" {
			return nil, fmt.Errorf("mpqueue: %s: %w", op, err)
		}
		return nil, fmt.Errorf("mpqueue: %s %q: %w", op, name, err)
	}
	if capacity < 1 || capacity > maxCapacity {
		return fail(fmt.Errorf("capacity %d, want 1 to %d: %w", capacity, maxCapacity, fs.ErrInvalid))
	}
	t, err := typeOf[T]()
	if err != nil {
		return fail(err)
	}
	o := makeOptions(opts)
	inline, arena := uint64(t.layout.Size), uint64(0)
	if t.variable {
		inline, arena = uint64(o.slotSize), uint64(o.maxBytes)
	}
	g, err := plan(uint64(capacity), inline, arena, o.first, t.variable)
	if err != nil {
		return fail(fmt.Errorf("%w: %w", err, fs.ErrInvalid))
	}
	s, _, err := make(int(g.total), append(t.segment(o, int(g.leaseOff)), shm.WithInit(func(data []byte) { initialize(data, g) })))
	return attach[T](op, name, s, err)
}

// initialize writes what is not zero into a new queue, before anybody sees it.
func initialize(data []byte, g geometry) {
	g.write(controlOf(data))
	if g.first == 0 {
		return
	}
	m := overlay(data, g)
	m.control.tail.Store(g.first)
	m.control.head.Store(g.first)
	for i := range g.capacity {
		_, lap := g.locate(g.first)
		m.slot(i).word.Store(makeWord(lap, 0, free))
	}
}

func attach[T any](op, name string, s *shm.Segment, err error) (*Queue[T], error) {
	if err == nil {
		var q *Queue[T]
		if q, err = in[T](s); err == nil {
			return q, nil
		}
		s.Close()
	}
	if name == "" {
		return nil, fmt.Errorf("mpqueue: %s: %w", op, err)
	}
	return nil, fmt.Errorf("mpqueue: %s %q: %w", op, name, err)
}

// in makes a handle of the queue in s.
func in[T any](s *shm.Segment) (*Queue[T], error) {
	t, err := typeOf[T]()
	if err != nil {
		return nil, err
	}
	g, err := readGeometry(s)
	if err != nil {
		return nil, err
	}
	if g.variable != t.variable || !g.variable && g.inline != uint64(t.layout.Size) {
		return nil, corrupt("the geometry of queue", 0, g.inline)
	}
	return &Queue[T]{q: newCore(s, g), fixed: !g.variable, meta: makeMeta(int(g.inline), noBlock)}, nil
}

// Put appends v. It waits while the queue is full. When it returns nil the queue
// has v, whatever happens to this process next.
//
// Errors: ErrClosed after CloseSend; ErrFull joined with ctx's error when ctx is
// done before there is room (a context that is done already means one try);
// ErrTooLarge; shm.ErrNoSpace; shm.ErrClosed when this process closes the queue
// meanwhile, and then only it is unknown whether v was put.
func (q *Queue[T]) Put(ctx context.Context, v T) error {
	if q.fixed {
		s, w := q.q.claimPutFast()
		if s == nil && ctx.Err() == nil {
			s, w = q.q.againPut()
		}
		if s != nil {
			store(s, v)
			s.meta = q.meta
			if !q.q.commitFast(s, w) {
				return shm.ErrClosed
			}
			return nil
		}
	}
	return q.putSlow(ctx, v)
}

// TryPut is Put without waiting: ErrFull if there is no room, ErrBusy if that
// depends on what another process has begun and not finished for 100 µs.
func (q *Queue[T]) TryPut(v T) error {
	p := q.putter(v)
	defer p.drop()
	r, err := q.q.attempt(&p.waiter)
	return p.end(r, err)
}

// Get removes the oldest item and returns it. It waits while there is none.
//
// What Get has returned is gone from the queue; an item that must survive the
// death of its consumer is taken by Receive.
//
// Errors: ErrClosed, which is io.EOF, when the queue is closed and nothing is
// left that could come back; ErrEmpty joined with ctx's error when ctx is done
// before there is an item; ErrCorrupt; shm.ErrClosed when this process closes
// the queue.
func (q *Queue[T]) Get(ctx context.Context) (T, error) {
	if q.fixed {
		s, w := q.q.claimGetFast()
		if s == nil && ctx.Err() == nil {
			s, w = q.q.againGet()
		}
		if s != nil {
			v := load[T](s)
			if !q.q.releaseFast(s, w) {
				return v, shm.ErrClosed
			}
			return v, nil
		}
	}
	g := q.getter()
	err := q.q.await(ctx, &g.waiter)
	return g.value, err
}

// TryGet is Get without waiting: ErrEmpty if there is no item, ErrBusy if that
// depends on what another process has begun and not finished for 100 µs.
func (q *Queue[T]) TryGet() (T, error) {
	g := q.getter()
	r, err := q.q.attempt(&g.waiter)
	return g.value, g.end(r, err)
}

// All returns the items as they come, until the queue is closed and drained or
// ctx is done; an error other than those is yielded with the zero T and ends
// the sequence, as does ctx's.
func (q *Queue[T]) All(ctx context.Context) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for {
			v, err := q.Get(ctx)
			if errors.Is(err, ErrClosed) || !yield(v, err) || err != nil {
				return
			}
		}
	}
}

// Len returns how many items wait to be delivered: exact while no operation is
// in progress, else off by those at most; always 0 to Cap.
func (q *Queue[T]) Len() int { return q.q.length() }

// Cap returns the capacity.
func (q *Queue[T]) Cap() int { return int(q.q.geo.capacity) }

// Empty reports whether no item waits to be delivered.
func (q *Queue[T]) Empty() bool { return q.Len() == 0 }

// Full reports whether Put would have to wait.
func (q *Queue[T]) Full() bool { return uint64(q.q.length())+q.q.leased() >= q.q.geo.capacity }

// CloseSend says for everybody that nothing more will be put. Put returns
// ErrClosed from now on; Get returns what is there and then ErrClosed. A Put that
// runs at the same time either comes before, and is delivered, or returns
// ErrClosed. It may be called again.
func (q *Queue[T]) CloseSend() error {
	if q.q.seg.Closed() {
		return shm.ErrClosed
	}
	q.q.control.closed.Store(1)
	signalAll(&q.q.notEmpty)
	signalAll(&q.q.notFull)
	return nil
}

// Close lets go of the queue in this process. Calls of this process that wait
// return shm.ErrClosed; items it has leased and not done are delivered to others.
// Everybody else goes on. It may be called again.
func (q *Queue[T]) Close() error { return q.q.seg.Close() }

// Segment returns the segment that the queue lives in.
func (q *Queue[T]) Segment() *shm.Segment { return q.q.seg }

// MarshalBinary encodes the handle; see shm.Segment.
func (q *Queue[T]) MarshalBinary() ([]byte, error) {
	if q.q == nil {
		return nil, shm.ErrClosed
	}
	return q.q.seg.MarshalBinary()
}

// UnmarshalBinary makes q a handle of the queue that b refers to. The error is a
// *shm.HandleError, which wraps a *shm.LayoutError if that is no queue of T.
func (q *Queue[T]) UnmarshalBinary(b []byte) error {
	t, err := typeOf[T]()
	if err != nil {
		return err
	}
	s, err := shm.Decode(b, t.segment(makeOptions(nil), 0)...)
	if err != nil {
		return err
	}
	n, err := in[T](s)
	if err != nil {
		s.Close()
		return err
	}
	*q = *n
	return nil
}

// MarshalText is MarshalBinary as text.
func (q *Queue[T]) MarshalText() ([]byte, error) {
	if q.q == nil {
		return nil, shm.ErrClosed
	}
	return q.q.seg.MarshalText()
}

// UnmarshalText is the other end of MarshalText.
func (q *Queue[T]) UnmarshalText(b []byte) error {
	raw, err := shm.DecodeText(b)
	if err != nil {
		return err
	}
	return q.UnmarshalBinary(raw)
}
