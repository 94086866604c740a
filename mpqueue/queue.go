package mpqueue

import (
	"context"
	"encoding/binary"
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
// for a capacity below 0 or beyond 2^30, errors.ErrUnsupported.
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
	_, lap := g.locate(g.first)
	for i := range g.capacity {
		m.slot(i).word.Store(makeWord(lap, 0, free))
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
	return &Queue[T]{q: newCore(s, g), contents: t, meta: makeMeta(int(g.inline), noBlock)}, nil
}

// Put appends v. It waits while the queue is full. When it returns nil the queue
// has v, whatever happens to this process next.
//
// Errors: ErrClosed after CloseSend; ErrFull joined with ctx's error when ctx is
// done before there is room (a context that is done already means one try);
// ErrTooLarge; shm.ErrNoSpace; shm.ErrClosed when this process closes the queue
// meanwhile, and then only it is unknown whether v was put.
func (q *Queue[T]) Put(ctx context.Context, v T) error {
	if q.contents.form == inSlot {
		s, w, _ := q.q.claimPutFast()
		if s == nil && ctx.Err() == nil {
			s, w, _ = q.q.againPut()
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
	if b, ok := viewOf(v); ok && q.contents.codec == nil {
		return q.q.put(ctx, b)
	}
	return q.putEncoded(ctx, v)
}

func (q *Queue[T]) putEncoded(ctx context.Context, v T) error {
	m, err := q.encode(&v)
	if err == nil {
		err = q.q.put(ctx, m.b)
	}
	m.free()
	return err
}

// TryPut is Put without waiting: ErrFull if there is no room, ErrBusy if that
// depends on what another process has begun and not finished for 100 µs.
func (q *Queue[T]) TryPut(v T) error {
	if q.contents.form == inSlot {
		if s, w, _ := q.q.claimPutFast(); s != nil {
			store(s, v)
			s.meta = q.meta
			if !q.q.commitFast(s, w) {
				return shm.ErrClosed
			}
			return nil
		}
	}
	if b, ok := viewOf(v); ok && q.contents.codec == nil {
		return q.q.tryPut(b)
	}
	return q.tryPutEncoded(v)
}

func (q *Queue[T]) tryPutEncoded(v T) error {
	m, err := q.encode(&v)
	if err == nil {
		err = q.q.tryPut(m.b)
	}
	m.free()
	return err
}

// Get removes the oldest item and returns it. It waits while there is none.
//
// What Get has returned is gone from the queue; an item that must survive the
// death of its consumer is taken by Receive. On a Joinable queue Get keeps a lease
// until TaskDone.
//
// Errors: ErrClosed, which is io.EOF, when the queue is closed and nothing is
// left that could come back; ErrAbandoned if it was closed by the death of its
// last producer; ErrEmpty joined with ctx's error when ctx is done before there
// is an item; ErrCorrupt, or the codec's error, for this one message, which is
// lost; shm.ErrClosed when this process closes the queue.
func (q *Queue[T]) Get(ctx context.Context) (v T, err error) {
	if q.contents.form == inSlot && q.q.geo.rules&ruleJoinable == 0 {
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
	if q.q.geo.rules&ruleJoinable != 0 {
		return q.getTask(q.Receive(ctx))
	}
	if q.contents.form != inSlot {
		if v, ok, err := q.getQuick(); ok {
			return v, err
		}
	}
	return q.getSlow(ctx)
}

func (q *Queue[T]) getSlow(ctx context.Context) (v T, err error) {
	r := receiver{q: q.q, read: func(b []byte) { v, err = q.decode(b) }}
	if e := q.q.receive(ctx, &r); e != nil {
		return v, e
	}
	return v, err
}

// getQuick gets a message with a length of its own, if nothing is in the way.
func (q *Queue[T]) getQuick() (v T, ok bool, err error) {
	c := q.q
	if c.geo.tryMost != 0 || c.seg.Closed() {
		return v, false, nil
	}
	s, w := c.claimGetFast()
	if s == nil {
		return v, false, nil
	}
	m := s.meta
	if _, elsewhere := metaBlock(m); !elsewhere && uint64(metaSize(m)) <= c.geo.inline {
		v, err = q.decode(c.inlineData(s)[:metaSize(m)])
		if !c.releaseFast(s, w) {
			err = shm.ErrClosed
		}
		return v, true, err
	}
	d, _, err := c.describe(delivery{claim: claim{slot: s, lap: lapOf(w), word: w | c.reading}})
	if err == nil {
		if e := c.consume(d, func(b []byte) { v, err = q.decode(b) }); e != nil {
			err = e
		}
	}
	return v, true, err
}

// TryGet is Get without waiting: ErrEmpty if there is no item, ErrBusy if that
// depends on what another process has begun and not finished for 100 µs.
func (q *Queue[T]) TryGet() (v T, err error) {
	if q.q.geo.rules&ruleJoinable != 0 {
		return q.getTask(q.TryReceive())
	}
	if q.contents.form == inSlot {
		if s, w := q.q.claimGetFast(); s != nil {
			v := load[T](s)
			if !q.q.releaseFast(s, w) {
				return v, shm.ErrClosed
			}
			return v, nil
		}
	}
	if q.contents.form != inSlot {
		if v, ok, err := q.getQuick(); ok {
			return v, err
		}
	}
	return q.tryGetSlow()
}

func (q *Queue[T]) tryGetSlow() (v T, err error) {
	r := receiver{q: q.q, read: func(b []byte) { v, err = q.decode(b) }}
	if e := q.q.tryReceive(&r); e != nil {
		return v, e
	}
	return v, err
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
// A queue of capacity 0, which grows, has room for at most so many items; its
// bytes run out before.
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
func (q *Queue[T]) Close() error {
	q.q.lettersMu.Lock()
	if l := q.q.letterCore; l != nil {
		l.seg.Close()
	}
	q.q.lettersMu.Unlock()
	return q.q.seg.Close()
}

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
// *shm.HandleError, which wraps a *shm.LayoutError if that is no queue of T. A
// queue with a codec of its own needs a q that was made by WithCodecOf.
func (q *Queue[T]) UnmarshalBinary(b []byte) error {
	o := makeOptions(nil)
	if c := q.contents.codec; c != nil {
		o.codec = c
	}
	t, err := contentsOf[T](o)
	if err != nil {
		return err
	}
	s, err := shm.Decode(b, t.segment(o, 0)...)
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
