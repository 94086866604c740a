package mpqueue

import (
	"context"
	"fmt"

	"shmkit/shm"
	"shmkit/shm/fault"
)

// Slot is a reserved place for one message, to be written in place: in the
// queue's own memory if the message is a large one. It counts against the
// capacity until Commit or Abort. A Slot belongs to one goroutine.
type Slot[T any] struct {
	q    *Queue[T]
	ctx  context.Context // of the reservation; bounds Commit
	id   blockID
	data []byte
	held bool
}

// Reserve reserves a place for a T that is free of pointers. It waits like Put and
// returns the same errors. It panics for other T; see ReserveSize.
//
// The Slot is a small allocation, and none if the caller keeps it to himself.
func (q *Queue[T]) Reserve(ctx context.Context) (*Slot[T], error) {
	return new(Slot[T]).reserveValue(ctx, q)
}

// ReserveSize reserves a place for a message of up to n bytes, in a queue of
// string or []byte. It waits like Put and returns the same errors; ErrTooLarge if
// the arena has no n bytes. It panics if n is negative or T is of another kind.
func (q *Queue[T]) ReserveSize(ctx context.Context, n int) (*Slot[T], error) {
	return new(Slot[T]).reserveSize(ctx, q, n)
}

func (s *Slot[T]) reserveValue(ctx context.Context, q *Queue[T]) (*Slot[T], error) {
	if q.contents.form != inSlot && (q.contents.form != asBytes || q.contents.layout.Size == 0) {
		panic("mpqueue: Reserve of a type without a fixed size; use ReserveSize")
	}
	return s.reserve(ctx, q, q.contents.layout.Size)
}

func (s *Slot[T]) reserveSize(ctx context.Context, q *Queue[T], n int) (*Slot[T], error) {
	if n < 0 || q.contents.form != asBytes || q.contents.layout.Size != 0 {
		panic(fmt.Sprintf("mpqueue: ReserveSize(%d) in a queue of %s", n, q.contents.layout.Type))
	}
	return s.reserve(ctx, q, n)
}

func (s *Slot[T]) reserve(ctx context.Context, q *Queue[T], n int) (*Slot[T], error) {
	r := reserver{q: q.q, n: n}
	_, o, err := r.try()
	if err == nil && o != claimed {
		r, err = q.q.awaitRoom(ctx, n)
	}
	if err != nil {
		return nil, err
	}
	*s = Slot[T]{q: q, ctx: ctx, id: r.id, data: r.data[:n:n], held: true}
	return s, nil
}

// awaitRoom waits until there is room for a message of n bytes, and reserves it.
func (q *core) awaitRoom(ctx context.Context, n int) (reserver, error) {
	r := &reserver{q: q, n: n}
	err := q.await(ctx, &waiter{word: &q.notFull, spin: &q.spinPut, op: r, why: ErrFull, size: n})
	return *r, err
}

// Write reserves n bytes, lets f write them, and commits; an error or a panic of
// f gives the place back. It waits like Put and returns the same errors, or f's.
func (q *Queue[T]) Write(ctx context.Context, n int, f func([]byte) error) error {
	s, err := q.ReserveSize(ctx, n)
	if err != nil {
		return err
	}
	defer s.Abort() // nothing, after Commit
	if err := f(s.Bytes()); err != nil {
		return err
	}
	return s.Commit()
}

// reserver is one reservation: a block, and the right to a place in the ring.
type reserver struct {
	q    *core
	n    int
	id   blockID
	data []byte
}

func (r *reserver) try() (uint64, outcome, error) {
	q := r.q
	if q.seg.Closed() {
		return 0, full, shm.ErrClosed
	}
	if q.control.closed.Load() != 0 {
		return 0, closed, nil
	}
	if err := q.fits(r.n); err != nil {
		return 0, full, err // before others find the queue full for it
	}
	if err := q.startLeasing(); err != nil {
		return 0, full, err
	}
	if c, o := r.grant(); o != claimed {
		return c, o, nil
	}
	if fault.Enabled {
		fault.Point("mpqueue.reserve.counted")
	}
	var err error
	if uint64(r.n) > q.geo.inline {
		r.id, err = q.alloc(r.n)
	} else {
		r.id, err = q.allocLease()
	}
	if err == nil {
		if r.data, err = q.room(r.id); err == nil && len(r.data) < r.n {
			err = corrupt("the room of block", uint64(r.id), uint64(len(r.data)))
		}
		if err != nil {
			q.freeBlock(q.block(r.id))
			q.freedBlock(r.id)
		}
	}
	if err != nil {
		r.giveUp()
		short, is := err.(shortage)
		switch {
		case !is:
			return 0, full, err
		case uint64(r.n) > q.geo.inline:
			return short.blocking(), short.inArena(), nil
		}
		return short.blocking(), noSpare, nil
	}
	return 0, claimed, nil
}

