package mpqueue

// This file has the steps of Get and Receive: fetch, takeOrphan, claimGet,
// consume, lease, unlease.

// scanned is the end of findOrphan.
func (a *actor) scanned() {
	a.pc = scanTake
	if a.best >= 10 {
		a.pc = scanCount
	}
	if a.best == 0 {
		a.seen, a.p, a.pc = a.epoch, a.head, getProbe
	}
}

func (m *model) getStep(w *world, i int, choice int8) {
	a := &w.actors[i]
	s, lap := m.at(w, a.p)
	switch a.pc {
	case getLease:
		w.leasing = 1
		k := w.freeBlock(0, m.leases)
		if k < 0 {
			m.blocked(w, i, -1)
			return
		}
		a.spare, a.pc = m.claimBlock(w, i, k), getOrphans
	case getOrphans:
		a.p, a.pc = a.head, getProbe
		if w.orphans != a.seen {
			a.epoch, a.i, a.best, a.bpos, a.v, a.pc = w.orphans, 0, 0, 0, 0, scanSlot
		}
	case scanSlot:
		k := int(a.i)
		if word := w.slots[k].word; stateOf(word) == orphan {
			if p := m.positionOf(k, word); a.best == 0 || p < a.bpos {
				a.best, a.bpos, a.v = int8(1+k), p, word
			}
		}
		if a.i++; int(a.i) == m.cap() {
			a.i, a.pc = 0, scanBlock
			if m.leases+m.blocks == 0 {
				a.scanned()
			}
		}
	case scanBlock:
		b := w.blocks[a.i]
		if stateOf(b.word) == bOrphan && (a.best == 0 || b.pos < a.bpos) {
			a.best, a.bpos, a.v = 10+a.i, b.pos, b.word
		}
		if a.i++; int(a.i) == m.leases+m.blocks {
			a.scanned()
		}
	case scanCount:
		a.cell++
		a.pc = scanTake
	case scanUncount:
		a.cell--
		m.signal(a, onNotFull, getOrphans)
	case getDropLease:
		w.blocks[a.spare-1].free()
		a.spare = 0
		switch a.sum {
		case atTheEnd:
			m.done(a, i, thenOver)
		case withItem:
			m.done(a, i, holding)
		default:
			m.blocked(w, i, int(a.sum))
		}
	case scanTake:
		a.pc = getOrphans
		if a.best < 10 {
			s := &w.slots[a.best-1]
			if s.word != a.v {
				return
			}
			s.word = makeWord(lapOf(a.v), m.self(i), reading)
			a.p, a.again = a.bpos, 1
			m.claimedSlot(w, i)
			return
		}
		b := &w.blocks[a.best-10]
		if b.word != a.v {
			a.pc = scanUncount
			return
		}
		b.word = makeWord(lapOf(a.v), m.self(i), bLeased)
		a.p, a.again, a.blk, a.pc = -1, 1, a.best-9, getCount

	case getProbe:
		st := stateOf(s.word)
		switch d := lapsAhead(s.word, lap); {
		case d == -1 && m.mut == headPastReading && st == reading:
			a.p++
			a.head = a.p
		case d < 0:
			m.blocked(w, i, -1)
		case d > 0 || st == reading:
			a.p++
		case st == free:
			a.v, a.pc = s.word, getClosed
		case st == writing:
			m.blocked(w, i, actorOf(s.word))
		case st == sealed:
			a.i, a.sum, a.pc = a.p-int8(m.cap()), 0, endSlots
			if m.mut == endByCount {
				a.i, a.pc = 0, endCells
			}
		default:
			a.v, a.pc = s.word, getClaim
		}
	case getClosed:
		switch {
		case w.closed == 0:
			m.blocked(w, i, -1)
		case m.mut == noSeal:
			a.i, a.sum, a.pc = a.p-int8(m.cap()), 0, endSlots
		default:
			a.pc = getSeal
		}
	case getSeal:
		if s.word == a.v {
			s.word = makeWord(lap&lapMask, 0, sealed)
		}
		a.pc = getOrphans
	case getClaim:
		a.pc = getProbe
		if s.word != a.v {
			return
		}
		s.word = makeWord(lap&lapMask, m.self(i), reading)
		a.head, a.pc = a.p+1, getHint
		a.again = 0
		if stateOf(a.v) == orphan {
			a.again = 1
			return
		}
		m.overtaken(w, w.content(s))
	case getHint:
		if choice == 0 {
			w.head = max(w.head, a.p+1)
		}
		m.claimedSlot(w, i)
	case getCount:
		m.countDeath(w, i)

	case getHalf:
		a.got, a.pc = s.val, getFull
	case getFull:
		m.read(w, a.got, s.val)
		a.pc = getRelease
	case getOwn:
		b := &w.blocks[a.blk-1]
		if stateOf(b.word) != bOwned {
			w.fail(strangeBlock)
		}
		b.word = makeWord(lapOf(b.word), m.self(i), bTaken)
		a.pc = getRelease
		if m.mut == blockFreedFirst {
			a.pc = getFreeFirst
		}
	case getFreeFirst:
		a.got, a.pc = w.blocks[a.blk-1].val, getRelease
		w.blocks[a.blk-1].free()
	case getRelease:
		n := w.content(s)
		if m.mut == blockFreedFirst && a.blk != 0 {
			n = a.got
		}
		m.deliver(w, a, n)
		w.settled |= bit(n)
		s.word = makeWord(lapOf(s.word)+1, 0, free)
		m.freed(a, thenReleased)
	case getBlockHalf:
		a.got, a.pc = w.blocks[a.blk-1].val, getBlockFull
	case getBlockFull:
		m.read(w, a.got, w.blocks[a.blk-1].val)
		a.pc = getFree
	case getFree:
		b := &w.blocks[a.blk-1]
		if stateOf(b.word) == bLeased { // of an orphan block: it came back until now
			m.deliver(w, a, b.val)
			w.settled |= bit(b.val)
			b.free()
			a.pc = getUncount
			return
		}
		b.free()
		m.freed(a, thenGot)
	case getUncount:
		a.cell--
		m.freed(a, thenGot)
	}
}

