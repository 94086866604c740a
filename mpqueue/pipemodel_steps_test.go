package mpqueue

// The programs. Each case of act is one access to shared memory, and the code that it
// stands for is in connsend.go, connrecv.go, pipewait.go, pipeway.go, pipehold.go and,
// for the wakes, wait.go.

// moves calls f with every state that can follow w.
func (m *pipeModel) moves(w *pipeWorld, f func(kind moveKind, who int, n *pipeWorld)) {
	try := func(kind moveKind, who int, act func(n *pipeWorld)) {
		n := *w
		act(&n)
		f(kind, who, &n)
	}
	for i := range w.proc {
		p := &w.proc[i]
		if p.dead == 1 {
			try(step, -1, func(n *pipeWorld) { m.sweep(n, i) })
		}
		if p.dead != 0 || p.pc == atDone {
			continue
		}
		if w.kills < m.kills {
			try(kill, i, func(n *pipeWorld) { n.kill(i) })
		}
		if w.cancels < m.cancels && (p.asleep != 0 || p.pc == atLock || p.pc == atSleep) && p.cancelled == 0 {
			// The context of its call ends. A sleeper comes back by that, with or
			// without a wake.
			try(outside, i, func(n *pipeWorld) {
				n.cancels++
				n.proc[i].cancelled = 1
				if n.proc[i].asleep != 0 {
					n.wakeUp(i)
				}
			})
		}
		switch {
		case p.asleep != 0:
			try(backstop, i, func(n *pipeWorld) { n.wakeUp(i) })
		case p.pc == atLock && !m.free(w, pipeSide(i)) && p.cancelled == 0:
		case p.pc == atWakeOne:
			found := false
			for k := range w.proc {
				if w.sleepsOn(k, p.on) {
					found = true
					try(step, i, func(n *pipeWorld) {
						n.wakeUp(k)
						n.proc[i].pc = p.then
					})
				}
			}
			if !found {
				try(step, i, func(n *pipeWorld) { n.proc[i].pc = atWakeBack })
			}
		default:
			try(step, i, func(n *pipeWorld) { m.act(n, i) })
		}
	}
}

// free reports whether the lock of a side can be had.
func (m *pipeModel) free(w *pipeWorld, side int) bool {
	o := w.lock[side]
	return o == 0 || w.proc[o-1].dead != 0 && m.mutant != "the lock of the dead"
}

// wake makes p look whether to wake a sleeper of word, and go on at then.
func (p *pipeProc) wake(word uint8, then pipeStep) { p.on, p.then, p.pc = word, then, atWake }