// grant counts this reservation if there is room for it. Counted first, looked at
// then: of two that come at once both may give way, but not both stay; so who
// gives way looks again when it is not counted any more. A Put that is under way
// meanwhile can make it one item too many.
func (r *reserver) grant() (uint64, outcome) {
	q := r.q
	if r.grantFast() {
		return 0, claimed
	}
	for range 8 {
		if w, o := q.roomFor(1); o != claimed {
			return w, o
		}
		q.cell(cellReserved).Add(1)
		q.reserves.Add(1)
		if _, o := q.roomFor(0); o == claimed {
			return 0, claimed
		}
		r.giveUp()
	}
	return 0, busy
}

// grantFast counts this reservation if the last look at all leases left room for
// it: positions and reservations are both counted by everybody, see leasedFull.
func (r *reserver) grantFast() bool {
	q := r.q
	if _, o := q.leasedFull(q.claimedEnd()); o != claimed {
		return false
	}
	q.cell(cellReserved).Add(1)
	if n := q.reserves.Add(1); int64(q.claimedEnd()+n-q.limit.Load()) <= 0 {
		return true
	}
	r.giveUp()
	return false
}

// roomFor reports whether n more items would fit.
func (q *core) roomFor(n uint64) (uint64, outcome) {
	end := q.claimedEnd()
	h, s, w := q.unreleased(end)
	switch {
	case end-h+q.outside()+n <= q.geo.capacity:
		return 0, claimed
	case h != end && s != nil && (stateOf(w) == reading || stateOf(w) == writing):
		return w, busy
	}
	return w, full
}

// giveUp gives back what was counted. Others may have found the queue full for it.
func (r *reserver) giveUp() {
	r.q.cell(cellReserved).Add(^uint32(0))
	r.q.freed()
}

func (r *reserver) more() bool { return r.q.writable() }

// Bytes returns the memory to write to, as long as was asked for. It holds what
// was there before. After Commit or Abort it must not be used any more: it is the
// queue's, and may be another message already.
func (s *Slot[T]) Bytes() []byte {
	s.check("Bytes")
	return s.data
}

// Value returns the T to write to, in a queue of a T free of pointers. After Commit
// or Abort it must not be used any more, as with Bytes.
func (s *Slot[T]) Value() *T {
	s.check("Value")
	if s.q.contents.layout.Size == 0 && s.q.contents.form != inSlot {
		panic("mpqueue: Value of a Slot of bytes")
	}
	return view[T](s.data)
}

func (s *Slot[T]) check(op string) {
	if !s.held {
		panic("mpqueue: " + op + " of a Slot that is committed or aborted")
	}
}

// Resize makes the message n bytes long, at most as many as were reserved, or it
// panics; so it does if T has a size of its own.
func (s *Slot[T]) Resize(n int) {
	s.check("Resize")
	if s.q.contents.form == inSlot || s.q.contents.layout.Size != 0 {
		panic("mpqueue: Resize of a Slot of " + s.q.contents.layout.Type)
	}
	if n < 0 || n > cap(s.data) {
		panic(fmt.Sprintf("mpqueue: Resize(%d) of a Slot of %d bytes", n, cap(s.data)))
	}
	s.data = s.data[:n]
}

// Commit puts the message. There is room for it; Commit waits only for operations
// of others in progress, as long as the context of the reservation allows. With
// an error the message has not been put, and the place is given back: ErrClosed
// after CloseSend. A second Commit, or one after Abort, panics.
func (s *Slot[T]) Commit() error {
	s.check("Commit")
	q := s.q.q
	s.held = false
	if q.seg.Detached() {
		return shm.ErrClosed
	}
	b := q.block(s.id)
	op := sender{q: q, b: s.data, mine: true}
	if uint64(s.id) >= uint64(len(q.leases)) {
		// It is where it will be read: nothing is copied.
		b.size, b.tries = uint32(len(s.data)), 0
		op.id, op.blk = s.id, b
	}
	r, err := op.quick(false)
	if r != claimed && err == nil {
		slow := op // moves to the heap here
		err = q.await(s.ctx, &waiter{word: &q.notFull, spin: &q.spinPut, op: &slow, why: ErrFull})
		op = slow
	}
	if q.seg.Detached() {
		return shm.ErrClosed
	}
	if op.blk != nil || uint64(s.id) < uint64(len(q.leases)) {
		q.freeBlock(b)
	}
	q.cell(cellReserved).Add(^uint32(0))
	q.freedBlock(s.id)
	return err
}

// Abort gives the place back. After Commit or Abort it does nothing.
func (s *Slot[T]) Abort() {
	if !s.held {
		return
	}
	s.held = false
	q := s.q.q
	if q.seg.Detached() {
		return
	}
	q.freeBlock(q.block(s.id))
	q.cell(cellReserved).Add(^uint32(0))
	q.freedBlock(s.id)
}