// What sum says in getDropLease, if not whose operation is in the way: what was
// found.
const (
	atTheEnd = 100
	withItem = 101
)

// claimedSlot is what follows when actor i has made a slot its own: describe.
func (m *model) claimedSlot(w *world, i int) {
	a := &w.actors[i]
	s, _ := m.at(w, a.p)
	if a.blk = s.block; a.again != 0 {
		a.pc = getCount
		return
	}
	m.described(w, i)
}

// countDeath is the part of describe for what was delivered before: the new consumer
// counts the death of the last one, in the slot, or in the block if it was leased.
func (m *model) countDeath(w *world, i int) {
	a := &w.actors[i]
	if a.p >= 0 {
		s, _ := m.at(w, a.p)
		if m.mut != sweepCounts {
			s.tries++
		}
		w.counted(w.content(s), s.tries)
		m.described(w, i)
		return
	}
	b := &w.blocks[a.blk-1]
	b.tries += b.died
	if m.mut != markKept {
		b.died = 0
	}
	w.counted(b.val, b.tries)
	a.pc = getBlockHalf
	if m.receiver(i) {
		m.deliver(w, a, b.val)
		a.pc = thenHold
	}
}

// described is what follows describe for a message in a slot.
func (m *model) described(w *world, i int) {
	a := &w.actors[i]
	switch {
	case m.receiver(i) && a.blk != 0:
		a.pc = leaseOwn
	case m.receiver(i):
		a.pc = leaseHalf
	case a.blk != 0:
		a.pc = getOwn
	default:
		a.pc = getHalf
	}
}

// read is a message that was copied in two halves.
func (m *model) read(w *world, half, rest int8) {
	switch {
	case half <= 0 || half != rest:
		w.fail(tornRead)
	case w.committed&bit(half) == 0:
		w.fail(uncommitted)
	}
}

// overtaken looks, when a message is claimed for the first time, whether a later
// one of the same producer was before it.
func (m *model) overtaken(w *world, n int8) {
	if n <= 0 {
		return // read will say so
	}
	for later := n; (later-1)/int8(m.messages) == (n-1)/int8(m.messages); later++ {
		if w.taken&bit(later) != 0 {
			w.fail(disorder)
		}
	}
	w.taken |= bit(n)
}

// deliver is the moment when Get or Receive returns message n.
func (m *model) deliver(w *world, a *actor, n int8) {
	switch {
	case n <= 0:
		w.fail(tornRead)
	case a.again != 0 && w.allowed[n-1] == 0:
		w.fail(tooOften)
	case a.again != 0:
		w.allowed[n-1]--
	case w.unmarked&bit(n) != 0:
		w.fail(twice)
	default:
		w.unmarked |= bit(n)
	}
}

// endStep is a step of drained.
func (m *model) endStep(w *world, i int) {
	a := &w.actors[i]
	switch a.pc {
	case endSlots:
		if a.i != a.p {
			if s, lap := m.at(w, a.i); lapsAhead(s.word, lap) > 0 {
				a.i++
				return
			}
			a.sum, a.pc = 1, endOrphans
			return
		}
		a.i, a.pc = 0, endBlocks
		if m.leases+m.blocks == 0 {
			a.pc = endOrphans
		}
	case endBlocks:
		if st := stateOf(w.blocks[a.i].word); st == bLeased || st == bOrphan {
			a.sum = 1
		}
		if a.i++; int(a.i) == m.leases+m.blocks {
			a.pc = endOrphans
		}
	case endCells:
		a.sum += w.actors[m.producers+int(a.i)].cell
		if a.i++; int(a.i) == m.consumers() {
			a.pc = endOrphans
		}
	case endOrphans:
		switch {
		case w.orphans != a.seen:
			a.pc = getOrphans
		case a.sum != 0:
			m.blocked(w, i, -1)
		default:
			if w.committed&^w.settled != 0 {
				w.fail(early)
			}
			w.eof = true
			if a.spare != 0 {
				a.sum, a.pc = atTheEnd, getDropLease
				return
			}
			m.done(a, i, thenOver)
		}
	}
}
