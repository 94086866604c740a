package mpqueue

// The programs. The code that they stand for is in connsend.go, connrecv.go,
// pipewait.go and pipeturn.go.

// waits is what follows a look of process p that did not find what it looks for: it
// says that it is about to sleep, and looks again; then it sleeps.
func (p *partsProc) waits(on uint8, look partsStep) {
	p.on, p.then, p.pc = on, look, inAnnounce
	if p.armed != 0 {
		p.pc = inSleep
	}
}

// wake makes p wake who sleeps on a word, and go on at then.
func (p *partsProc) wake(on uint8, then partsStep) { p.on, p.then, p.armed, p.pc = on, then, 0, inWake }

// goes makes p go on, having found what it looked for.
func (p *partsProc) goes(to partsStep) { p.on, p.then, p.armed, p.pc = 0, 0, 0, to }

// act is the next step of process i.
func (m *partsModel) act(w *partsWorld, i int) {
	p := &w.proc[i]
	switch p.pc {
	case inLock:
		w.lock[i/2] = uint8(i + 1)
		p.goes(inRead)
	case inAnnounce:
		w.word[p.on] = waited
		p.armed, p.pc = 1, p.then
	case inSleep:
		if p.armed != 0 && p.cancelled == 0 {
			p.asleep = p.on + 1
		} else {
			p.goes(p.then)
		}
	default:
		if i < 2 {
			m.send(w, i, p)
		} else {
			m.receive(w, i, p)
		}
	}
}

func (m *partsModel) send(w *partsWorld, i int, p *partsProc) {
	switch p.pc {
	case inTop:
		*p = partsProc{left: p.left, id: uint8(2*i) + m.messages - p.left, pc: inLock}
		if p.left > 0 {
			break
		}
		if p.pc = inDone; !w.held() { // the end is gone, and everybody is told
			w.gone = 1
			for on := range w.word {
				w.wakeAll(uint8(on))
			}
		}
	case inRead:
		p.pos, p.pc = w.write, inRoom
	case inRoom:
		room := uint8(2) // for the part, and for the one that says that we gave up
		if m.mutant == "no room to give up" {
			room = 1
		}
		switch {
		case p.cancelled != 0 && p.sent > 0:
			p.goes(inCut)
		case p.cancelled != 0:
			p.goes(inUnlock)
		case m.free(w, p.pos) < room:
			p.waits(partsFull, inRoom)
		default:
			p.goes(inPart)
		}
	case inPart:
		m.publish(w, p, sentPart{id: p.id, index: p.sent, first: whether(p.sent == 0), last: whether(p.sent == m.parts-1)})
		p.sent++
	case inCut:
		m.publish(w, p, sentPart{id: p.id, index: p.sent, last: 1, cut: 1})
		p.sent = m.parts + 1
	case inSent:
		p.wake(partsMore, inRoom)
		if p.sent >= m.parts {
			p.then = inUnlock
		}
	case inUnlock:
		w.lock[0] = 0
		if p.sent == m.parts {
			w.committed |= 1 << p.id
		}
		if p.pc = inTop; p.sent > 0 {
			p.left--
		}
	}
}

func whether(is bool) uint8 {
	if is {
		return 1
	}
	return 0
}

func (m *partsModel) publish(w *partsWorld, p *partsProc, s sentPart) {
	if m.free(w, p.pos) == 0 {
		w.bad = partsNoRoom
	}
	w.slot[p.pos%m.capacity] = s
	p.pos++
	w.write = p.pos
	p.wake(partsEmpty, inSent)
}

