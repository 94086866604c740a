package mpqueue

import (
	"shmkit/shm"
	"shmkit/shm/fault"
)

// delivery is a message that this process has claimed: in a slot, or, if slot is
// nil, in a block that has no slot any more.
type delivery struct {
	claim
	id    blockID
	block *block // where it lies, nil if inline in the slot
	size  int
	tries uint32
}

// fetch claims the oldest message there is: those to be delivered again first,
// for they are older than the head. When CloseSend has been called and nothing
// is left that could come back, the outcome is closed.
func (q *core) fetch() (delivery, outcome, error) {
	for {
		if q.orphans.Load() != q.seen.Load() {
			if d, ok := q.takeOrphan(); ok {
				return q.describe(d)
			}
		}
		c, r := q.claimGet()
		switch {
		case r == claimed:
			return q.describe(delivery{claim: c})
		case r == empty && q.control.closed.Load() != 0 && lapsAhead(c.word, c.lap) == 0:
			// The end is where no producer has come before us. One that
			// comes later meets the seal.
			q.seal(c)
			continue
		case r == closed && !q.drained(c.pos):
			if q.orphans.Load() != q.seen.Load() {
				continue
			}
			return delivery{claim: c}, empty, nil
		}
		return delivery{claim: c}, r, nil
	}
}

// drained reports whether nothing can come back, the queue being sealed at end:
// no slot before it is being read or waits to be, and no block is leased or waits
// to be delivered again. The order matters: an item is in a block before its slot
// is free, and stays in that block until it is done.
func (q *core) drained(end uint64) bool {
	if planted.earlyEnd {
		return true
	}
	if p, _, _ := q.unreleased(end); p != end {
		return false
	}
	out, _ := q.countLeases()
	return out == 0 && q.orphans.Load() == q.seen.Load()
}

// describe reads where the claimed message lies, once, and checks it. If its last
// consumer died that is counted now, by its new one: killed before, it leaves one
// death that is not counted. The sweep could not count it once, for another sweep
// begins again where it was killed.
func (q *core) describe(d delivery) (delivery, outcome, error) {
	if d.slot != nil {
		m := d.slot.meta
		if d.again { // a slot says so only after a death
			m = moreTries(m)
			d.slot.meta = m
		}
		d.size, d.tries = metaSize(m), metaTries(m)
		if d.id = q.geo.blockOf(m); d.id != noBlock {
			if d.block = q.block(d.id); d.block == nil {
				q.release(d.claim)
				return d, claimed, corrupt("the block of slot", d.pos, uint64(d.id))
			}
		} else if uint64(d.size) > q.geo.inline {
			q.release(d.claim)
			return d, claimed, corrupt("the size in slot", d.pos, uint64(d.size))
		}
	} else {
		d.size, d.tries = int(d.block.size), d.block.countDeath()
	}
	if d.again {
		q.redelivered.Add(1)
	}
	if planted.unmarked {
		d.again = false
	}
	return d, claimed, nil
}

// own makes the block of a message that lies in a slot ours, in state st. Its
// word is bOwned by the producer, dead or alive, or by nobody.
func (q *core) own(d *delivery, st uint64) error {
	for {
		w := d.block.word.Load()
		if stateOf(w) != bOwned {
			q.release(d.claim)
			return corrupt("the word of block", uint64(d.id), w)
		}
		if d.block.word.CompareAndSwap(w, makeWord(lapOf(w), q.self, st)) {
			return nil
		}
	}
}

// contents returns the message of d where it lies.
func (q *core) contents(d *delivery) ([]byte, error) {
	if d.block == nil {
		return q.inlineData(d.slot)[:d.size], nil
	}
	room, err := q.room(d.id)
	if err != nil {
		return nil, err
	}
	if d.size > len(room) {
		return nil, corrupt("the size in block", uint64(d.id), uint64(d.size))
	}
	return room[:d.size], nil
}

// consume copies the message out by read and frees what it lay in: block word to
// us, slot free, copy, block free. Killed before the slot is free, the message
// is delivered again; after that, it goes with this process.
func (q *core) consume(d delivery, read func([]byte)) error {
	if d.block == nil {
		b, err := q.contents(&d)
		if err == nil {
			read(b)
		}
		if !q.release(d.claim) {
			return shm.ErrClosed
		}
		return err
	}
	if d.slot != nil {
		if err := q.own(&d, bTaken); err != nil {
			return err
		}
		if fault.Enabled {
			fault.Point("mpqueue.get.taken")
			if planted.blockFirst {
				q.freeBlock(d.block)
			}
		}
		if !q.release(d.claim) {
			return shm.ErrClosed
		}
	}
	b, err := q.contents(&d)
	if err == nil {
		read(b)
	}
	q.freeBlock(d.block)
	if d.slot == nil {
		q.uncountLease()
	}
	q.freedBlock(d.id)
	return err
}

