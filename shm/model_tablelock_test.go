package shm

// A locker and detach, step by step; as in model_tableclaim_test.go.

// lock is a locker that asks at once whether the holder is dead.
func (s stepper) lock() {
	a := s.a
	switch a.pc {
	case lockLook:
		a.pc = lockTake
		if s.word != 0 {
			s.ask(s.word, lockLook)
		}
	case lockTake, lockInherit: // from nobody, or from the dead
		if a.pc = lockLook; s.word == a.t {
			s.word, a.pc = s.name(s.i), inside
		}
		a.t = 0
	}
}

func (s stepper) beginLeave() { s.a.pc = leaveElect }

// leave is leaveTable and the end of detach.
func (s stepper) leave() {
	a := s.a
	switch a.pc {
	case leaveElect:
		a.elected = s.tryLock(&s.sweepLock[a.me], s.i)
		switch {
		case s.mut == leavesFirst:
			a.pc = leaveDead
		case s.mut == unlocksFirst:
			s.byteLock[a.me] = 0
			fallthrough
		default:
			s.hookFrom(a.self, leaveElect)
		}
	case leaveDead:
		s.status[a.me], a.left = cell{a.self.inc(), slotDead}, true
		switch {
		case s.mut == leavesFirst:
			s.hookFrom(a.self, leaveElect)
		case a.elected || s.mut == freesUnelected:
			a.pc = leaveClear
		default:
			s.unelectSelf()
		}
	case leaveClear:
		s.pid[a.me], a.pc = 0, leaveFree
	case leaveFree:
		s.casStatus(a.me, cell{a.self.inc(), slotDead}, cell{a.self.inc(), slotFree})
		s.unelectSelf()
	case leaveUnelect:
		s.unlock(&s.sweepLock[a.me], s.i)
		a.pc = leaveUnlock
	case leaveUnlock:
		s.unlock(&s.byteLock[a.me], s.i)
		rounds := a.rounds
		*a = actor{pc: over}
		if rounds > 0 {
			a.rounds = rounds - 1
			s.scan()
		}
	}
}

func (s stepper) unelectSelf() {
	a := s.a
	a.pc = leaveUnlock
	if s.sweepLock[a.me] == int8(s.i+1) {
		a.pc = leaveUnelect
	}
}
