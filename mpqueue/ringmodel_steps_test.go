package mpqueue

// The programs. Each case of act is one access to shared memory, and the code
// that it stands for is in ringrole.go, ringwait.go, ringstep.go, ringclose.go.

// moves calls f with every state that can follow w.
func (m *ringModel) moves(w *ringWorld, f func(kind moveKind, who int, n *ringWorld)) {
	try := func(kind moveKind, who int, act func(n *ringWorld)) {
		n := *w
		act(&n)
		f(kind, who, &n)
	}
	for i := range w.proc {
		p := &w.proc[i]
		if p.stores > 0 {
			try(step, i, func(n *ringWorld) { m.drainOne(n, i) })
		}
		if p.dead != 0 || p.pc == doDone {
			continue
		}
		if w.kills < m.kills {
			try(kill, i, func(n *ringWorld) { m.kill(n, i) })
		}
		switch {
		case p.asleep != 0:
			try(backstop, i, func(n *ringWorld) { n.awake(i) })
			if p.watch != 0 && w.proc[p.watch-1].dead != 0 {
				try(step, i, func(n *ringWorld) { n.awake(i) })
			}
		case p.pc == doClaim && !m.claimable(w, i):
		case p.pc == doTop && i == modelCloser:
			try(outside, i, func(n *ringWorld) { m.act(n, i) })
		default:
			try(step, i, func(n *ringWorld) { m.act(n, i) })
		}
	}
	for i := range w.proc[:modelCloser] {
		if w.proc[i].dead == 1 {
			try(step, -1, func(n *ringWorld) { // the sweep
				n.proc[i].dead = 2
				if v := n.role[sideOf(i)]; int(v&7) == i+1 {
					n.role[sideOf(i)] = v&7 | modelAbandoned
				}
				for word := range n.word {
					n.signalled(word)
					n.wakeUp(word)
				}
			})
		}
	}
}

func (w *ringWorld) awake(i int) {
	w.proc[i].asleep, w.proc[i].watch, w.proc[i].pc = 0, 0, doRouse
}

// signalled is the first half of signalAll.
func (w *ringWorld) signalled(word int) {
	w.word[word] = (w.word[word] + modelSequence) % 32 &^ (waited | pending)
}

// lost returns who had the other side's role and died, if process i does not know
// yet.
func (w *ringWorld) lost(i int) uint8 {
	if v := w.role[1-sideOf(i)]; v&modelAbandoned != 0 && v&7 != w.proc[i].told {
		return v & 7
	}
	return 0
}

func (m *ringModel) claimable(w *ringWorld, i int) bool {
	return i%2 == 0 || w.proc[i-1].dead != 0 // the successor comes when it is needed
}

// act is the next step of process i.
func (m *ringModel) act(w *ringWorld, i int) {
	p := &w.proc[i]
	side := sideOf(i)
	mine, other := 1-side, side // the words to sleep on, and to wake
	if i == modelCloser {
		m.close(w, p)
		return
	}
	switch p.pc {
	case doClaim:
		w.role[side] = uint8(i + 1)
		p.pc = doTakeWrite
	case doTakeWrite:
		p.val, p.pc = w.write, doTakeRead
	case doTakeRead:
		if p.val-w.read > m.capacity {
			w.bad = badCorrupt
		}
		p.next = w.read
		if side == 0 {
			p.next = p.val
		}
		if m.mutant == "take-over without the position" {
			p.next = 0
		}
		p.limit, p.pc = p.next, doTakeRouse
	case doTakeRouse:
		m.drain(w, i)
		w.word[mine] &^= waited | pending
		p.pc, p.then = doWake, doPlain // what its predecessor may not have got to
	case doPlain:
		p.then, p.val, p.pc = 0, 0, doTop
		if m.mutant != "plain is never said" {
			m.drain(w, i)
			w.role[side] |= modelPlain
		}

	// Asleep, and awake again.
	case doSetWaited:
		m.drain(w, i)
		w.word[mine] |= waited
		p.val, p.looked, p.pc = w.word[mine], 0, doFence
	case doFence:
		p.pc = doLost
		if w.role[1-side]&modelPlain != 0 && m.mutant != "no fence before sleep" {
			p.pc = doMembarrier
		}
	case doMembarrier, doEndMembarrier:
		for k := range w.proc {
			if w.proc[k].dead == 0 {
				m.drain(w, k)
			}
		}
		if p.pc == doMembarrier {
			p.pc = doLost
		} else {
			p.looked, p.pc = p.looked+1, doWrite
		}
	case doLost:
		if m.mutant != "who is lost is asked last" {
			p.lost = w.lost(i)
		}
		p.pc, p.then = doReady, doSleep
	case doSleep:
		if m.mutant == "who is lost is asked last" {
			p.lost = w.lost(i)
		}
		if p.lost != 0 {
			// Unless a successor has come meanwhile, that was all.
			if w.role[1-side] == p.lost|modelAbandoned && (side == 1 && w.write != p.next || side == 0 && p.next-w.read < m.capacity) {
				w.bad = badTold
			}
			p.told, p.lost, p.pc = p.lost, 0, doRouseGo
			break
		}
		p.pc = doRouse
		if w.word[mine] == p.val {
			p.pc, p.asleep = doAsleep, 1
			if v := w.role[1-side]; v&modelAbandoned == 0 {
				p.watch = v & 7
			}
		}
	case doRouse, doRouseGo:
		m.drain(w, i)
		w.word[mine] &^= waited | pending
		if p.pc == doRouse {
			p.pc = doSetWaited
		} else {
			p.pc = doTop
		}

	// A wake, in wake and signalSlow.
	case doWake:
		p.val, p.pc = w.word[other], p.then
		if p.val&(waited|pending) == waited {
			p.pc = doWakeCAS
		}
	case doWakeCAS:
		m.drain(w, i)
		if w.word[other] != p.val {
			p.pc = doWake
			break
		}
		p.val = (p.val+modelSequence)%32 | pending
		w.word[other], p.pc = p.val, doWakeOne
	case doWakeOne:
		if p.pc = doWakeBack; w.wakeUp(other) > 0 {
			p.pc = p.then
		}
	case doWakeBack:
		m.drain(w, i)
		if p.pc = p.then; w.word[other] == p.val {
			w.signalled(other)
			p.pc = doWakeAll
		}
	case doWakeAll:
		w.wakeUp(other)
		p.pc = p.then
	default:
		if side == 0 {
			m.produce(w, i, p)
		} else {
			m.consume(w, i, p)
		}
	}
}
