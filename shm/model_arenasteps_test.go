package shm

// scan loads the next row in a look for a holder, another one than itself if
// others. A world with a newcomer looks at highSlot once more at the end.
func (w *arenaWorld) scan(i int, others bool) (found, end bool) {
	g, me := &w.g[i], int8(w.process(i))
	high := w.high
	if w.plan.mut == arenaHighEarly && g.from != 0 {
		high = g.from
	}
	if others && g.k == me {
		g.k++
	}
	found = g.k < high && w.rows[g.k]
	end = found || g.k >= high
	if g.k++; others && g.k == me {
		g.k++
	}
	end = end || g.k >= high && !w.plan.late
	if end {
		g.k = 0
	}
	return found, end
}

// begin makes the first step of the call that goroutine i has come to, and reports
// whether it can.
func (w *arenaWorld) begin(i int) bool {
	g, me := &w.g[i], w.process(i)
	p := &w.p[me]
	call := w.calls(i)[g.at]
	if call != arenaAttach && call != arenaUse && call != arenaHold && p.mu != 0 {
		return false
	}
	switch call {
	case arenaAttach:
		w.high = 3 // before the claim, which nobody here sees
		w.next(i)
	case arenaNew:
		p.mu = int8(i + 1)
		switch g.pc = arenaGen; {
		case p.fresh:
			p.fresh = false
		case p.listed:
			p.listed = false
		default:
			g.scanned, g.pc = true, arenaUnion
		}
		return w.step(i)
	case arenaOpen:
		m := &w.mail[me][w.pick]
		if w.pick = 0; m.n == 0 {
			if w.comes(me) {
				return false
			}
			w.stop(i)
			return true
		}
		p.mu = int8(i + 1)
		g.want, g.sure, g.from = m.gen, m.sure, m.from
		if m.n--; m.n == 0 {
			*m = arenaMail{}
		}
		g.gap = !w.held(g.want)
		g.mine = w.rows[me]
		if g.pc = arenaBit; g.mine || w.plan.mut == arenaBitLate {
			g.pc = arenaLook
		}
		if w.plan.mut == arenaOpensEarly {
			w.opens++
			return true
		}
		return w.step(i)
	case arenaSend0, arenaSend1, arenaSend2:
		if g.want = g.h; i == 3 {
			g.want = w.g[me].h
		}
		if g.want == 0 {
			w.next(i)
			return true
		}
		g.pc = arenaNote
	case arenaUse, arenaHold:
		if g.h == 0 {
			w.next(i)
			return true
		}
		g.pc = arenaLock
	case arenaClose:
		if g.h == 0 {
			w.next(i)
			return true
		}
		g.h = 0
		if p.handles--; p.handles > 0 {
			w.next(i)
			return true
		}
		p.mu = int8(i + 1)
		g.pc = arenaQuit
	}
	return true
}

// done ends a call under the mutex.
func (w *arenaWorld) done(i int) {
	w.p[w.process(i)].mu = 0
	w.next(i)
}

// opened notes that somebody has opened the object of that generation: handles on
// their way pin it no longer.
func (w *arenaWorld) opened(gen int8) {
	for k := range w.mail {
		for n := range w.mail[k] {
			if m := &w.mail[k][n]; m.gen == gen {
				m.sure = false
			}
		}
	}
	for k := range w.g {
		if w.g[k].want == gen {
			w.g[k].sure = false
		}
	}
}

// good is the answer of lives that the object is there.
func (w *arenaWorld) good(i int) {
	me := w.process(i)
	if w.g[i].pc = arenaCheck; w.plan.mut == arenaBitLate {
		w.g[i].pc = arenaBit
	}
	w.p[me].holds = w.g[i].want
}