// act is the next step of process i.
func (m *pipeModel) act(w *pipeWorld, i int) {
	p := &w.proc[i]
	side := pipeSide(i)
	mine := uint8(1 - side) // the word that it sleeps on
	sends := side == 0
	switch p.pc {
	case atTop:
		p.cancelled, p.seen, p.val, p.on, p.then = 0, 0, 0, 0, 0
		switch {
		case p.left == 0:
			p.pc = atDrop
		case sends:
			p.pc = atLock
		default:
			p.pc, p.then = atGone, atAnnounce
		}

	// A sender, or a receiver that has seen a message, takes its lock.
	case atLock:
		if !m.free(w, side) { // its context has ended: ErrBusy, or ErrFull
			p.pc = atReturn
			if sends {
				p.pc = atTop
			}
			break
		}
		w.lock[side], p.pc = uint8(i+1), atWrite
		if !sends {
			p.pc = atRead
		}
	case atRead:
		p.pos, p.pc = w.read, atWrite
	case atWrite:
		if sends {
			p.pos, p.pc, p.then = w.write, atGone, atRoomAt
			break
		}
		if p.pc = atCopy; w.write == p.pos {
			p.pc = atUnlockAgain
		}

	// The look whether a wait is over; then says what to do if it is not.
	case atGone:
		p.seen, p.pc = w.gone[1-side], atLook
		if sends && p.seen != 0 {
			p.closed, p.pc = 1, atUnlockFull // ErrClosedPipe
			if p.then == atSleep {
				p.pc = atRousedEnd
			}
		}
	case atLook:
		if sends {
			m.looked(p, sends, p.pos-w.read < m.capacity)
			break
		}
		p.saw, p.pc = w.write, atCompare
		if m.mutant == "EOF without a look" && p.seen != 0 {
			m.ended(w, p)
		}
	case atCompare:
		ready := w.read != p.saw
		if m.mutant == "who is gone is asked last" {
			p.seen = w.gone[1-side]
		}
		if p.saw = 0; !ready && p.seen != 0 {
			m.ended(w, p)
			break
		}
		m.looked(p, sends, ready)

	// Asleep, and awake again.
	case atRoomAt:
		w.roomAt, p.pc = int8(p.pos)+1-int8(m.capacity), atAnnounce
	case atAnnounce:
		if sends {
			w.word[mine] &^= pending
		}
		w.word[mine] |= waited
		p.val, p.then, p.pc = w.word[mine], atSleep, atGone
		if m.mutant == "looked at too late" {
			p.pc = atSleep
		}
	case atSleep:
		p.pc = atRoused
		if w.word[mine] == p.val && p.cancelled == 0 {
			p.pc, p.asleep = atSleeping, 1
		}
	case atRoused, atRousedGo, atRousedEnd:
		w.word[mine] &^= pending
		if sends {
			w.word[mine] &^= waited
		}
		if m.mutant == "waited cleared by any sleeper" {
			w.word[mine] &^= waited
		}
		how := p.pc
		p.val, p.then, p.seen = 0, 0, 0
		switch {
		case how == atRousedGo && sends:
			p.pc = atFill
		case how == atRousedGo:
			p.pc = atLock
		case how == atRousedEnd && sends:
			p.pc = atUnlockFull
		case how == atRousedEnd:
			p.pc = atDrop // the end of the stream
		case p.cancelled != 0 && sends:
			p.pc, p.then = atGone, atUnlockFull // the last look
		case p.cancelled != 0:
			p.pc, p.then = atGone, atRelay
		case sends:
			p.pc = atRoomAt
		default:
			p.pc = atAnnounce
		}

	// A message goes, or comes.
	case atFill:
		p.pc = atPublish
		if m.mutant == "published before it is written" {
			w.write, p.pc = p.pos+1, atPublish
			break
		}
		w.slot[p.pos%m.capacity] = p.pos + 1
	case atPublish:
		w.write = p.pos + 1
		if m.mutant == "published before it is written" {
			w.slot[p.pos%m.capacity] = p.pos + 1
		}
		p.wake(pipeNotEmpty, atUnlock)
		if m.mutant == "no wake" {
			p.pc = atUnlock
		}
	case atCopy:
		if w.slot[p.pos%m.capacity] != p.pos+1 {
			w.bad = pipeTorn
		}
		p.pc = atTake
		if m.mutant == "freed before it is copied" {
			w.read, p.took, p.pc = p.pos+1, p.pos+1, atTake
		}
	case atTake:
		if m.mutant == "freed before it is copied" && w.slot[p.pos%m.capacity] != p.pos+1 {
			w.bad = pipeTorn
		}
		w.read, p.took, p.pc = p.pos+1, p.pos+1, atRoomReached
		if w.word[pipeNotFull]&(waited|pending) != waited {
			p.pc = atUnlock
		}
	case atRoomReached:
		if p.pc = atUnlock; int8(w.read) >= w.roomAt {
			p.wake(pipeNotFull, atUnlock)
		}
	case atUnlock, atUnlockAgain, atUnlockFull:
		was := p.pc
		w.lock[side] = 0
		switch {
		case was == atUnlockFull && p.closed != 0:
			p.pc = atDrop
		case was == atUnlockFull:
			p.pos, p.pc = 0, atTop // and the call is made again
		case sends:
			w.committed |= 1 << p.pos // Send returns nil
			p.left--
			p.pos, p.pc = 0, atTop
		default:
			p.pos, p.pc = 0, atRelay
		}
	case atRelay:
		p.then = atReturn
		if p.pc = atReturn; w.word[pipeNotEmpty]&(waited|pending) == waited && w.write != w.read && m.mutant != "no relay" {
			p.wake(pipeNotEmpty, atReturn)
		}
	case atReturn:
		p.pc = atTop
		if p.took == 0 {
			break // nothing, or its context has ended
		}
		bit := uint8(1) << (p.took - 1)
		switch {
		case w.got&bit != 0:
			w.bad = pipeTwice
		case p.newest >= p.took:
			w.bad = pipeOrder
		}
		w.got |= bit
		p.newest, p.took = p.took, 0
		if p.left != 255 {
			p.left--
		}
	default:
		m.actWake(w, i, p)
	}
}

// looked is what follows a look at what is waited for.
func (m *pipeModel) looked(p *pipeProc, sends, ready bool) {
	switch {
	case !ready:
		p.pc = p.then
	case p.then == atSleep:
		p.pc = atRousedGo
	case sends:
		p.pc, p.then, p.val = atFill, 0, 0
	default:
		p.pc, p.then, p.val = atLock, 0, 0
	}
}

// ended is a receiver that reports the end of the stream.
func (m *pipeModel) ended(w *pipeWorld, p *pipeProc) {
	if w.read != w.write || w.held(0) {
		w.bad = pipeEarlyEOF
	}
	p.eof, p.pc = 1, atDrop
	if p.then == atSleep {
		p.pc = atRousedEnd
	}
}

// actWake is a wake, and what Close does.
func (m *pipeModel) actWake(w *pipeWorld, i int, p *pipeProc) {
	side := pipeSide(i)
	switch p.pc {
	case atWake:
		p.val, p.pc = w.word[p.on], p.then
		if p.val&(waited|pending) == waited {
			p.pc = atWakeCAS
		}
	case atWakeCAS:
		if w.word[p.on] != p.val {
			p.pc = atWake
			break
		}
		p.val = p.val + pipeSequence | pending
		w.word[p.on], p.pc = p.val, atWakeOne
	case atWakeBack:
		if p.pc = p.then; w.word[p.on] == p.val {
			w.signalled(p.on)
			p.pc = atWakeAll
		}
	case atWakeAll:
		w.wakeAll(p.on)
		p.pc = p.then
	case atDrop:
		if m.stay && p.eof == 0 && p.closed == 0 {
			p.pc = atDone
			break
		}
		p.val, p.then, p.open, p.pc = 0, 0, 0, atDeclare
	case atDeclare:
		if p.pc = atDeclareLook; w.gone[side] != 0 {
			p.pc = atDone
		}
	case atDeclareLook:
		if p.pc = atDeclareCAS; w.held(side) {
			p.pc = atDone
		}
	case atDeclareCAS:
		w.gone[side], p.pc, p.on = 1, atStir, 0
		if m.mutant == "no wake at the end" {
			p.pc = atDone
		}
	case atStir:
		w.signalled(p.on)
		p.pc = atStirAll
	case atStirAll:
		w.wakeAll(p.on)
		if p.on, p.pc = p.on+1, atStir; p.on == 2 {
			p.on, p.pc = 0, atDone
		}
	}
}
