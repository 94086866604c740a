package mpqueue

import (
	"shmkit/shm"
	"shmkit/shm/fault"
)

// The fast paths: claim, copy, commit of a message that lies in its slot, when
// nothing is in the way. They are claimPut, commit, claimGet and release, for the
// case that the first place looked at is the one; anything else is left to those.

// quickLooks is how often a fast path looks again before the slow path takes
// over: about half a microsecond.
const quickLooks = 24

// claimPutFast claims the place at this process's tail. It returns the slot and
// its word free of owner and state and its position, or nil.
func (q *core) claimPutFast() (*slot, uint64, uint64) {
	p := q.tail.Load()
	i, lap := q.geo.locate(p)
	s := q.slot(i)
	w := lap << lapShift
	// The slot first: who freed it by a lease has said before that there are some.
	if s.word.Load() != w || q.control.closed.Load() != 0 {
		return nil, 0, 0
	}
	if q.leasing.Load() != 0 && int64(p+q.reserves.Load()-q.limit.Load()) >= 0 || !s.word.CompareAndSwap(w, w|q.writing) {
		return nil, 0, 0
	}
	if fault.Enabled {
		fault.Point("mpqueue.put.claimed")
	}
	shm.StoreRelease(&q.tail, p+1)
	if (p+1)%hintEvery == 0 || q.geo.capacity < 2*hintEvery {
		raise(&q.control.tail, p+1)
	}
	return s, w, p
}

// commitFast is commit, for a slot of claimPutFast.
func (q *core) commitFast(s *slot, w uint64) bool {
	shm.RaceRelease(&s.word)
	if fault.Enabled {
		fault.Point("mpqueue.put.filled")
	}
	// Publishes the message; pairs with the loads in claimGet and its fast
	// form. See commit.
	if !s.word.CompareAndSwap(w|q.writing, w|ready) {
		return false
	}
	if fault.Enabled {
		fault.Point("mpqueue.put.committed")
	}
	q.signal(&q.notEmpty)
	return !q.seg.Closed()
}

// claimGetFast claims the message at this process's head. It returns the slot and
// its word free of owner and state, or nil.
func (q *core) claimGetFast() (*slot, uint64) {
	if q.orphans.Load() != q.seen.Load() {
		return nil, 0
	}
	p := q.head.Load()
	i, lap := q.geo.locate(p)
	s := q.slot(i)
	w := lap << lapShift
	if s.word.Load() != w|ready || !s.word.CompareAndSwap(w|ready, w|q.reading) {
		return nil, 0
	}
	if fault.Enabled {
		fault.Point("mpqueue.get.claimed")
	}
	if q.seg.Closed() {
		return nil, 0 // the slot may be a private page; if not, the message will be delivered again
	}
	shm.RaceAcquire(&s.word)
	shm.StoreRelease(&q.head, p+1)
	if (p+1)%hintEvery == 0 || q.geo.capacity < 2*hintEvery {
		raise(&q.control.head, p+1)
	}
	return s, w
}

// releaseFast is release, for a slot of claimGetFast.
func (q *core) releaseFast(s *slot, w uint64) bool {
	if fault.Enabled {
		fault.Point("mpqueue.get.copied")
	}
	if !s.word.CompareAndSwap(w|q.reading, w+1<<lapShift) {
		return false
	}
	if fault.Enabled {
		fault.Point("mpqueue.get.released")
	}
	q.freed()
	return true
}

// againGet looks at the head for a moment, standing back first if that has paid.
func (q *core) againGet() (*slot, uint64) {
	if !shm.CanSpin() {
		return nil, 0
	}
	q.spinGet.standBack(q.head.Load())
	for n := range quickLooks {
		if s, w := q.claimGetFast(); s != nil {
			if n > 0 && n <= 2 {
				q.spinGet.soon()
			}
			return s, w
		}
		shm.Pause(1)
	}
	return nil, 0
}

// awaitHead looks at the head for a moment, without claiming anything: before a
// Receive, whose attempts cost more than a look.
func (q *core) awaitHead() {
	p := q.head.Load()
	i, lap := q.geo.locate(p)
	s := q.slot(i)
	ready := lap<<lapShift | ready
	if s.word.Load() == ready || !shm.CanSpin() {
		return
	}
	q.spinGet.standBack(p)
	for n := range quickLooks {
		if s.word.Load() == ready {
			if n > 0 && n <= 2 {
				q.spinGet.soon()
			}
			return
		}
		shm.Pause(1)
	}
}

// againPut looks at the tail for a moment, standing back first if that has paid.
func (q *core) againPut() (*slot, uint64, uint64) {
	if !shm.CanSpin() {
		return nil, 0, 0
	}
	q.spinPut.standBack(q.tail.Load())
	for n := range quickLooks {
		if s, w, p := q.claimPutFast(); s != nil {
			if n > 0 && n <= 2 {
				q.spinPut.soon()
			}
			return s, w, p
		}
		shm.Pause(1)
	}
	return nil, 0, 0
}