// lease moves the message of d into a block that is leased to this process, and
// frees its slot: a slow worker never stops the ring. lease is a block that this
// process holds, for a message that is inline in its slot; the second result
// reports whether it was used.
//
//	copy, position and size into the block
//	block  owned → leased      killed here: the slot is reading(dead), so the message is still
//	                           there and the block is a copy, which the sweep frees
//	slot   reading → free      killed from here on: the block is the message, delivered again
func (q *core) lease(d *delivery, spare blockID) (used bool, err error) {
	switch {
	case d.slot == nil: // an orphan block, ours already
	case d.block == nil:
		b := q.block(spare)
		room, err := q.room(spare)
		if err != nil {
			return false, err
		}
		copy(room, q.inlineData(d.slot)[:d.size])
		b.pos.Store(d.pos)
		b.size, b.tries = uint32(d.size), d.tries
		b.word.Store(makeWord(lapOf(b.word.Load()), q.self, bLeased))
		d.id, d.block, used = spare, b, true
	default:
		if err := q.own(d, bLeased); err != nil {
			return false, err
		}
		d.block.tries = d.tries
	}
	if fault.Enabled {
		fault.Point("mpqueue.receive.leased")
	}
	if d.slot == nil {
		return false, nil // takeOrphan has counted it
	}
	q.countLease()
	if !q.release(d.claim) {
		return used, shm.ErrClosed
	}
	return used, nil
}

// unlease ends a lease: the block becomes free, or, to deliver it again, orphan.
func (q *core) unlease(id blockID, h *block, w uint64, again bool) error {
	next := makeWord(lapOf(w)+1, 0, bFree)
	if again {
		next = makeWord(lapOf(w), 0, bOrphan)
	}
	q.raceDone(&h.word)
	if !h.word.CompareAndSwap(w, next) {
		return ErrDone
	}
	if fault.Enabled {
		fault.Point("mpqueue.done.freed")
	}
	if again {
		q.changed()
		if fault.Enabled {
			fault.Point("mpqueue.requeue.announced")
		}
	}
	q.uncountLease()
	if again {
		signal(&q.notEmpty)
		// Another may have taken it meanwhile, and be done with it: then who looked
		// at the counts after that has still found ours.
		q.freed()
		return nil
	}
	q.freedBlock(id)
	return nil
}

// changed tells everybody that the set of items to be delivered again is not what
// it was. 0 says that there has never been one, and is left out: it is what a
// process that has just opened the queue compares with.
func (q *core) changed() {
	if q.orphans.Add(1) == 0 {
		q.orphans.Add(1)
	}
}

// takeOrphan claims the oldest message that is to be delivered again. If there
// is none it notes so, until the next change.
func (q *core) takeOrphan() (delivery, bool) {
	for {
		epoch := q.orphans.Load()
		d, w, ok := q.findOrphan()
		if !ok {
			q.seen.Store(epoch)
			return delivery{}, false
		}
		if d.slot != nil {
			d.word = w
			if q.take(&d.claim) {
				d.again = true
				return d, true
			}
			continue
		}
		// Counted before it is ours: at every moment the item is counted, or
		// found as an orphan.
		q.countLease()
		if d.block.word.CompareAndSwap(w, makeWord(lapOf(w), q.self, bLeased)) {
			shm.RaceAcquire(&d.block.word)
			d.again = true
			return d, true
		}
		q.uncountLease()
		q.freed()
	}
}

// findOrphan looks at every slot that may hold one, and at every block. A slot that
// holds one has been claimed and not released: its position is not below the first
// that has not been released, nor at or above the end of those that are claimed.
// What becomes an orphan after the epoch that the caller has read changes that.
func (q *core) findOrphan() (best delivery, word uint64, ok bool) {
	older := func(p uint64) bool { return !ok || int64(p-best.pos) < 0 }
	end := q.claimedEnd()
	for p, _, _ := q.unreleased(end); p != end; p++ {
		i, lap := q.geo.locate(p)
		s := q.slot(i)
		if w := s.word.Load(); stateOf(w) == orphan && lapsAhead(w, lap) == 0 {
			best, word, ok = delivery{claim: claim{slot: s, pos: p, lap: lap}}, w, true
			break // the others are younger
		}
	}
	q.eachBlock(func(id blockID, b *block) {
		w := b.word.Load()
		if stateOf(w) != bOrphan {
			return
		}
		if p := b.pos.Load(); older(p) {
			best, word, ok = delivery{claim: claim{pos: p}, id: id, block: b}, w, true
		}
	})
	return best, word, ok
}

// countLeases looks at every block: how many are leased or to be delivered
// again, and how many of them the latter.
func (q *core) countLeases() (all, orphans uint64) {
	q.eachBlock(func(_ blockID, b *block) {
		switch stateOf(b.word.Load()) {
		case bOrphan:
			orphans++
			all++
		case bLeased:
			all++
		}
	})
	return all, orphans
}

// eachBlock calls f for every block that may be in use.
func (q *core) eachBlock(f func(blockID, *block)) {
	for i := range q.leasable() {
		f(blockID(i), &q.leases[i])
	}
	base := uint64(len(q.leases))
	for ci := range q.geo.chunks {
		w := q.chunk[ci].Load()
		n := uint64(0)
		switch {
		case chunkState(w) == cSlab && chunkClass(w) < classes:
			n = blocksPerChunk >> chunkClass(w)
		case chunkState(w) == cRun:
			n = 1
		}
		for bi := range n {
			k := ci*blocksPerChunk + bi
			f(blockID(base+k), &q.blocks[k])
		}
	}
}
