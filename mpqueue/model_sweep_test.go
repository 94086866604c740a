package mpqueue

// sweepStep is a step of the sweep of actor i, which is dead. Words that do not
// name it are passed over in no time: no living process writes its name.
func (m *model) sweepStep(w *world, i int) {
	a := &w.actors[i]
	o := m.self(i)
	var b *wBlock
	if int(a.i) < len(w.blocks) {
		b = &w.blocks[a.i]
	}
	home := func() (*wSlot, bool) {
		s, lap := m.at(w, b.pos)
		return s, lapsAhead(s.word, lap) == 0
	}
	// swap is the CAS that ends the work on a block.
	swap := func(next uint64, then pc) {
		if b.word == a.v {
			b.word = next
		}
		a.i++
		a.v, a.best, a.pc = 0, 0, then
	}
	switch a.pc {
	case atSweep:
		if m.mut == orphanCountFirst && a.i == 0 {
			w.orphans++
		}
		if m.mut == sweepSlotsFirst && a.sum == 0 {
			m.sweepAllSlots(w, i)
		}
		for ; int(a.i) < m.leases+m.blocks; a.i++ {
			if word := w.blocks[a.i].word; wordOwner(word) == o && (stateOf(word) == bTaken || stateOf(word) == bLeased) {
				a.v, a.pc = word, sweepHeldHome
				return
			}
		}
		a.i, a.pc = 0, sweepSlots
	case sweepHeldHome:
		s, same := home()
		// best: 0 the slot has moved on, 1 it is still being read, 2 and refers to the block
		a.best, a.pc = 0, sweepHeldWord
		switch {
		case same && stateOf(s.word) == reading && wordOwner(s.word) == o:
			a.best, a.pc = 1, sweepHeldRefers
		case stateOf(a.v) == bLeased:
			a.pc = sweepHeldDied
		}
	case sweepHeldRefers:
		if s, _ := home(); s.block == a.i+1 {
			a.best = 2
		} else {
			a.best = 1
		}
		a.pc = sweepHeldWord
	case sweepHeldDied:
		if m.mut != deathUnmarked {
			b.died = 1 // not counted: another sweeper may come to this again
		}
		a.pc = sweepHeldWord
	case sweepHeldWord:
		switch {
		case a.best == 2:
			swap(makeWord(lapOf(a.v), 0, bOwned), atSweep)
		case a.best == 1 || stateOf(a.v) == bTaken:
			swap(makeWord(lapOf(a.v), 0, bFree), atSweep)
		default:
			swap(makeWord(lapOf(a.v), 0, bOrphan), atSweep)
		}
	case sweepSlots:
		for ; int(a.i) < m.cap(); a.i++ {
			if s := &w.slots[a.i]; wordOwner(s.word) == o {
				if m.mut == sweepCounts && a.best == 0 && stateOf(s.word) == reading {
					s.tries, a.best = s.tries+1, 1
					return
				}
				sweepWordOf(s)
				a.best = 0
				return
			}
		}
		a.i, a.pc = 0, sweepOwned

	case sweepOwned:
		for ; int(a.i) < m.leases+m.blocks; a.i++ {
			if word := w.blocks[a.i].word; wordOwner(word) == o && stateOf(word) == bOwned {
				a.v, a.pc = word, sweepOwnedHome
				return
			}
		}
		a.i, a.pc = 0, sweepCount
	case sweepOwnedHome:
		s, same := home()
		st := stateOf(s.word)
		a.best, a.pc = 0, sweepOwnedWord
		if same && (st == ready || st == orphan || st == reading) {
			a.pc = sweepOwnedRefers
		}
	case sweepOwnedRefers:
		if s, _ := home(); s.block == a.i+1 {
			a.best = 2
		}
		a.pc = sweepOwnedWord
	case sweepOwnedWord:
		if a.best == 2 {
			swap(makeWord(lapOf(a.v), 0, bOwned), sweepOwned)
			return
		}
		swap(makeWord(lapOf(a.v), 0, bFree), sweepOwned)

	case sweepCount:
		if m.mut != orphanUncounted && m.mut != orphanCountFirst {
			w.orphans++
		}
		a.pc = sweepCell
	case sweepCell:
		a.cell, a.pc = 0, sweepClearEmpty
		if !m.sleeps {
			*a = actor{life: swept, pc: atOver}
		}
	case sweepClearEmpty:
		w.change(onNotEmpty, 0)
		a.pc = sweepWakeEmpty
	case sweepWakeEmpty:
		w.wake(onNotEmpty, len(w.actors))
		a.pc = sweepClearFull
	case sweepClearFull:
		w.change(onNotFull, 0)
		a.pc = sweepWakeFull
	case sweepWakeFull:
		w.wake(onNotFull, len(w.actors))
		*a = actor{life: swept, pc: atOver}
	}
}

func sweepWordOf(s *wSlot) {
	switch stateOf(s.word) {
	case writing:
		s.word = makeWord(lapOf(s.word)+1, 0, free)
	case reading:
		s.word = makeWord(lapOf(s.word), 0, orphan)
	}
}

// sweepAllSlots is the second phase in one step, for a mutant.
func (m *model) sweepAllSlots(w *world, i int) {
	for k := range m.cap() {
		if s := &w.slots[k]; wordOwner(s.word) == m.self(i) {
			sweepWordOf(s)
		}
	}
}
