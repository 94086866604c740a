package mpqueue

// This file has the steps of wait.go.

func (m *model) side(i int) int8 {
	if m.producer(i) {
		return onNotFull
	}
	return onNotEmpty
}

func (w *wWord) push(i int) {
	for k := range w.asleep {
		if w.asleep[k] == 0 {
			w.asleep[k] = int8(i + 1)
			return
		}
	}
	panic("more sleepers than actors")
}

func (w *wWord) remove(i int) {
	k := 0
	for n := range w.asleep {
		if w.asleep[n] != int8(i+1) {
			w.asleep[k] = w.asleep[n]
			k++
		}
	}
	for ; k < len(w.asleep); k++ {
		w.asleep[k] = 0
	}
}

// wake wakes up to n sleepers, first come first.
func (w *world) wake(on int8, n int) (woken int) {
	q := &w.words[on]
	for ; woken < n && q.asleep[0] != 0; woken++ {
		i := int(q.asleep[0]) - 1
		q.remove(i)
		w.actors[i].pc = atAwake
	}
	return woken
}

// change gives a word a new value.
func (w *world) change(on int8, bits uint8) {
	w.words[on].bits = bits
	for i := range w.actors {
		if w.actors[i].on == on {
			w.actors[i].same = false
		}
	}
}

// signal is the call of signal, then ret.
func (m *model) signal(a *actor, on int8, ret pc) {
	a.ret = ret
	a.pc = ret
	if m.sleeps {
		a.on, a.same, a.pc = on, false, sigLook
	}
}

// freed is the call of freed, then ret.
func (m *model) freed(a *actor, ret pc) {
	a.then = ret
	m.signal(a, onNotFull, freedClosed)
}

// blocked is a try that came to nothing. by is the actor whose unfinished
// operation is in the way, or -1.
func (m *model) blocked(w *world, i, by int) {
	a := &w.actors[i]
	if a.spare != 0 {
		a.sum, a.pc = int8(by), getDropLease
		return
	}
	switch {
	case !m.sleeps:
		a.pc = m.beginning(a, i)
	case a.leaving:
		m.more(a, i, thenOver)
	case a.armed && (by < 0 || w.actors[by].life == alive):
		a.pc, a.armed = waitSleep, false
	default:
		a.pc, a.armed, a.led = waitSet, false, true
	}
}

// done is a try that came to something, or the end: it passes the baton on if it
// has waited.
func (m *model) done(a *actor, i int, ret pc) {
	if !a.led {
		a.pc = ret
		return
	}
	a.led, a.armed = false, false
	if m.mut == batonKept {
		a.pc = ret
		return
	}
	m.more(a, i, ret)
}

func (m *model) more(a *actor, i int, ret pc) {
	a.armed, a.on, a.same, a.ret = false, 0, false, ret
	a.pc = moreHead
	if m.producer(i) {
		a.pc = morePut
	}
}

