package shm

// Sweep, hooks and confirm, step by step; as in model_tableclaim_test.go.

// beginSweep begins sweepDead(0).
func (s stepper) beginSweep() {
	s.a.pc = sweepVisitor
	if s.shares && s.own(s.i) == 0 {
		s.a.pc = sweepMutex
	}
}

func (s stepper) sweepFrom(i uint8) {
	s.a.pc, s.a.i, s.a.st, s.a.t, s.a.last = sweepSlot, i, cell{}, 0, 0
}

// sweep is sweepDead, sweepVisitor, sweepSlot and freeSlot.
func (s stepper) sweep() {
	a := s.a
	switch a.pc {
	case sweepMutex:
		a.pc = sweepVisitor
	case sweepVisitor:
		if st := s.status[0]; st.state != slotFree {
			s.ask(tokOf(0, st.inc), sweepVisitor)
		} else {
			s.sweepFrom(1)
		}
	case sweepVisitorElect:
		a.pc, a.t = sweepVisitorLook, 0
		if !s.tryLock(&s.sweepLock[0], s.i) {
			s.sweepFrom(1)
		}
	case sweepVisitorLook:
		a.st = s.status[0]
		a.last, a.pc = a.st.inc, sweepVisitorOwed
		if a.st.state != slotDead {
			a.pc = sweepVisitorUnelect
		} else if s.mut == forgetsVisitor {
			a.pc = sweepVisitorFree
		}
	case sweepVisitorOwed:
		s.hookFrom(tokOf(0, s.owed), sweepVisitorOwed)
	case sweepVisitorFree:
		s.casStatus(0, a.st, cell{a.st.inc, slotFree})
		a.pc = sweepVisitorUnelect
	case sweepVisitorUnelect:
		s.unlock(&s.sweepLock[0], s.i)
		s.sweepFrom(1)
	case sweepSlot:
		st := s.status[a.i%3]
		switch {
		case a.i > s.high:
			s.endSweep()
		case a.i == s.actors[s.own(s.i)].me || st.state == slotFree:
			a.i++
		default:
			s.ask(tokOf(a.i, st.inc), sweepSlot)
		}
	case sweepElect:
		switch {
		case s.mut == unelected || s.tryLock(&s.sweepLock[a.i], s.i):
			a.pc = sweepLook
		default:
			if a.visiting {
				a.busy |= 1 << a.i
			}
			s.sweepFrom(a.i + 1)
		}
	case sweepLook:
		a.st = s.status[a.i]
		switch {
		case a.st.state != slotDead:
			a.pc = sweepUnelect
		case s.mut == freesFirst:
			a.pc = sweepClear
		default:
			s.hookFrom(tokOf(a.i, a.st.inc), sweepSlot)
		}
	case sweepClear:
		s.pid[a.i], a.pc = 0, sweepFree
		if s.mut == clearsLate {
			a.pc = sweepUnelect
		}
	case sweepFree:
		s.casStatus(a.i, a.st, cell{a.st.inc, slotFree})
		a.pc = sweepUnelect
		switch s.mut {
		case freesFirst:
			s.hookFrom(tokOf(a.i, a.st.inc), sweepSlot)
		case clearsLate:
			a.pc = sweepClear
		}
	case sweepUnelect:
		s.unlock(&s.sweepLock[a.i], s.i)
		s.sweepFrom(a.i + 1)
	case sweepDone:
		if s.mu == int8(s.i+1) {
			s.mu = 0
		}
		s.afterSweep()
	}
}

func (s stepper) endSweep() {
	s.a.i, s.a.pc = 0, sweepDone
	if !s.shares || s.own(s.i) != 0 {
		s.afterSweep()
	}
}

func (s stepper) afterSweep() {
	switch a := s.a; {
	case a.visiting:
		a.pc = visitLeave
	case s.own(s.i) != s.i:
		*a = actor{pc: over}
	case s.i == heir:
		s.beginLeave()
	default:
		a.pc = lockLook
	}
}