func (m *partsModel) receive(w *partsWorld, i int, p *partsProc) {
	self := uint8(i + 1)
	// The turn of a dead one is nobody's.
	others := w.turn != 0 && w.turn != self && (w.proc[max(w.turn, 1)-1].dead == 0 || m.mutant == "the turn of the dead")
	next := w.slot[w.read%m.capacity]
	switch p.pc {
	case inTop:
		*p = partsProc{half: p.half, has: p.has, id: p.id, pc: inGone}
		if w.turn != 0 {
			p.pc = inTurn
		}
	case inGone:
		p.seen, p.pc = w.gone, inData
	case inData:
		switch {
		case w.write != w.read:
			p.goes(inTurn)
		case p.seen != 0:
			p.goes(inDone)
		case p.cancelled != 0:
			p.goes(inRelay)
		default:
			p.waits(partsEmpty, inGone)
		}
		p.seen = 0
	case inTurn:
		switch {
		case !others:
			p.goes(inLock)
		case p.cancelled != 0:
			p.goes(inRelay)
		default:
			p.waits(partsTurn, inTurn)
		}

	// Under the lock.
	case inRead:
		switch {
		case others:
			p.pc = inUnlock
		case w.turn == self && p.half != 0:
			p.half, p.pc = 0, inMore
		default:
			had := w.turn
			p.half, p.has, p.id, w.turn = 0, 0, 0, 0
			if p.pc = inFirst; had != 0 {
				p.wake(partsTurn, inFirst)
			}
		}
	case inFirst:
		switch {
		case w.write == w.read:
			p.pc = inUnlock
		case next.first == 0 && m.mutant != "the rest is taken for a message":
			if w.committed&^(w.got|w.spoilt)&(1<<next.id) != 0 {
				w.bad = partsMixed
			}
			w.read++
			p.wake(partsFull, inFirst)
		default:
			w.turn, p.id, p.pc = self, next.id, inMore
		}
	case inMore:
		p.seen = whether(w.gone != 0 || w.proc[p.id/2].dead != 0)
		if m.mutant == "who is gone is asked last" {
			p.seen = 2 * whether(w.write == w.read)
		}
		p.pc = inRest
	case inRest:
		if p.seen == 2 && (w.gone != 0 || w.proc[p.id/2].dead != 0) {
			m.cutOff(w, p)
			break
		}
		switch {
		case p.cancelled != 0:
			p.half = 1
			p.goes(inUnlock)
		case w.write != w.read:
			p.goes(inTake)
		case p.seen == 1:
			m.cutOff(w, p)
		default:
			p.waits(partsMore, inMore)
		}
		p.seen = 0
	case inTake:
		switch {
		case next.cut != 0:
			m.cutOff(w, p)
			p.then = inSkip
		case next.first != 0 && p.has > 0:
			m.cutOff(w, p)
		default:
			if next.id != p.id || next.index != p.has {
				w.bad = partsMixed
			}
			p.has++
			w.read++
			p.wake(partsFull, inMore)
			if next.last != 0 {
				p.then = inEnd
			}
		}
	case inSkip:
		w.read++
		p.wake(partsFull, inUnlock)
	case inEnd:
		w.turn = 0
		p.wake(partsTurn, inUnlock)
		if m.mutant == "the end of a turn wakes nobody" {
			p.goes(inUnlock)
		}
	case inUnlock:
		w.lock[1] = 0
		if p.has == m.parts {
			if w.got&(1<<p.id) != 0 {
				w.bad = partsTwice
			}
			w.got |= 1 << p.id
		}
		if p.half == 0 {
			p.has, p.id = 0, 0
		}
		p.goes(inRelay)
	case inRelay:
		p.goes(inTop)
		if w.word[partsEmpty]&waited != 0 && w.write != w.read {
			p.wake(partsEmpty, inTop)
		}
	}
}

// cutOff is a receiver that finds that its message will never be whole.
func (m *partsModel) cutOff(w *partsWorld, p *partsProc) {
	if w.committed&(1<<p.id) != 0 || p.has == m.parts {
		w.bad = partsFalseCut
	}
	w.turn, p.has, p.seen = 0, 0, 0
	p.wake(partsTurn, inUnlock)
}
