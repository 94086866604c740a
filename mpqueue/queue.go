package mpqueue

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"runtime"

	"shmkit/shm"
)

// Queue passes values of T between processes, first in, first out, each to one
// receiver. Any number of processes, and of goroutines in each, may put and get
// at the same time.
//
// T is any type. Values free of pointers, strings and []byte are stored as they
// are; other types go through a Codec, see WithCodec. A Queue[any] takes nil,
// bool, numbers, string, []byte, time.Time, and slices and maps of these; see
// RegisterType for more. What Get returns is the caller's own.
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
	q        *core
	meta     uint64 // of every slot, if T lies there as it is
	contents contents[T]
}

// New makes an anonymous queue for up to capacity items; it is freed with its
// last user. Items that are reserved or leased (see Reserve, Receive) count until
// they are done. With capacity 0 the queue grows to its byte budget (see
// WithMaxBytes), and gives memory back when it is drained.
// Errors: *shm.PointerError if T cannot be shared, shm.ErrNoSpace, fs.ErrInvalid
// for a capacity below 0 or beyond 2^30 and for options that exclude each other,
// errors.ErrUnsupported.
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
	o := makeOptions(opts)
	t, err := contentsOf[T](o)
	if err != nil {
		return nil, fmt.Errorf("mpqueue: open %q: %w", name, err)
	}
	s, err := shm.OpenSegment(name, t.segment(o, 0)...)
	return attach("open", name, t, s, err)
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

func (t contents[T]) segment(o *options, sparse int) []shm.Option {
	return append(o.shm[:len(o.shm):len(o.shm)], shm.WithKind(KindQueue), shm.WithLayout(t.layout, 0), shm.WithSparse(sparse))
}

func build[T any](op, name string, capacity int, opts []Option, make func(int, []shm.Option) (*shm.Segment, bool, error)) (*Queue[T], error) {
	fail := func(err error) (*Queue[T], error) {
		if name == "" {
			return nil, fmt.Errorf("mpqueue: %s: %w", op, err)
		}
		return nil, fmt.Errorf("mpqueue: %s %q: %w", op, name, err)
	}
	if capacity < 0 || capacity > maxCapacity {
		return fail(fmt.Errorf("capacity %d, want 0 to %d: %w", capacity, maxCapacity, fs.ErrInvalid))
	}
	o := makeOptions(opts)
	if o.rules&ruleJoinable != 0 && o.rules&ruleAtMostOnce != 0 {
		return fail(fmt.Errorf("Joinable counts an item until TaskDone, AtMostOnce lets go of it before: %w", fs.ErrInvalid))
	}
	t, err := contentsOf[T](o)
	if err != nil {
		return fail(err)
	}
	if o.letters != nil && o.letterOf != t.layout.Hash {
		panic("mpqueue: WithDeadLetter: the queue holds another type, or another codec's messages")
	}
	g, err := t.plan(uint64(capacity), o)
	if err != nil {
		return fail(fmt.Errorf("%w: %w", err, fs.ErrInvalid))
	}
	g.rules |= o.rules
	g.tryMost = o.tryMost
	s, _, err := make(int(g.total), append(t.segment(o, int(g.leaseOff)), shm.WithInit(func(data []byte) { initialize(data, g, o) })))
	return attach(op, name, t, s, err)
}

// plan decides how much of what a queue of T gets. A queue that grows has room
// for every item in the arena, and a place in the ring for each of the smallest
// blocks there.
func (t contents[T]) plan(capacity uint64, o *options) (geometry, error) {
	size := uint64(t.layout.Size)
	switch {
	case capacity == 0:
		arena := max(align(uint64(o.maxBytes), chunkSize), chunkSize)
		g, err := plan(arena/minBlock, 0, arena, o.first, true)
		g.rules = ruleGrowing
		return g, err
	case t.form == inSlot:
		return plan(capacity, size, 0, o.first, false)
	}
	return plan(capacity, uint64(o.slotSize), uint64(o.maxBytes), o.first, true)
}

// initialize writes what is not zero into a new queue, before anybody sees it.
func initialize(data []byte, g geometry, o *options) {
	c := controlOf(data)
	g.write(c)
	binary.LittleEndian.PutUint32(c.letters[:], uint32(len(o.letters)))
	copy(c.letters[4:], o.letters)
	if g.first == 0 {
		return
	}
	m := overlay(data, g)
	m.control.tail.Store(g.first)
	m.control.head.Store(g.first)
	m.control.released.Store(g.first)
	at, lap := g.locate(g.first)
	for i := range g.capacity {
		l := lap
		if i < at {
			l++
		}
		m.slot(i).word.Store(makeWord(l, 0, free))
	}
}

