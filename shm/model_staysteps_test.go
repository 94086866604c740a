package shm

// touch is a look at the block by goroutine i, inside its stay.
func (w *stayWorld) touch(i int) {
	if g := &w.g[i]; g.in && g.object != w.object {
		w.fault = stayMoved
	}
}

// leave begins passage.leave of goroutine i; then comes what comes after it.
func (w *stayWorld) leave(i int, then stayPC) {
	g := &w.g[i]
	g.pc, g.then = stayLeave, then
	if w.mut == stayTellsFirst {
		g.pc = stayTell
	}
}

// out ends a stay of goroutine i, which may enter again.
func (w *stayWorld) out(i int) {
	g := &w.g[i]
	if g.again--; g.again < 0 {
		*g = stayer{}
		return
	}
	*g = stayer{pc: stayEnter, life: g.life, object: g.object, again: g.again}
}

// step makes the next step of goroutine i.
func (w *stayWorld) step(i int) {
	g, s := &w.g[i], &w.sleeps[i]
	w.touch(i)
	switch g.pc {
	case stayHandles: // Note
		if g.pc = stayLife; w.handles == 0 {
			*g = stayer{}
		}
	case stayLife:
		if w.shut {
			*g = stayer{}
			return
		}
		g.pc, g.life, g.object = stayEnter, w.life, w.object
	case stayEnter:
		if w.mut == stayLooksFirst && !g.sees {
			g.sees = true
			if w.shut || w.life != g.life {
				*g = stayer{}
			}
			return
		}
		w.inside++
		ok := !w.shut && w.life == g.life || w.mut == stayLooksFirst || w.mut == stayAnyLife && !w.shut
		if g.sees = false; !ok {
			w.leave(i, stayOver)
			return
		}
		g.in, g.pc = true, stayInside
		if g.object != w.object {
			w.fault = stayEntered
		}
	case stayInside: // Sleep: passageAt
		if g.pc = staySleepEnter; w.handles == 0 {
			g.pc = stayLook
		}
	case staySleepEnter:
		w.inside++
		if g.pc = stayAdd; w.shut {
			w.leave(i, stayLook)
		}
	case stayAdd:
		*s = staySleeper{listed: true}
		if g.pc = stayRecheck; w.mut == stayNoRecheck {
			g.pc = stayFutex
		}
	case stayRecheck:
		if g.pc = stayFutex; w.shut {
			g.pc = stayRemove
		}
	case stayFutex: // looks at the word of cancels and sleeps, in one step
		if g.pc = stayAsleep; s.cancelled {
			g.pc = stayRemove
		} else {
			s.asleep = true
		}
	case stayAsleep: // woken
		g.pc = stayRemove
	case stayRemove:
		*s = staySleeper{}
		w.leave(i, stayLook)
	case stayLook: // Closed
		if g.pc = stayInside; w.shut || w.life != g.life || g.again == 0 {
			g.in = false
			w.leave(i, stayOver)
		} else {
			g.again-- // it need not sleep for ever
		}
	case stayLeave:
		w.inside--
		if g.pc = stayTell; w.mut == stayTellsFirst || !w.shut || w.inside != 0 {
			w.left(i)
		}
	case stayTell:
		if w.mut == stayTellsFirst && (!w.shut || w.inside != 1 || w.empty == 0) {
			g.pc = stayLeave
			return
		}
		if g.tells, g.pc = w.empty, staySend; w.empty == 0 {
			w.left(i)
		}
	case staySend:
		w.told[g.tells] = true
		if g.tells = 0; w.mut == stayTellsFirst {
			g.pc = stayLeave
			return
		}
		w.left(i)
	}
}

// left is what comes after passage.leave.
func (w *stayWorld) left(i int) {
	g := &w.g[i]
	if g.pc, g.then = g.then, stayOver; g.pc == stayOver {
		w.out(i)
	}
}

// stepCloser makes the next step of the one who closes, and reports whether it can.
func (w *stayWorld) stepCloser() bool {
	c := &w.closer
	switch c.pc {
	case closeHandle:
		w.handles--
		if c.pc = closeLook; w.mut == stayWakesFirst {
			c.pc = closeList
		}
	case closeLook:
		if c.pc = closeChan; w.inside == 0 {
			c.pc = closeShut
		}
	case closeShut: // a CAS: the life does not change meanwhile
		if c.pc = closeGive; w.inside == 0 || w.mut == stayShutBlind {
			w.shut = true
		} else {
			c.pc = closeChan
		}
	case closeChan:
		c.made++
		w.empty = c.made
		c.pc = closeMark
	case closeMark:
		w.shut = true
		switch {
		case w.inside == 0:
			c.pc = closeGive
		case w.mut == stayWakesFirst:
			c.pc = closeWait
		default:
			c.pc = closeList
		}
	case closeList:
		for i, s := range w.sleeps {
			c.woken[i] = s.listed
		}
		c.k, c.pc = 0, closeCancel
		w.skip()
	case closeCancel:
		if w.sleeps[c.k].listed { // else it has gone, and its sleeper is garbage
			w.sleeps[c.k].cancelled = true
		}
		c.pc = closeWake
	case closeWake:
		w.sleeps[c.k].asleep = false
		c.woken[c.k] = false
		c.pc = closeCancel
		w.skip()
	case closeWait:
		if c.pc = closeRead; w.inside == 0 || w.mut == stayUnwaited {
			c.pc = closeGive
		}
	case closeRead:
		if !w.told[w.empty] {
			return false
		}
		w.told[w.empty] = false
		if c.pc = closeWait; w.mut == stayWaitsOnce {
			c.pc = closeGive
		}
	case closeGive:
		w.object++
		if c.rounds--; c.rounds == 0 {
			c.pc = stayOver
			return true
		}
		c.pc = closeReopen
	case closeReopen: // a CAS in a loop
		if w.mut == stayStores && !c.late {
			c.late = true
			c.k = w.inside
			return true
		}
		if w.shut = false; w.mut != stayLifeStays {
			w.life++
		}
		if w.mut == stayStores {
			w.inside = c.k
		}
		c.late, c.k = false, 0
		c.pc = closeOpen
	case closeOpen:
		w.handles = 1
		c.pc = closeHandle
	}
	return true
}

// skip goes on to the next sleeper that is to be woken.
func (w *stayWorld) skip() {
	c := &w.closer
	for c.k < int8(len(c.woken)) && !c.woken[c.k] {
		c.k++
	}
	if c.k == int8(len(c.woken)) {
		c.k, c.pc = 0, closeWait
		if w.mut == stayWakesFirst {
			c.pc = closeLook
		}
	}
}
