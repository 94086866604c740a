package mpqueue

// This file has the steps of Put: putter.try, claimPut, commit.

// beginning is where a try begins.
func (m *model) beginning(a *actor, i int) pc {
	switch {
	case m.producer(i):
		return putLook
	case m.receiver(i):
		return getLease
	}
	return getOrphans
}

// choices is the number of ways in which actor i's next step can go.
func (m *model) choices(w *world, i int) int8 {
	switch w.actors[i].pc {
	case putHint, getHint:
		if m.lazy {
			return 2
		}
	case holding:
		if w.requeues > 0 {
			return 2
		}
	}
	return 1
}

// step makes the next access of actor i.
func (m *model) step(w *world, i int, choice int8) {
	a := &w.actors[i]
	switch {
	case a.life == dead:
		m.sweepStep(w, i)
	case a.pc >= waitSet:
		m.waitStep(w, i)
	case a.pc >= leaseHalf:
		m.leaseStep(w, i, choice)
	case a.pc >= endSlots && a.pc <= endOrphans:
		m.endStep(w, i)
	case a.pc >= getLease:
		m.getStep(w, i, choice)
	case a.pc >= putLeasing && a.pc <= putMoving:
		m.roomStep(w, i)
	default:
		m.putStep(w, i, choice)
	}
}

// settle takes what is no access to shared memory.
func (m *model) settle(w *world, i int) {
	for a := &w.actors[i]; a.life == alive; {
		switch a.pc {
		case thenPut:
			m.done(a, i, thenNext)
		case thenPutEnd:
			a.sent, a.pc = int8(m.messages), atOver
			if a.blk != 0 {
				a.pc = putDrop
			}
		case thenReleased:
			a.pc = thenGot
			if a.blk != 0 && m.mut != blockFreedFirst {
				a.pc = getBlockHalf
			}
		case thenGot:
			a.got, a.blk = 0, 0
			m.done(a, i, thenNext)
		case thenHold:
			if a.spare != 0 { // of an item that was in a block
				a.sum, a.pc = withItem, getDropLease
				return
			}
			m.done(a, i, holding)
		case thenNext:
			a.pc = m.beginning(a, i)
			most := m.gets
			if m.producer(i) {
				most = m.messages
			}
			if most == 0 {
				continue
			}
			if a.sent++; int(a.sent) == most {
				a.pc = atOver
			}
		case getOrphans:
			if m.kills > 0 || m.requeues > 0 {
				return
			}
			a.p, a.pc = a.head, getProbe // never any
		case thenOver:
			a.pc = atOver
			if m.producer(i) {
				a.pc = thenPutEnd
			}
		default:
			if !m.stable(w, a) && (!m.coarse || !copying(a.pc)) {
				return
			}
			m.step(w, i, 0)
		}
	}
}

// stable reports whether a's next step is a load of what will never change again:
// then it does not matter when it is made, and it is made at once.
func (m *model) stable(w *world, a *actor) bool {
	switch a.pc {
	case putLook, getClosed, freedClosed:
		return w.closed != 0
	case putProbe, getProbe, moreSettle:
		s, lap := m.at(w, a.p)
		d := lapsAhead(s.word, lap)
		return d > 0 || d == 0 && stateOf(s.word) == sealed
	case putSettle, endSlots:
		s, lap := m.at(w, a.i)
		return a.i == a.p || lapsAhead(s.word, lap) > 0
	case moreHead:
		return true // a lower bound is as good
	}
	return false
}

// copying reports whether the step at p is of interest to nobody else, if all is
// well.
func copying(p pc) bool {
	switch p {
	case putBlockHalf, putBlockFull, putHint, putHalf, putFull, putPos, putRefer, getHint, getHalf, getFull, getBlockHalf, getBlockFull,
		leaseHalf, leaseFull, leasePos, getLease, getDropLease:
		return true
	}
	return false
}

// freeBlock returns a free block of [from, to), or -1.
func (w *world) freeBlock(from, to int) int {
	for k := from; k < to; k++ {
		if stateOf(w.blocks[k].word) == bFree {
			return k
		}
	}
	return -1
}

// claimBlock is allocIn and allocLease: the load and the CAS are one move, for
// who fails goes on looking.
func (m *model) claimBlock(w *world, i, k int) int8 {
	b := &w.blocks[k]
	b.word = makeWord(lapOf(b.word), m.self(i), bOwned)
	return int8(k + 1)
}

// free frees b. Generations stay what they are: there would be no end of them,
// and nobody may depend on them.
func (b *wBlock) free() { b.word = makeWord(lapOf(b.word), 0, bFree) }

// outstanding counts what the capacity is for.
func (m *model) outstanding(w *world) (n int) {
	for k := range m.cap() {
		switch stateOf(w.slots[k].word) {
		case writing, ready, reading, orphan:
			n++
		}
	}
	for k := range w.blocks {
		b := &w.blocks[k]
		if st := stateOf(b.word); st != bLeased && st != bOrphan {
			continue
		}
		s, lap := m.at(w, b.pos)
		if st := stateOf(s.word); lapsAhead(s.word, lap) != 0 || st != reading {
			n++ // else its slot still has it
		}
	}
	return n
}

// ended is a Put that meets the end.
func (m *model) ended(a *actor, i int) { m.done(a, i, thenPutEnd) }

