package mpqueue

import (
	"context"

	"shmkit/shm"
)

// put appends a message, which it does not keep.
func (q *core) put(ctx context.Context, b []byte) error {
	s := sender{q: q, b: b}
	if r, err := s.quick(ctx.Err() == nil); r == claimed || err != nil {
		return err
	}
	return q.putSlow(ctx, &s)
}

func (q *core) putSlow(ctx context.Context, s *sender) error {
	slow := *s // moves to the heap here, not for the quick ones
	defer slow.drop()
	return q.await(ctx, &waiter{word: &q.notFull, spin: &q.spinPut, op: &slow, why: ErrFull, size: len(s.b)})
}

// tryPut is put without waiting.
func (q *core) tryPut(b []byte) error {
	s := sender{q: q, b: b}
	if r, err := s.quick(false); r == claimed || err != nil {
		return err
	}
	word, r, err := s.try()
	if r.unfinished() && err == nil {
		slow := s
		r, err = q.linger(&slow, word)
		s = slow
	}
	s.drop()
	return tryError(r, err)
}

// tryError is what a Try operation returns.
func tryError(r outcome, err error) error {
	switch {
	case err != nil:
		return err
	case r == full || r == noRoom:
		return ErrFull
	case r == empty:
		return ErrEmpty
	case r.unfinished():
		return ErrBusy
	case r == closed:
		return ErrClosed
	}
	return nil
}

// sender is one put: first a block, if the message does not fit a slot, then the
// slot.
//
//	block  free → owned        killed from here on: owned by the dead, no slot refers to it: freed
//	copy                       nobody waits for this
//	slot   free → writing
//	position into the block    the sweep looks there for the slot
//	slot   writing → ready     from here on the queue owns the message
type sender struct {
	q   *core
	b   []byte
	id  blockID // of blk
	blk *block  // that holds the message already, nil if none or none yet
	// The message is in blk, and room for it has been reserved.
	mine bool
}

// quick puts if nothing is in the way, or, with wait, if nothing is after a moment.
func (s *sender) quick(wait bool) (outcome, error) {
	q := s.q
	if q.seg.Closed() {
		return full, shm.ErrClosed
	}
	if s.blk == nil && uint64(len(s.b)) > q.geo.inline {
		if _, r, err := s.fill(); r != claimed || err != nil {
			return r, err
		}
	}
	sl, w, p := q.claimPutFast()
	if sl == nil && wait {
		sl, w, p = q.againPut()
	}
	if sl == nil {
		return full, nil
	}
	s.refer(sl, p)
	if !q.commitFast(sl, w) {
		return claimed, shm.ErrClosed
	}
	return claimed, nil
}

// fill copies the message into a block. What it returns is as of operation.try.
func (s *sender) fill() (uint64, outcome, error) {
	id, err := s.q.alloc(len(s.b))
	if short, is := err.(shortage); is {
		return short.blocking(), short.inArena(), nil
	}
	if err != nil {
		return 0, full, err
	}
	s.id, s.blk = id, s.q.block(id)
	room, err := s.q.room(id)
	if err != nil || len(room) < len(s.b) {
		s.drop()
		return 0, full, corrupt("the room of block", uint64(id), uint64(len(room)))
	}
	s.blk.size, s.blk.tries = uint32(copy(room, s.b)), 0
	return 0, claimed, nil
}

// refer makes a claimed slot hold the message, or say where it is.
func (s *sender) refer(sl *slot, p uint64) {
	if s.blk == nil {
		copy(s.q.inlineData(sl), s.b)
		sl.meta = inSlotMeta(len(s.b))
		return
	}
	s.blk.pos.Store(p)
	sl.meta = s.q.geo.metaOf(len(s.b), s.id)
	s.blk = nil
}

// try does the whole put if it can.
func (s *sender) try() (uint64, outcome, error) {
	q := s.q
	if q.seg.Closed() {
		return 0, full, shm.ErrClosed
	}
	if q.control.closed.Load() != 0 {
		return 0, closed, nil
	}
	if s.blk == nil && uint64(len(s.b)) > q.geo.inline {
		if w, r, err := s.fill(); r != claimed || err != nil {
			return w, r, err
		}
	}
	c, r := q.claimPut(s.mine)
	if r != claimed {
		return c.word, r, nil
	}
	s.refer(c.slot, c.pos)
	if !q.commit(c) {
		return 0, claimed, shm.ErrClosed
	}
	return 0, claimed, nil
}

func (s *sender) more() bool { return s.q.writable() }

// drop gives back a block that was not used.
func (s *sender) drop() {
	if s.blk != nil && !s.q.seg.Detached() {
		s.q.freeBlock(s.blk)
		s.q.freedBlock(s.id)
	}
	s.blk = nil
}
