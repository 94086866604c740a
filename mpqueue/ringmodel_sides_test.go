package mpqueue

// What a producer, a consumer and the closer do but for waiting; see act.

func (m *ringModel) produce(w *ringWorld, i int, p *ringProc) {
	switch p.pc {
	case doTop:
		if p.left == 0 {
			p.pc = doDone
		} else if p.pc, p.then = doReady, doSetWaited; p.next != p.limit {
			p.pc = doReadyAgain // the quick path looks at closed only
		}
	case doReadyAgain, doReady:
		switch quick := p.pc == doReadyAgain; {
		case w.closed != 0:
			p.pc = doDone // ErrClosed
			w.word[modelNotFull] &^= waited | pending
		case quick:
			p.pc = doFill
		default:
			p.pc = doReadRead
		}
	case doReadRead:
		p.limit = w.read + m.capacity
		switch {
		case p.limit == p.next:
			p.pc = p.then
		case p.then == doSleep:
			p.lost, p.pc = 0, doRouseGo
		default:
			p.pc = doTop
		}
	case doFill:
		p.left--
		m.store(w, i, storeSlot, p.next<<1|uint8(i))
		p.pc = doPublish
		if m.mutant == "published before it is filled" {
			p.stores--
			p.buf[p.stores] = 0
			m.store(w, i, storeWrite, p.next+1)
			m.store(w, i, storeSlot, p.next<<1|uint8(i))
			p.next++
			p.pc = doLookClosed
		}
	case doPublish:
		m.store(w, i, storeWrite, p.next+1)
		p.next++
		p.pc = doLookClosed
	case doLookClosed:
		if p.pc = doLookWaited; w.closed != 0 {
			p.pc = doState
		}
	case doLookWaited:
		if w.word[modelNotEmpty]&waited == 0 {
			m.putDone(w, p)
			break
		}
		p.pc = doState
	case doState:
		p.seen, p.pc, p.then = w.closed, doWake, doSettle
	case doSettle:
		switch {
		case p.seen == 0:
			m.putDone(w, p)
		default:
			m.drain(w, i)
			if w.end == 0 {
				w.end = p.next + 1
				m.putDone(w, p)
				break
			}
			p.pc = doSettleEnd
		}
	case doSettleEnd:
		if w.end != p.next {
			m.putDone(w, p)
			break
		}
		p.pc = doRollBack
		if m.mutant == "a put that was too late says nil" {
			m.putDone(w, p)
		}
	case doRollBack:
		m.drain(w, i)
		p.next--
		w.write = p.next
		w.refused |= 1 << p.next
		p.pc = doDone
	}
}

// putDone is a Put that returns nil.
func (m *ringModel) putDone(w *ringWorld, p *ringProc) {
	w.committed |= 1 << (p.next - 1)
	p.seen, p.val, p.then, p.pc = 0, 0, 0, doTop
}

func (m *ringModel) consume(w *ringWorld, i int, p *ringProc) {
	switch p.pc {
	case doTop:
		if p.pc, p.then = doReady, doSetWaited; p.next != p.limit {
			p.pc = doCopy
		}
	case doReady:
		p.looked, p.pc = 0, doWrite
		p.seen = w.closed
	case doWrite:
		if w.write-p.next > m.capacity {
			w.bad = badCorrupt
		}
		p.limit, p.pc = w.write, doClosed
	case doClosed:
		if w.closed != 0 {
			p.pc = doEnd
			break
		}
		m.looked(p)
	case doEnd:
		if w.end != 0 && m.mutant != "no look at the end" {
			p.limit = min(p.limit, max(w.end-1, p.next))
		}
		m.looked(p)
	case doUndecided:
		if p.pc = doEndFence; w.end != 0 {
			p.looked, p.pc = 2, doWrite
		}
	case doEndFence:
		if m.mutant == "the end decided at once" {
			p.pc = doDecide
			break
		}
		p.pc = doEndMembarrier
		if w.role[0]&modelPlain == 0 || m.mutant == "no fence before the end" {
			p.looked, p.pc = 1, doWrite
		}
	case doDecide:
		m.drain(w, i)
		if w.end == 0 {
			w.end = p.limit + 1
		}
		p.looked, p.pc = 2, doWrite
	case doEnded:
		p.pc = p.then
		if w.end == p.limit+1 {
			p.pc, p.eof = doDone, 1
			w.word[modelNotEmpty] &^= waited | pending
		}
	case doCopy:
		if w.slot[p.next%m.capacity]>>1 != p.next {
			w.bad = badSlot
		}
		p.pc = doTake
	case doTake:
		m.store(w, i, storeRead, p.next+1)
		p.next++
		p.pc = doLookWaited
	case doLookWaited:
		if p.pc = doGot; w.word[modelNotFull]&waited != 0 {
			p.pc, p.then = doWake, doGot
		}
	case doGot:
		bit := uint8(1) << (p.next - 1)
		switch {
		case w.got&bit != 0:
			w.bad = badTwice
		case w.got >= bit:
			w.bad = badOrder
		}
		w.got |= bit
		p.val, p.then, p.seen, p.looked, p.pc = 0, 0, 0, 0, doTop
	}
}

// looked is what follows the consumer's look at the write position.
func (m *ringModel) looked(p *ringProc) {
	switch {
	case p.limit != p.next:
		if p.pc = doTop; p.then == doSleep {
			p.pc = doRouseGo
		}
		p.lost = 0
	case p.looked == 2:
		p.pc = doEnded
	case p.seen == 0: // not closed when the look began
		p.pc = p.then
	case p.looked == 1:
		p.pc = doDecide
	default:
		p.pc = doUndecided
	}
}

func (m *ringModel) close(w *ringWorld, p *ringProc) {
	switch p.pc {
	case doTop:
		w.closed, p.pc = 1, doSignal
	case doSignal:
		w.signalled(int(p.val))
		p.pc = doWakeAll
		if m.coarse {
			w.wakeUp(0)
			w.signalled(1)
			p.val = 1
		}
	case doWakeAll:
		w.wakeUp(int(p.val))
		if p.val, p.pc = p.val+1, doSignal; p.val == 2 {
			p.pc = doDone
		}
	}
}
