package mpqueue

import (
	"context"

	"shmkit/shm"
)

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
			*payload[T](s) = v
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
	before := messageBegins()
	m, err := q.encode(&v)
	if err == nil {
		err = q.q.put(ctx, m.b)
	}
	messageEnds(before, err)
	m.free()
	return err
}

// TryPut is Put without waiting: ErrFull if there is no room, ErrBusy if that
// depends on what another process has begun and not finished for 100 µs.
func (q *Queue[T]) TryPut(v T) error {
	if q.contents.form == inSlot {
		if s, w, _ := q.q.claimPutFast(); s != nil {
			*payload[T](s) = v
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
	before := messageBegins()
	m, err := q.encode(&v)
	if err == nil {
		err = q.q.tryPut(m.b)
	}
	messageEnds(before, err)
	m.free()
	return err
}

// Get removes the oldest item and returns it. It waits while there is none.
//
// What Get has returned is gone from the queue; an item that must survive the
// death of its consumer is taken by Receive. On a Joinable queue Get keeps a lease
// until TaskDone. Items that WithMaxDeliveries gives up are passed over, and their
// way to the dead-letter queue is nobody's error: see WithDeadLetter.
//
// Errors: ErrClosed, which is io.EOF, when the queue is closed and nothing is
// left that could come back; ErrAbandoned if it was closed by the death of its
// last producer; ErrEmpty joined with ctx's error when ctx is done before there
// is an item; ErrCorrupt, or the codec's error, for this one message, which is
// lost; shm.ErrClosed when this process closes the queue.
func (q *Queue[T]) Get(ctx context.Context) (v T, err error) {
	if q.contents.form == inSlot && q.q.geo.rules&ruleJoinable == 0 {
		s, w, _ := q.q.claimGetFast()
		if s == nil && ctx.Err() == nil {
			s, w, _ = q.q.againGet()
		}
		if s != nil {
			v = *payload[T](s)
			q.q.handBack(s, int(q.q.geo.inline))
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
	var m message
	r := receiver{q: q.q, read: func(b []byte) { v, m, err = q.take(b) }}
	if e := q.q.receive(ctx, &r); e != nil {
		return v, e
	}
	return q.taken(v, m, err)
}

// getQuick gets a message with a length of its own, if nothing is in the way.
func (q *Queue[T]) getQuick() (v T, ok bool, err error) {
	c := q.q
	if c.geo.tryMost != 0 || c.seg.Closed() {
		return v, false, nil
	}
	s, w, p := c.claimGetFast()
	if s == nil {
		return v, false, nil
	}
	m := s.meta
	if !elsewhere(m) && uint64(metaSize(m)) <= c.geo.inline {
		v, t, err := q.take(c.inlineData(s)[:metaSize(m)])
		c.handBack(s, metaSize(m))
		if !c.releaseFast(s, w) {
			err = shm.ErrClosed
		}
		v, err = q.taken(v, t, err)
		return v, true, err
	}
	v, err = q.getClaimed(s, w, p)
	return v, true, err
}

// getClaimed gets the message of slot s, which is claimed: w is its word free of
// owner and state, p its position.
func (q *Queue[T]) getClaimed(s *slot, w, p uint64) (v T, err error) {
	c := q.q
	d, _, err := c.describe(delivery{claim: claim{slot: s, pos: p, lap: lapOf(w), word: w | c.reading}})
	var m message
	if err == nil {
		if e := c.consume(d, func(b []byte) { v, m, err = q.take(b) }); e != nil {
			err = e
		}
	}
	return q.taken(v, m, err)
}

// TryGet is Get without waiting: ErrEmpty if there is no item, ErrBusy if that
// depends on what another process has begun and not finished for 100 µs.
func (q *Queue[T]) TryGet() (v T, err error) {
	if q.q.geo.rules&ruleJoinable != 0 {
		return q.getTask(q.TryReceive())
	}
	if q.contents.form == inSlot {
		if s, w, _ := q.q.claimGetFast(); s != nil {
			v = *payload[T](s)
			q.q.handBack(s, int(q.q.geo.inline))
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
	var m message
	r := receiver{q: q.q, read: func(b []byte) { v, m, err = q.take(b) }}
	if e := q.q.tryReceive(&r); e != nil {
		return v, e
	}
	return q.taken(v, m, err)
}
