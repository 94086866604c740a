package mpqueue

import (
	"context"
	"errors"

	"shmkit/shm"
)

// PutBatch appends the values in order and returns how many: all of them, or
// those before the error. It waits whenever the queue is full. Each value is the
// queue's as soon as it has been put, as by Put; others may put in between.
//
// Per value it costs about half of a Put: it looks only now and then who has to be
// woken, see putRun.
func (q *Queue[T]) PutBatch(ctx context.Context, vs []T) (int, error) {
	for i := 0; i < len(vs); {
		n, err := q.putRun(vs[i:])
		if err != nil {
			return i, err
		}
		if i += n; i == len(vs) {
			break
		}
		if err := q.Put(ctx, vs[i]); err != nil {
			return i, err
		}
		i++
	}
	return len(vs), nil
}

// GetBatch waits until there is an item, and then takes as many as there are, up
// to len(dst). It returns how many, and the errors of Get; with an error there
// may be items too: with shm.ErrClosed the last of them may be delivered again, to
// another. Strings and slices of bytes of a batch may share memory: one
// that is kept can keep up to 4 KiB.
func (q *Queue[T]) GetBatch(ctx context.Context, dst []T) (int, error) {
	if len(dst) == 0 {
		return 0, nil
	}
	n, err := q.getRun(dst)
	if n == 0 && err == nil {
		if dst[0], err = q.Get(ctx); err == nil {
			n = 1
		}
	}
	for n > 0 && err == nil && n < len(dst) {
		more, e := q.getRun(dst[n:])
		if err = e; more > 0 {
			n += more
			continue
		}
		if dst[n], e = q.TryGet(); e != nil {
			if !lasts(e) {
				err = e // that of a message that is lost: nobody else will be told
			}
			break
		}
		n++
	}
	return n, err
}

// lasts reports whether a Get that got nothing for this reason lost nothing: the
// next one will be told the same, or get what is there by then.
func lasts(err error) bool {
	return errors.Is(err, ErrEmpty) || errors.Is(err, ErrBusy) || errors.Is(err, ErrClosed) || errors.Is(err, ErrAbandoned)
}

// runMost is how many messages are put, or taken, before a look at who sleeps.
const runMost = 32

// putRun puts values for as long as nothing is in the way, and returns how many.
//
// A Put ends with an operation that is a fence, for it must not look who sleeps
// before its message can be seen. A run has one fence, at its end: a consumer that
// falls asleep meanwhile is woken then. Where a process can be killed in a run:
//
//	a slot is claimed             the messages before it are the queue's, its own is not
//	a message is published        it is the queue's; who sleeps may not know yet
//	the fence, before the signal  the same
//
// and in the last two the sweep of the dead one wakes everybody. One that is
// stopped there lets a sleeper sleep on until its backstop, 100 ms at most.
func (q *Queue[T]) putRun(vs []T) (n int, err error) {
	c := q.q
	for n < len(vs) && n < runMost {
		var b []byte
		if q.contents.form != inSlot {
			var plain bool
			if b, plain = viewOf(vs[n]); !plain || q.contents.codec != nil || uint64(len(b)) > c.geo.inline {
				break
			}
		}
		s, w, _ := c.claimPutFast()
		if s == nil {
			break
		}
		if q.contents.form == inSlot {
			*payload[T](s) = vs[n]
			s.meta = q.meta
		} else {
			s.meta = inSlotMeta(copy(c.inlineData(s), b))
		}
		c.commitRun(s, w)
		n++
	}
	if n > 0 {
		fullFence()
		signal(&c.notEmpty)
		if c.seg.Closed() {
			err = shm.ErrClosed
		}
	}
	return n, err
}

// getRun takes items for as long as nothing is in the way, and returns how many. It
// has one fence, as putRun.
func (q *Queue[T]) getRun(dst []T) (n int, err error) {
	c := q.q
	if q.contents.form == encoded || c.geo.rules&ruleJoinable != 0 || c.geo.tryMost != 0 {
		return 0, nil
	}
	var room []byte
	for n < len(dst) && n < runMost {
		s, w, p := c.claimGetFast()
		if s == nil {
			break
		}
		if q.contents.form == inSlot {
			dst[n] = *payload[T](s)
			if c.seg.Detached() {
				break // that may have been a private page; the message will be delivered again
			}
			c.handBack(s, int(c.geo.inline))
			n++
			c.releaseRun(s, w)
			continue
		}
		m := s.meta
		size := metaSize(m)
		if elsewhere(m) || uint64(size) > c.geo.inline {
			if dst[n], err = q.getClaimed(s, w, p); err == nil {
				n++
			}
			break
		}
		if size > len(room) {
			room = make([]byte, max(size, min(size*min(len(dst)-n, runMost), roomMost)))
		}
		dst[n] = fromBytes[T](room[:copy(room[:size], c.inlineData(s)):size])
		if c.seg.Detached() {
			break // as above
		}
		c.handBack(s, size)
		room = room[size:]
		n++
		c.releaseRun(s, w)
	}
	if n > 0 {
		fullFence()
		c.freed()
		if c.seg.Closed() {
			err = shm.ErrClosed
		}
	}
	return n, err
}

// roomMost is how much memory the messages of one run share at most.
const roomMost = 4096