func attach[T any](op, name string, t contents[T], s *shm.Segment, err error) (*Queue[T], error) {
	if err == nil {
		var q *Queue[T]
		if q, err = in(t, s); err == nil {
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
func in[T any](t contents[T], s *shm.Segment) (*Queue[T], error) {
	g, err := readGeometry(s)
	if err != nil {
		return nil, err
	}
	if t.form == inSlot && g.variable { // a queue that grows
		t.form = asBytes
	}
	if t.form == inSlot && g.inline != uint64(t.layout.Size) || t.form != inSlot && !g.variable {
		return nil, corrupt("the geometry of queue", 0, g.inline)
	}
	q := newCore(s, g)
	if g.rules&ruleJoinable != 0 {
		q.tasks = tasksOf(s)
	}
	return &Queue[T]{q: q, contents: t, meta: inSlotMeta(int(g.inline))}, nil
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
// in progress, else off by those at most; always 0 to Cap. After Close it is 0.
func (q *Queue[T]) Len() int { return q.q.length() }

// Cap returns the capacity: how many items there can be, waiting, leased and
// reserved. The queue can be full with fewer, for a while: the place of a Put that
// was cut off by a death stays taken until those before it have been got, and so
// does the place of an item that was got out of turn, because it was delivered
// again or its turn was somebody else's.
// A queue of capacity 0, which grows, has room for at most so many items; its
// bytes run out before.
func (q *Queue[T]) Cap() int { return int(q.q.geo.capacity) }

// Empty reports whether no item waits to be delivered.
func (q *Queue[T]) Empty() bool { return q.Len() == 0 }

// Full reports whether as many items wait, are leased or are reserved as the
// capacity allows. Put may have to wait although it is not: for a place that another
// process has begun to fill or to empty, or that a death has left behind (see Cap),
// and for room in the arena.
func (q *Queue[T]) Full() bool {
	return uint64(q.q.length())+q.q.leased()+q.q.reserved() >= q.q.geo.capacity
}

// CloseSend says for everybody that nothing more will be put. Put returns
// ErrClosed from now on; Get returns what is there and then ErrClosed. A Put that
// runs at the same time either comes before, and is delivered, or returns
// ErrClosed. It may be called again.
func (q *Queue[T]) CloseSend() error {
	if q.q.seg.Closed() {
		return shm.ErrClosed
	}
	shm.RaceRelease(&q.q.control.closed)
	q.q.close(closedInOrder)
	return nil
}

// Close lets go of the queue in this process. Calls of this process that wait
// return shm.ErrClosed; items it has leased and not done are delivered to others.
// Everybody else goes on. It may be called again.
//
// A process may have several handles of one queue: opened by name twice, say, or
// received twice. Then Close ends the calls by this one; what has been taken by it,
// items, slots and registrations, can still be given back, and is only taken away
// with the last handle. As long as there is another, a Put or Get by this one that
// does not have to wait can still succeed.
func (q *Queue[T]) Close() error {
	first := !q.q.closing.Swap(true)
	q.q.closeLetters()
	err := q.q.seg.Close()
	if t := q.q.tasks; t != nil && first {
		leaveTasks(q.q.seg, t)
	}
	q.q.stop()
	q.q.stirSides()
	runtime.KeepAlive(q) // and with it the range of memory
	return err
}

// Segment returns the segment that the queue lives in.
func (q *Queue[T]) Segment() *shm.Segment { return q.q.seg }

// MarshalBinary encodes the handle; see shm.Segment. A codec of the user's own must
// be known to the receiver: it is an error if RegisterCodec was not called for it.
func (q *Queue[T]) MarshalBinary() ([]byte, error) {
	if q.q == nil {
		return nil, shm.ErrClosed
	}
	if err := q.contents.sendable(); err != nil {
		return nil, err
	}
	return q.q.seg.MarshalBinary()
}

// UnmarshalBinary makes q a handle of the queue that b refers to. The error is a
// *shm.HandleError, which wraps a *shm.LayoutError if that is no queue of T, or one
// with a codec that this process does not know; see RegisterCodec.
func (q *Queue[T]) UnmarshalBinary(b []byte) error {
	t, s, err := decodeQueue[T](b)
	if err != nil {
		return err
	}
	n, err := in(t, s)
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
	if err := q.contents.sendable(); err != nil {
		return nil, err
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