func (m *model) putStep(w *world, i int, choice int8) {
	a := &w.actors[i]
	s, lap := m.at(w, a.p)
	switch a.pc {
	case putLook:
		a.p = a.tail
		switch {
		case w.closed != 0:
			m.ended(a, i)
		case m.blocks > 0 && a.blk == 0:
			a.pc = putAlloc
		default:
			a.pc = putProbe
		}
	case putAlloc:
		k := w.freeBlock(m.leases, m.leases+m.blocks)
		if k < 0 {
			m.blocked(w, i, -1)
			return
		}
		a.blk, a.pc = m.claimBlock(w, i, k), putBlockHalf
	case putBlockHalf:
		w.blocks[a.blk-1].val, a.pc = torn, putBlockFull
	case putBlockFull:
		b := &w.blocks[a.blk-1]
		b.val, b.tries, b.died = m.number(w, i), 0, 0
		a.p, a.pc = a.tail, putProbe

	case putProbe:
		st := stateOf(s.word)
		switch d := lapsAhead(s.word, lap); {
		case d == 0 && st == free:
			a.v, a.pc = s.word, putClaim
			if m.leases > 0 {
				a.pc = putLeasing
			}
		case st == sealed && d <= 0:
			m.ended(a, i)
		case d < 0 && (st == writing || st == reading):
			m.blocked(w, i, actorOf(s.word))
		case d < 0:
			m.blocked(w, i, -1)
		default:
			a.p++
		}
	case putClaim:
		a.pc = putProbe
		if s.word != a.v {
			return
		}
		s.word = makeWord(lap&lapMask, m.self(i), writing)
		a.tail, a.pc = a.p+1, putHint
		if m.outstanding(w) > m.cap() {
			w.fail(beyond)
		}
	case putHint:
		if choice == 0 {
			w.tail = max(w.tail, a.p+1)
		}
		a.pc = putHalf
		if a.blk != 0 {
			a.pc = putPos
			if m.mut == positionLate {
				a.pc = putRefer
			}
		}
	case putHalf:
		s.val, a.pc = torn, putFull
	case putFull:
		s.val, s.block, s.tries = m.number(w, i), 0, 0
		a.pc = putCommit
	case putPos:
		w.blocks[a.blk-1].pos, a.pc = a.p, putRefer
	case putRefer:
		s.val, s.block, s.tries = 0, a.blk, 0
		a.pc = putCommit
	case putCommit:
		s.word = makeWord(lap&lapMask, 0, ready)
		w.committed |= bit(m.number(w, i))
		if w.eof {
			w.fail(late)
		}
		if m.mut == positionLate && a.blk != 0 {
			a.pc = putLatePos
			return
		}
		a.blk = 0
		m.signal(a, onNotEmpty, thenPut)
	case putLatePos:
		w.blocks[a.blk-1].pos, a.blk = a.p, 0
		m.signal(a, onNotEmpty, thenPut)
	case putDrop:
		w.blocks[a.blk-1].free()
		a.blk = 0
		m.signal(a, onNotFull, thenOver)
	}
}

// roomStep is a step of leasedFull.
func (m *model) roomStep(w *world, i int) {
	a := &w.actors[i]
	// room decides, if there is nothing to ask any more.
	room := func() {
		a.i, a.pc = a.best, putMoving
		if n := a.p - a.best + a.sum; int(n) < m.cap() {
			// There will be more of them only by further claims.
			a.limit, a.pc = a.p+int8(m.cap())-n, putClaim
		}
	}
	switch a.pc {
	case putLeasing:
		a.pc = putClaim
		if w.leasing != 0 && a.p >= a.limit {
			a.i, a.sum, a.pc = a.p-int8(m.cap()), 0, putSettle
			if m.mut == leasesBeforeHead {
				a.i, a.pc = 0, putCells
			}
		}
	case putSettle:
		if a.i != a.p {
			if s, lap := m.at(w, a.i); lapsAhead(s.word, lap) > 0 {
				a.i++
				return
			}
		}
		a.best, a.i, a.pc = a.i, 0, putCells
		if m.mut == leasesBeforeHead {
			room()
		}
	case putCells:
		a.sum += w.actors[m.producers+int(a.i)].cell
		if a.i++; int(a.i) == m.consumers() {
			a.i, a.pc = 0, putOrphans
		}
	case putOrphans:
		a.epoch = w.orphans
		if m.mut == leasesBeforeHead || m.mut == orphansUncapped {
			a.epoch = a.clean
		}
		switch {
		case a.epoch != a.clean:
			a.i, a.sum, a.bpos, a.pc = 0, 0, 0, putBlocks
		case m.mut == leasesBeforeHead:
			a.i, a.pc = a.p-int8(m.cap()), putSettle
		default:
			room()
		}
	case putBlocks:
		switch stateOf(w.blocks[a.i].word) {
		case bOrphan:
			a.sum, a.bpos = a.sum+1, 1
		case bLeased:
			a.sum++
		}
		if a.i++; int(a.i) == m.leases+m.blocks {
			if a.bpos == 0 {
				a.clean = a.epoch
			}
			room()
		}
	case putMoving:
		s, lap := m.at(w, a.i)
		d, st := lapsAhead(s.word, lap), stateOf(s.word)
		switch {
		case d > 0 || d == 0 && st == reading:
			a.got++
		case st != orphan:
			a.i = a.p - 1
		}
		if a.i++; a.i == a.p {
			by := -1
			if s, _ := m.at(w, a.best); int(a.p-a.best+a.sum-a.got) < m.cap() && stateOf(s.word) == reading {
				by = actorOf(s.word)
			}
			m.blocked(w, i, by)
		}
	}
}
