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
	if q.leasing.Load() != 0 && int64(p+q.reserves.Load()-q.limit.Load()) >= 0 {
		if _, r := q.leasedFull(p); r != claimed {
			return nil, 0, 0
		}
	}
	if !s.word.CompareAndSwap(w, w|q.writing) {
		return nil, 0, 0
	}
	if fault.Enabled {
		fault.Point("mpqueue.put.claimed")
	}
	q.raceRoom(s)
	shm.StoreRelease(&q.tail, p+1)
	if q.geo.hints(p + 1) {
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
	signal(&q.notEmpty)
	return !q.seg.Detached()
}

// commitRun is commit without a fence: it wakes who is known to sleep, and the
// caller sees to the others at the end of the run. The store needs no comparison:
// nobody writes the word of a living process's slot.
func (q *core) commitRun(s *slot, w uint64) {
	shm.RaceRelease(&s.word)
	if fault.Enabled {
		fault.Point("mpqueue.put.filled")
	}
	// Publishes the message; pairs with the loads in claimGet and its fast form.
	shm.StoreRelease(&s.word, w|ready)
	if fault.Enabled {
		fault.Point("mpqueue.put.committed")
	}
	signal(&q.notEmpty)
}

// releaseRun is release without a fence, as commitRun.
func (q *core) releaseRun(s *slot, w uint64) {
	if fault.Enabled {
		fault.Point("mpqueue.get.copied")
	}
	q.raceDone(&s.word)
	// Frees the place; pairs with the loads in claimPut and its fast form.
	shm.StoreRelease(&s.word, w+1<<lapShift)
	if fault.Enabled {
		fault.Point("mpqueue.get.released")
	}
	signal(&q.notFull)
}

// claimGetFast claims the message at this process's head. It returns the slot and
// its word free of owner and state, and its position, or nil.
func (q *core) claimGetFast() (*slot, uint64, uint64) {
	if q.orphans.Load() != q.seen.Load() {
		return nil, 0, 0
	}
	p := q.head.Load()
	i, lap := q.geo.locate(p)
	s := q.slot(i)
	w := lap << lapShift
	if s.word.Load() != w|ready || !s.word.CompareAndSwap(w|ready, w|q.reading) {
		return nil, 0, 0
	}
	if fault.Enabled {
		fault.Point("mpqueue.get.claimed")
	}
	if q.seg.Detached() {
		return nil, 0, 0 // the slot may be a private page; if not, the message will be delivered again
	}
	shm.RaceAcquire(&s.word)
	shm.StoreRelease(&q.head, p+1)
	if q.geo.hints(p + 1) {
		q.raiseHead(p + 1)
	}
	return s, w, p
}

// raiseHead tells the others that every position below p is taken, and now and
// then, if leases make that matter to producers, which slots are free again.
func (q *core) raiseHead(p uint64) {
	raise(&q.control.head, p)
	if p%releasedEvery == 0 && q.leasing.Load() != 0 {
		h, _, _ := q.unreleased(p - 1) // p-1 is our own and not yet free
		raise(&q.control.released, h)
	}
}

// releasedEvery is how often, in positions, consumers say what is free again.
// They have those slots in their cache, the producers have not.
const releasedEvery = 64

// releaseFast is release, for a slot of claimGetFast.
func (q *core) releaseFast(s *slot, w uint64) bool {
	if fault.Enabled {
		fault.Point("mpqueue.get.copied")
	}
	q.raceDone(&s.word)
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
func (q *core) againGet() (*slot, uint64, uint64) {
	if !q.canSpin() {
		return nil, 0, 0
	}
	q.spinGet.standBack(q.head.Load(), q.geo.capacity)
	for n := range quickLooks {
		if s, w, p := q.claimGetFast(); s != nil {
			if n > 0 && n <= 2 {
				q.spinGet.soon()
			}
			return s, w, p
		}
		shm.Pause(1)
	}
	return nil, 0, 0
}

// leaseFast leases the message at this process's head, as fetch and lease do, if
// nothing is in the way.
func (q *core) leaseFast(l *leased) (ok bool, err error) {
	if !q.headReady() || q.leasing.Load() == 0 || q.geo.rules&ruleAtMostOnce != 0 || q.geo.tryMost != 0 || q.seg.Closed() {
		return false, nil
	}
	// First the block: a slot that is claimed must not wait for one.
	id, err := q.allocLease()
	if err != nil {
		return false, nil
	}
	b := &q.leases[id]
	s, w, p := q.claimGetFast()
	if s == nil {
		q.dropSpare(id)
		return false, nil
	}
	m := s.meta
	if elsewhere(m) || uint64(metaSize(m)) > q.geo.inline || metaTries(m) != 0 {
		return q.leaseClaimed(l, delivery{claim: claim{slot: s, pos: p, lap: lapOf(w), word: w | q.reading}}, id)
	}
	l.data = q.leaseDataAt(uint64(id))[:metaSize(m)]
	copy(l.data, q.inlineData(s))
	q.handBack(s, len(l.data))
	b.size, b.tries = uint32(metaSize(m)), 0
	shm.StoreRelease(&b.pos, p)
	l.id, l.block, l.word = id, b, makeWord(lapOf(b.word.Load()), q.self, bLeased)
	// Publishes size, position and bytes to the sweep, should we die from here on.
	shm.StoreRelease(&b.word, l.word)
	if fault.Enabled {
		fault.Point("mpqueue.receive.leased")
	}
	q.countLease()
	return q.releaseFast(s, w), nil
}

// leaseClaimed leases the message of d, which is claimed. spare is as in lease.
func (q *core) leaseClaimed(l *leased, d delivery, spare blockID) (bool, error) {
	used := false
	d, _, err := q.describe(d)
	if err == nil {
		used, err = q.lease(&d, spare)
	}
	if !used {
		q.dropSpare(spare)
	}
	if err == nil {
		*l, err = q.held(&d)
	}
	return true, err
}

// headReady reports whether a message waits at this process's head.
func (q *core) headReady() bool {
	i, lap := q.geo.locate(q.head.Load())
	return q.slot(i).word.Load() == lap<<lapShift|ready
}

// awaitHead looks at the head for a moment, without claiming anything: before a
// Receive, whose attempts cost more than a look. It reports whether a message is there.
func (q *core) awaitHead() bool {
	if q.headReady() {
		return true
	}
	if !q.canSpin() {
		return false
	}
	q.spinGet.standBack(q.head.Load(), q.geo.capacity)
	for n := range quickLooks {
		if q.headReady() {
			if n > 0 && n <= 2 {
				q.spinGet.soon()
			}
			return true
		}
		shm.Pause(1)
	}
	return false
}

// againPut looks at the tail for a moment, standing back first if that has paid.
func (q *core) againPut() (*slot, uint64, uint64) {
	if !q.canSpin() {
		return nil, 0, 0
	}
	q.spinPut.standBack(q.tail.Load(), q.geo.capacity)
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