// step makes the next step of goroutine i, and reports whether it can.
func (w *arenaWorld) step(i int) bool {
	g, me := &w.g[i], w.process(i)
	p := &w.p[me]
	switch {
	case g.pc == arenaReady:
		return w.begin(i)
	case g.pc < arenaBit:
		w.take(i)
		return true
	case g.pc >= arenaQuit:
		return w.leave(i)
	}
	switch g.pc {

	case arenaBit:
		w.rows[me] = true
		if g.pc = arenaLook; w.plan.mut == arenaBitLate {
			g.pc = arenaCheck
		}
	case arenaLook:
		switch {
		case w.gen == g.want:
			w.good(i)
		case w.gen != g.want|abandoned:
			w.refuse(i)
		case g.mine:
			g.pc = arenaRevive
		default:
			g.pc = arenaOthers
		}
	case arenaOthers:
		found, end := w.scan(i, true)
		switch {
		case found && w.plan.mut == arenaMarkStays:
			w.good(i)
		case found:
			g.pc = arenaRevive
		case end && w.plan.mut == arenaLooksOnce:
			w.refuse(i)
		case end:
			g.pc = arenaLookAgain
		}
	case arenaLookAgain:
		if g.pc = arenaLook; w.gen == g.want|abandoned {
			w.refuse(i)
		}
	case arenaRevive:
		if g.pc = arenaLook; w.gen == g.want|abandoned {
			w.gen = g.want
			w.good(i)
		}
	case arenaCheck:
		if w.desc != g.want {
			w.fault = arenaOther
		}
		switch g.pc = arenaCount; {
		case w.plan.mut == arenaOpensEarly:
			w.hasOpened(i)
		case p.handles > 0 && w.plan.mut == arenaCountsFirst:
			p.sent = false
			w.hasOpened(i)
		}
	case arenaCount:
		w.opens++
		w.hasOpened(i)
	case arenaUnbit:
		w.rows[me] = false
		w.done(i)

	case arenaNote:
		if p.mu != 0 {
			return false
		}
		if (p.handles == 0 || p.gen != g.want) && w.plan.mut != arenaNotesClosed {
			w.next(i)
			return true
		}
		p.sent, p.sentAt = true, w.opens
		g.sure = true
		g.pc = arenaPost
	case arenaPost:
		m := &w.mail[w.calls(i)[g.at]-arenaSend0]
		k := 0
		if m[0].n > 0 && m[0].gen != g.want {
			k = 1
		}
		if m[k].n > 0 && m[k].gen != g.want {
			panic("too many handles in the mail")
		}
		m[k] = arenaMail{gen: g.want, n: m[k].n + 1, from: int8(me + 1), sure: g.sure}
		w.next(i)

	case arenaLock:
		if w.lock != 0 {
			return false
		}
		w.lock = int8(me + 1)
		w.touch(g.h)
		if g.pc = arenaUnlock; w.calls(i)[g.at] == arenaHold {
			w.next(i)
		}
	case arenaUnlock:
		w.touch(g.h)
		w.lock = 0
		w.next(i)
	}
	return true
}

// touch uses the object of that generation.
func (w *arenaWorld) touch(gen int8) {
	if w.data != 0 && w.data != gen {
		w.fault = arenaMixed
	}
	w.data = gen
}

// refuse is the answer of lives that the object is gone.
func (w *arenaWorld) refuse(i int) {
	g := &w.g[i]
	switch {
	case g.sure:
		w.fault = arenaVoidSent
	case !g.gap:
		w.fault = arenaVoid
	}
	if g.pc = arenaUnbit; g.mine || w.plan.mut == arenaBitLate {
		w.done(i)
	}
}

// hasOpened ends an Open that found its object.
func (w *arenaWorld) hasOpened(i int) {
	g, p := &w.g[i], &w.p[w.process(i)]
	w.opened(g.want)
	p.handles++
	p.gen, g.h = g.want, g.want
	w.done(i)
}

// leave makes the next step of a Close, or of the look at pins.
func (w *arenaWorld) leave(i int) bool {
	g, me := &w.g[i], w.process(i)
	p := &w.p[me]
	switch g.pc {
	case arenaQuit:
		if w.lock == int8(me+1) && (w.plan.mut != arenaLetsGoFirst || g.scanned) {
			w.lock = 0
		}
		switch g.pc = arenaLetGo; {
		case g.scanned:
			if g.pc = arenaClosed; me != arenaOwner {
				w.done(i)
			}
		case w.plan.mut == arenaSendsUncounted:
		case p.sent:
			g.pc = arenaPinned
		case p.pins != [2]int8{}:
			w.done(i)
		}
	case arenaPinned:
		g.pc = arenaLetGo
		if w.opens == p.sentAt {
			p.pin(w.opens)
			w.done(i)
		} else if p.pins != [2]int8{} {
			w.done(i)
		}
	case arenaUnpin:
		if p.mu != 0 {
			return false
		}
		p.mu = int8(i + 1)
		p.pins[p.over(w.opens)] = 0
		if g.pc = arenaLetGo; p.pins != [2]int8{} || p.handles > 0 {
			w.done(i)
		}
	case arenaLetGo:
		p.sent, p.sentAt = false, 0
		w.rows[me], p.holds, p.gen = false, 0, 0
		switch g.pc = arenaClosed; {
		case w.plan.mut == arenaLetsGoFirst:
			g.pc, g.scanned = arenaQuit, true
		case me != arenaOwner:
			w.done(i)
		}
	case arenaClosed:
		found, end := w.scan(i, false)
		switch {
		case found:
			w.done(i)
		case end:
			g.pc = arenaAbandon
		}
	case arenaAbandon:
		w.gen |= abandoned
		g.pc = arenaAbandonScan
	case arenaAbandonScan:
		found, end := w.scan(i, false)
		switch {
		case found && w.plan.mut == arenaMarkLeft:
			w.done(i)
		case found:
			g.pc = arenaResume
		case end:
			p.listed = true
			w.done(i)
		}
	case arenaResume:
		w.gen &^= abandoned
		w.done(i)
	}
	return true
}

func (p *arenaProc) pin(opens int8) {
	for k := range p.pins {
		if p.pins[k] == 0 {
			p.pins[k] = opens + 1
			return
		}
	}
	panic("too many pins")
}