// hookFrom begins to run the hook for t, for the caller ret.
func (s stepper) hookFrom(t tok, ret tablePC) {
	s.a.t, s.a.ret, s.a.pc = t, ret, hookTake
	if s.lacks(s.i) {
		s.hooked(false)
	}
}

// hook takes the lock over from the dead, and releases it.
func (s stepper) hook() {
	switch s.a.pc {
	case hookTake:
		if s.word != s.a.t {
			s.hooked(true)
			return
		}
		s.word, s.a.pc = s.name(s.i), hookRelease
	case hookRelease:
		s.word = 0
		s.hooked(true)
	}
}

// hooked goes on where the hook was called; done is false if it is missing.
func (s stepper) hooked(done bool) {
	a := s.a
	t, ret := a.t, a.ret
	a.t, a.ret = 0, 0
	if ret == visitOwed || ret == sweepVisitorOwed {
		if done && t.inc() != a.last {
			s.hookFrom(tokOf(0, t.inc()+1), ret)
			return
		}
		switch {
		case ret == visitOwed && done:
			a.pc = visitPaid
		case ret == visitOwed:
			a.pc = visitLacks
		case done:
			a.pc = sweepVisitorFree
		default:
			a.pc = sweepVisitorUnelect
		}
		return
	}
	switch {
	case ret == sweepSlot && done && s.mut == clearsLate:
		a.pc = sweepFree
	case ret == sweepSlot && done && s.mut != freesFirst:
		a.pc = sweepClear
	case ret == sweepSlot:
		a.pc = sweepUnelect
	case a.left: // mutant leavesFirst
		a.pc = leaveClear
	default:
		a.pc = leaveDead
		a.elected = a.elected && done
	}
}

// ask begins confirm, for the caller ret.
func (s stepper) ask(t tok, ret tablePC) { s.a.t, s.a.ret, s.a.pc = t, ret, confirmAsk }

// confirm is the function of that name. Its first look by dead is left out: the
// load that follows answers the same.
func (s stepper) confirm() {
	a := s.a
	switch a.pc {
	case confirmAsk:
		if a.t == s.name(s.i) && s.mut != asksSelf {
			s.confirmed(false)
			return
		}
		if s.mut == blindNote {
			a.pc = confirmHeld
			return
		}
		a.st, a.pc = s.status[a.t.slot()], confirmHeld
		if s.dead(a.t) {
			s.confirmed(true)
		}
	case confirmHeld:
		p := s.byteLock[a.t.slot()]
		switch {
		case p == 0 || p == int8(s.own(s.i)+1):
			a.pc = confirmNote
		case s.mut == noQuiescence && s.actors[p-1].life != alive:
			a.pc = confirmNote
		case a.st.state == slotLive || s.mut == blindNote:
			a.pc = confirmProc
		default:
			s.confirmed(false)
		}
	case confirmNote:
		k := a.t.slot()
		if s.mut == blindNote {
			a.st = s.status[k]
			if a.st.state == slotFree {
				s.confirmed(true)
				return
			}
		}
		s.casStatus(k, a.st, cell{a.st.inc, slotDead})
		s.confirmed(s.dead(a.t))
	}
}

// confirmed goes on where confirm was called.
func (s stepper) confirmed(yes bool) {
	a := s.a
	ret := a.ret
	a.st, a.ret = cell{}, 0
	switch {
	case ret == sweepVisitor && yes:
		a.t, a.pc = 0, sweepVisitorElect
	case ret == sweepVisitor:
		s.sweepFrom(1)
	case ret == sweepSlot && yes:
		a.t, a.pc = 0, sweepElect
	case ret == sweepSlot:
		s.sweepFrom(a.i + 1)
	case yes:
		a.pc = lockInherit
	default:
		a.t, a.pc = 0, lockLook
	}
}
