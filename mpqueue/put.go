package mpqueue

import (
	"context"

	"shmkit/shm"
)

// putter is one Put that did not succeed at once, or of a message with a length
// of its own: first a block, if the message does not fit a slot, then the slot.
type putter[T any] struct {
	waiter
	q   *Queue[T]
	v   T
	b   []byte  // the message, of a variable queue
	id  blockID // of block
	blk *block  // that holds it already, nil if none or none yet
}

func (q *Queue[T]) putter(v T) *putter[T] {
	p := &putter[T]{q: q, v: v}
	if !q.fixed {
		p.b, _ = bytesOf(&p.v)
	}
	p.waiter = waiter{word: &q.q.notFull, spin: &q.q.spinPut, try: p.try, more: q.q.writable, why: ErrFull}
	return p
}

func (q *Queue[T]) putSlow(ctx context.Context, v T) error {
	p := q.putter(v)
	defer p.drop()
	return q.q.await(ctx, &p.waiter)
}

// try does the whole put if it can.
func (p *putter[T]) try() (uint64, outcome, error) {
	q := p.q.q
	if q.control.closed.Load() != 0 {
		return 0, closed, nil
	}
	if p.blk == nil && uint64(len(p.b)) > q.geo.inline {
		id, err := q.alloc(len(p.b))
		if err == errNoRoom {
			return 0, full, nil
		}
		if err != nil {
			return 0, full, err
		}
		p.id, p.blk = id, q.block(id)
		room, err := q.room(id)
		if err != nil {
			return 0, full, err
		}
		p.blk.size, p.blk.tries = uint32(copy(room, p.b)), 0
	}
	c, r := q.claimPut()
	if r != claimed {
		return c.word, r, nil
	}
	if p.q.fixed {
		store(c.slot, p.v)
		c.slot.meta = p.q.meta
		if !q.commit(c) {
			return 0, claimed, shm.ErrClosed
		}
		return 0, claimed, nil
	}
	meta := makeMeta(len(p.b), noBlock)
	if p.blk != nil {
		// The sweep finds the slot by this position. Before the commit, so
		// that it is there for every block that a slot refers to.
		p.blk.pos.Store(c.pos)
		meta = makeMeta(len(p.b), p.id)
	} else {
		copy(q.inlineData(c.slot), p.b)
	}
	c.slot.meta = meta
	p.blk = nil
	if !q.commit(c) {
		return 0, claimed, shm.ErrClosed
	}
	return 0, claimed, nil
}

// drop gives back a block that was not used.
func (p *putter[T]) drop() {
	if p.blk != nil && !p.q.q.seg.Closed() {
		p.q.q.freeBlock(p.blk)
		p.q.q.signal(&p.q.q.notFull)
	}
}

func (p *putter[T]) end(r outcome, err error) error {
	switch {
	case err != nil:
		return err
	case r == full:
		return ErrFull
	case r == busy:
		return ErrBusy
	case r == closed:
		return ErrClosed
	}
	return nil
}
