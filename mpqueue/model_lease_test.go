package mpqueue

// leaseStep is a step of lease or unlease, by actor i, which has claimed a slot
// or an orphan block, or holds an item.
func (m *model) leaseStep(w *world, i int, choice int8) {
	a := &w.actors[i]
	var s *wSlot
	if a.p >= 0 {
		s, _ = m.at(w, a.p)
	}
	switch a.pc {
	case leaseHalf:
		a.got, a.pc = s.val, leaseFull
	case leaseFull:
		m.read(w, a.got, s.val)
		b := &w.blocks[a.spare-1]
		b.val, b.tries, b.died = s.val, s.tries, 0
		a.pc = leasePos
	case leasePos:
		w.blocks[a.spare-1].pos, a.pc = a.p, leaseWord
	case leaseWord:
		b := &w.blocks[a.spare-1]
		b.word = makeWord(lapOf(b.word), m.self(i), bLeased)
		a.blk, a.spare, a.pc = a.spare, 0, leaseCount
	case leaseOwn:
		b := &w.blocks[a.blk-1]
		if stateOf(b.word) != bOwned {
			w.fail(strangeBlock)
		}
		b.word = makeWord(lapOf(b.word), m.self(i), bLeased)
		a.pc = leaseCount
	case leaseCount:
		if b := &w.blocks[a.blk-1]; s.block == a.blk {
			b.tries, b.died = s.tries, 0 // after its word: until its slot is free the slot's count is what matters
		}
		if m.mut == leaseCountedLate {
			a.pc = leaseRelease
			return
		}
		a.cell++
		a.pc = leaseRelease
	case leaseRelease:
		m.deliver(w, a, w.blocks[a.blk-1].val)
		w.counted(w.blocks[a.blk-1].val, w.blocks[a.blk-1].tries)
		s.word = makeWord(lapOf(s.word)+1, 0, free)
		if m.mut == leaseCountedLate {
			a.pc = leaseLateCount
			return
		}
		m.freed(a, thenHold)
	case leaseLateCount:
		a.cell++
		m.freed(a, thenHold)

	case holding:
		a.pc = doneFree
		if choice == 1 {
			a.pc = requeueMark
			w.requeues--
		}
		m.leaseStep(w, i, 0) // which of the two is no access
	case doneFree:
		b := &w.blocks[a.blk-1]
		w.settled |= bit(b.val)
		b.free()
		a.blk, a.pc = 0, doneUncount
	case doneUncount:
		a.cell--
		m.freed(a, thenNext)
	case requeueMark:
		b := &w.blocks[a.blk-1]
		b.word = makeWord(lapOf(b.word), 0, bOrphan)
		w.allowed[b.val-1]++
		a.blk, a.pc = 0, requeueCount
	case requeueCount:
		w.orphans++
		a.pc = requeueUncount
	case requeueUncount:
		a.cell--
		m.signal(a, onNotEmpty, thenNext)
	}
}