// waitStep is a step of await, readable, writable, signal or signalAll.
func (m *model) waitStep(w *world, i int) {
	a := &w.actors[i]
	switch a.pc {
	case waitSet:
		on := m.side(i)
		if w.words[on].bits&waited == 0 {
			w.change(on, w.words[on].bits|waited)
		}
		a.on, a.same, a.armed = on, true, true
		a.pc = m.beginning(a, i)
	case waitSleep:
		a.pc = atAwake
		if a.same {
			a.pc = atAsleep
			w.words[a.on].push(i)
		}
	case atAwake:
		on := m.side(i)
		if b := w.words[on].bits; b&pending != 0 && m.mut != pendingKept {
			w.change(on, b&^pending)
		}
		a.pc = waitSet
		if a.leaving {
			a.pc = m.beginning(a, i)
		}

	case moreHead:
		a.p, a.pc = w.head, moreSettle
	case moreSettle:
		if s, lap := m.at(w, a.p); lapsAhead(s.word, lap) > 0 {
			a.p++
			return
		}
		w.head = max(w.head, a.p)
		a.i, a.pc = 0, moreScan
	case moreScan:
		s, lap := m.at(w, a.p+a.i)
		st := stateOf(s.word)
		if !(lapsAhead(s.word, lap) <= 0 && st != reading) && int(a.i) < m.cap()-1 {
			a.i++
			return
		}
		if st == ready || st == orphan || st == sealed {
			m.signal(a, onNotEmpty, a.ret)
			return
		}
		a.pc = moreOrphans
	case moreOrphans:
		if w.orphans != a.seen {
			m.signal(a, onNotEmpty, a.ret)
			return
		}
		a.pc = a.ret
	case morePut:
		if s, lap := m.at(w, a.tail); lapsAhead(s.word, lap) >= 0 {
			m.signal(a, onNotFull, a.ret)
			return
		}
		a.pc = a.ret

	case sigLook:
		a.pc = a.ret
		if w.words[a.on].bits&(waited|pending) == waited {
			a.same, a.pc = true, sigClaim
		}
	case sigClaim:
		if !a.same {
			a.pc = sigLook
			return
		}
		bits := w.words[a.on].bits | pending
		if m.mut == waitedDropped {
			bits = pending
		}
		w.change(a.on, bits)
		a.same, a.pc = true, sigWake
	case sigWake:
		a.pc = a.ret
		if w.wake(a.on, 1) == 0 {
			a.pc = sigUndo
		}
	case sigUndo:
		a.pc = a.ret
		if a.same {
			w.change(a.on, 0)
			a.pc = sigWakeAll
		}
	case sigWakeAll:
		w.wake(a.on, len(w.actors))
		a.pc = a.ret
	case freedClosed:
		a.pc = a.then
		if w.closed != 0 && m.mut != endWithoutWake {
			m.signal(a, onNotEmpty, a.then)
		}
	}
}

// mayClose reports whether it may be time for CloseSend: when the producers are
// done, or there are no consumers any more.
func (m *model) mayClose(w *world) bool {
	var producing, consuming bool
	for i := range m.count() {
		if a := &w.actors[i]; a.life == alive && a.pc != atOver {
			producing = producing || m.producer(i)
			consuming = consuming || !m.producer(i)
		}
	}
	return !m.closeLast || !producing || !consuming
}

// closeStep is a step of CloseSend. Who closes is none of the actors.
func (m *model) closeStep(w *world) {
	switch w.closer {
	case atNothing:
		w.closed, w.closer = 1, closeClearEmpty
		if !m.sleeps {
			w.closer = atOver
		}
	case closeClearEmpty:
		w.change(onNotEmpty, 0)
		w.closer = closeWakeEmpty
	case closeWakeEmpty:
		w.wake(onNotEmpty, len(w.actors))
		w.closer = closeClearFull
	case closeClearFull:
		w.change(onNotFull, 0)
		w.closer = closeWakeFull
	case closeWakeFull:
		w.wake(onNotFull, len(w.actors))
		w.closer = atOver
	}
}

// idle reports whether everybody who sleeps has nothing to do until CloseSend.
func (m *model) idle(w *world) bool {
	if w.closer != 0 {
		return false
	}
	waiting := m.outstanding(w)
	deliverable := false
	for k := range m.cap() {
		st := stateOf(w.slots[k].word)
		deliverable = deliverable || st == ready || st == orphan
	}
	for k := range w.blocks {
		deliverable = deliverable || stateOf(w.blocks[k].word) == bOrphan
	}
	for i := range m.count() {
		a := &w.actors[i]
		switch {
		case a.life != alive || a.pc == atOver:
		case m.producer(i):
			if waiting < m.cap() && (m.blocks == 0 || a.blk != 0 || w.freeBlock(m.leases, m.leases+m.blocks) >= 0) {
				return false
			}
		case deliverable:
			return false
		}
	}
	return true
}
