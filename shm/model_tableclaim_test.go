package shm

// The functions of the real code, step by step; see model_tablesteps_test.go. Each
// case of a switch is one access to shared memory or one operation on a byte lock.

// scan begins a round of claim.
func (s stepper) scan() { s.a.pc, s.a.i, s.a.cand, s.a.busy = claimScan, 1, 0, 0 }

// tryNext goes on to the next candidate, or ends the round.
func (s stepper) tryNext() {
	a := s.a
	a.i, a.st = 0, cell{}
	if s.mut == refusesEarly {
		a.busy = 0
	}
	switch {
	case a.cand != 0:
		a.pc = claimPick
	case !a.visited:
		a.pc = visitElect
	case a.busy != 0:
		a.visited, a.pc = false, nap
	default:
		if all := uint8(1)<<(s.places+1) - 2; (a.saw != all || s.i == heir) && !s.lacks(s.i) {
			s.fault = refusedRoom
		}
		*a = actor{pc: over}
	}
}

// rouse reports whether who naps would find something new: it looks again every
// millisecond, which changes nothing before.
func (w *tableWorld) rouse(busy uint8) bool {
	for k := uint8(0); k <= w.places; k++ {
		free := w.byteLock[k] == 0 || w.status[k].state != slotFree
		if busy>>k&1 != 0 && w.sweepLock[k] == 0 && (k == 0 || free) {
			return true
		}
	}
	return false
}

// pick tries to lock the byte of candidate k.
func (s stepper) pick(k uint8) {
	a := s.a
	a.cand &^= 1 << k
	a.i = k
	if s.mut == claimsFirst || s.tryLock(&s.byteLock[k], s.i) {
		a.pc = claimLook
	} else {
		a.busy |= 1 << k
		s.tryNext()
	}
}

// attach is claim, claimSlot and settle.
func (s stepper) attach() {
	a := s.a
	switch a.pc {
	case claimScan:
		if s.status[a.i].state == slotFree {
			a.cand |= 1 << a.i
		}
		if a.i++; a.i > s.places {
			s.tryNext()
		}
	case claimLook:
		a.st, a.pc = s.status[a.i], claimHigh
		if s.mut == highLate {
			a.pc = claimCAS
		}
	case claimHigh:
		s.high, a.pc = max(s.high, a.i), claimCAS
		if a.st.state != slotFree {
			a.pc = claimUnlock
		}
	case claimCAS:
		new := cell{a.st.inc + 1, slotClaiming}
		if new.inc > 15 {
			panic("more claims than a tok can count")
		}
		if s.mut == sameInc {
			new.inc--
		}
		if a.st.state != slotFree || !s.casStatus(a.i, a.st, new) {
			a.pc = claimUnlock
			return
		}
		a.me, a.self, a.pc = a.i, tokOf(a.i, new.inc), settlePID
		a.i, a.cand, a.busy, a.st, a.saw, a.visited = 0, 0, 0, cell{}, 0, false
		switch s.mut {
		case claimsFirst:
			a.pc = claimLateLock
		case highLate:
			a.pc = claimLateHigh
		}
	case claimLateLock:
		if s.tryLock(&s.byteLock[a.me], s.i) {
			a.pc = settlePID
		}
	case claimLateHigh:
		s.high, a.pc = max(s.high, a.me), settlePID
	case claimUnlock:
		s.unlock(&s.byteLock[a.i], s.i)
		s.tryNext()
	case settlePID:
		s.pid[a.me], a.pc = int8(s.i+1), settleLive
	case settleLive:
		if !s.casStatus(a.me, cell{a.self.inc(), slotClaiming}, cell{a.self.inc(), slotLive}) {
			s.fault = deadClaim
		}
		s.beginSweep()
	}
}

// visit is the function of that name. The name of the process is its token in
// slot 0 for the time.
func (s stepper) visit() {
	a := s.a
	switch a.pc {
	case visitElect:
		if s.tryLock(&s.sweepLock[0], s.i) {
			a.pc = visitLock
		} else {
			a.busy, a.pc = a.busy|1, nap
		}
	case visitLock:
		a.pc = visitLook
		if s.mut != visitsUnlocked && !s.tryLock(&s.byteLock[0], s.i) {
			a.pc = visitYield
		}
	case visitYield:
		s.unlock(&s.sweepLock[0], s.i)
		a.busy, a.pc = a.busy|1, nap
	case visitLook:
		a.st, a.pc = s.status[0], visitCAS
		if a.st.state == slotFree {
			a.pc = visitOwes
		}
	case visitOwes:
		s.owed, a.pc = a.st.inc+1, visitCAS
	case visitCAS:
		if !s.casStatus(0, a.st, cell{a.st.inc + 1, slotClaiming}) {
			a.pc = visitLook
			return
		}
		a.visiting, a.self = true, tokOf(0, a.st.inc+1)
		a.last, a.pc = a.st.inc, visitOwed
		if a.st.state == slotFree || s.mut == forgetsVisitor {
			a.last = 0
			s.sweepFrom(1)
		}
		if s.mut == nameless {
			a.self = 0
		}
		a.st = cell{}
	case visitOwed:
		s.hookFrom(tokOf(0, s.owed), visitOwed)
	case visitPaid:
		s.owed = s.status[0].inc
		a.last = 0
		s.sweepFrom(1)
	case visitLacks:
		s.status[0].state = slotDead
		a.last, a.self, a.pc = 0, 0, visitUnlock
	case visitLeave:
		s.status[0].state = slotFree
		a.self, a.pc = 0, visitUnlock
	case visitUnlock:
		s.unlock(&s.byteLock[0], s.i)
		a.pc = visitUnelect
	case visitUnelect:
		s.unlock(&s.sweepLock[0], s.i)
		a.visiting, a.visited = false, true
		if a.busy != 0 && s.mut != refusesEarly {
			a.visited, a.pc = false, nap
			return
		}
		s.scan()
	}
}
