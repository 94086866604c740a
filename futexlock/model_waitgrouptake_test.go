package futexlock

// The steps of the world in model_waitgroup_test.go that are made with the
// group's lock held: Take, Reset, compact, and the replay of a broken move.

// wgPlaceFor says what place is called for.
type wgPlaceFor int8

const (
	wgForMove  wgPlaceFor = iota
	wgForAgain            // the cell was charged meanwhile
	wgForCheck            // whether compact can help
)

func (w *wgWorld) stepLocked(i int) bool {
	p := &w.p[i]
	self := w.plan.tokens[i]
	cells := w.plan.cells
	switch p.pc {
	case wgLock:
		h := w.lock
		if h != 0 && w.life[h] != dead {
			return false
		}
		w.lock, p.locked = self, true
		if h != 0 {
			p.replay, p.pc = true, wgJournal
			return true
		}
		w.body(i)
	case wgTry:
		h := w.lock
		switch {
		case h == 0:
			w.lock, p.pc = self, wgUnlock
		case w.life[h] == dead:
			w.lock, p.replay, p.pc = self, true, wgJournal
		default:
			w.unlocked(i)
		}
	case wgUnlock:
		w.lock, p.locked = 0, false
		w.unlocked(i)

	case wgScan:
		c := w.cells[p.i]
		t := wgToken(c)
		if c == 0 || t == self || w.isDead(t, p.pass) != p.pass {
			w.scanOn(i)
			return true
		}
		p.out = 1
		if added(c) == 0 {
			if p.out, p.again = load(oneTaken), true; !p.pass || takenBy(c) == 0 {
				w.scanOn(i)
				return true
			}
		}
		w.startMove(i, p.i, self)

	case wgPlace:
		token, not := p.to, p.src
		if p.place == wgForCheck {
			token, not = wgGone, p.i
		}
		at := (w.home(token) + p.k%cells) % cells
		want := token
		if p.k >= cells {
			want = 0
		}
		if wgToken(w.cells[at]) == want && at != not {
			p.k = 0
			w.placed(i, at)
			return true
		}
		if p.k++; p.k == 2*cells {
			p.k = 0
			w.placed(i, -1)
		}
	case wgNote:
		if w.journal = journal(int(p.src), int(p.dst), p.out); w.plan.mut == wgLateNote && !p.left {
			w.journal = 0
		}
		if p.pc = wgOut; p.left {
			p.pc = wgIn
		}
	case wgOut:
		v := w.cells[p.src]
		if added(v) < p.out.added() || takenBy(v) < p.out.taken() || wgToken(v) == p.to && p.to != wgGone {
			p.err, p.pc = wgErrNoTask, wgForget
			return true
		}
		w.cells[p.src] = v - uint64(p.out) | taskMoving
		p.left, p.pc = true, wgIn
		if w.plan.mut == wgLateNote {
			p.pc = wgNote
		}
	case wgIn:
		v := w.cells[p.dst]
		if t := wgToken(v); t != p.to && t != 0 {
			p.place, p.pc = wgForAgain, wgPlace
			return true
		}
		in := load(oneTaken)
		if p.compacting {
			in = p.out
		}
		w.cells[p.dst] = charged(v, wgReal(p.to), in) | taskMoving
		p.pc = wgArrive
	case wgPutBack:
		v := w.cells[p.src]
		if w.plan.mut == wgNoRestore {
			v -= uint64(p.out)
		}
		w.cells[p.src] = (v + uint64(p.out)) &^ taskMoving
		p.pc = wgForget
	case wgArrive:
		if w.plan.mut != wgLateRise {
			w.rise()
		}
		p.pc = wgClearSrc
	case wgClearSrc:
		w.cells[p.src] = tidied(w.cells[p.src] &^ taskMoving)
		p.pc = wgClearDst
	case wgClearDst:
		w.cells[p.dst] = tidied(w.cells[p.dst] &^ taskMoving)
		p.arriving = true
		switch p.pc = wgRing; w.plan.mut {
		case wgNoRing:
			w.ringEnds(i)
		case wgLateRise:
			p.pc = wgLateRises
		}
	case wgLateRises:
		w.rise()
		p.pc = wgRing
	case wgForget:
		w.journal = 0
		p.src, p.dst, p.left = 0, 0, false
		if p.replay {
			p.replay, p.out = false, 0
			if p.locked {
				w.body(i)
			} else {
				p.pc = wgUnlock
			}
			return true
		}
		w.moveEnds(i)

	case wgCompact:
		c := w.cells[p.ci]
		switch {
		case wgToken(c) != wgGone:
		case !p.first:
			p.first = true
		default:
			p.out = load(c &^ (taskTokens | taskMoving))
			w.startMove(i, p.ci, wgGone)
			return true
		}
		w.compactOn(i)

	case wgJournal:
		src, dst, l, ok := unjournal(w.journal)
		if !ok {
			p.pc = wgForget
			return true
		}
		p.src, p.dst, p.out, p.pc = int8(src), int8(dst), l, wgWasOut
	case wgWasOut:
		p.left = w.cells[p.src]&taskMoving != 0
		p.pc = wgWasIn
	case wgWasIn:
		in := w.cells[p.dst]&taskMoving != 0
		switch p.pc = wgForget; {
		case p.left && (!in || w.plan.mut == wgTwice):
			p.pc = wgPutBack
		case in:
			p.pc = wgArrive
		}

	case wgForgive:
		c := &w.cells[p.k]
		if t := wgToken(*c); t == wgGone || t != 0 && w.life[t] == dead {
			if w.plan.mut == wgResetsOnce {
				p.tok, p.pc = t, wgForgiveCAS
				return true
			}
			w.total -= int8(tasks(*c))
			*c, p.forgot = 0, true
		}
		w.forgiveOn(i)
	case wgForgiveCAS:
		if c := &w.cells[p.k]; wgToken(*c) == p.tok {
			w.total -= int8(tasks(*c))
			*c, p.forgot = 0, true
		}
		p.tok, p.pc = 0, wgForgive
		w.forgiveOn(i)
	case wgForgiven:
		w.rise()
		p.forgot, p.pc = false, wgUnlock
	}
	return true
}

// body begins what underLock was called for.
func (w *wgWorld) body(i int) {
	switch p := &w.p[i]; w.call(i) {
	case wgDone:
		p.pc = wgRelieve
	case wgAdd:
		p.compacting, p.pc = true, wgCompact
	case wgTake:
		p.pc = wgScan
	case wgReset:
		p.pc = wgForgive
	}
}

// unlocked goes on after the lock was let go.
func (w *wgWorld) unlocked(i int) {
	p := &w.p[i]
	switch w.call(i) {
	case wgDone:
		w.end(i, 1)
	case wgAdd:
		p.second, p.pc = true, wgHome
	case wgTake:
		switch {
		case p.err == wgErrNoTask && !p.none:
			w.fault = wgNoneFound
		case p.err == wgErrNoTask:
			w.end(i, 2)
		case p.err == wgErrTooMany:
			w.fault = wgNoCell
		default:
			w.end(i, 1)
		}
	case wgReset:
		if _, lost := w.left(); p.calm && lost > 0 {
			w.fault = wgNotReset
		}
		w.end(i, 1)
	case wgWait:
		p.open, p.lost, p.dying, p.watch = false, false, false, 0
		p.k, p.fresh, p.pc = 0, false, wgRises
	case wgSweeps:
		p.pc = wgSweepCell
	}
}

// scanOn is Take's way to the next cell.
func (w *wgWorld) scanOn(i int) {
	p := &w.p[i]
	p.out, p.second, p.again, p.err, p.pc = 0, false, false, wgOK, wgScan
	if p.i++; p.i < w.plan.cells {
		return
	}
	if p.i = 0; !p.pass {
		p.pass = true
		return
	}
	p.pass, p.err, p.pc = false, wgErrNoTask, wgUnlock
}

// startMove begins move out of cell src to the process to.
func (w *wgWorld) startMove(i int, src, to int8) {
	p := &w.p[i]
	p.src, p.to, p.k, p.place, p.err, p.pc = src, to, 0, wgForMove, wgOK, wgPlace
}

// placed goes on with what place returned.
func (w *wgWorld) placed(i int, at int8) {
	p := &w.p[i]
	switch {
	case p.place == wgForCheck:
		p.place = wgForMove
		if at < 0 {
			p.pc = wgUnlock
			return
		}
		p.compacting, p.first, p.ci, p.pc = true, false, 0, wgCompact
	case at >= 0:
		p.dst, p.place, p.pc = at, wgForMove, wgNote
	case p.place == wgForMove:
		p.err = wgErrTooMany
		w.moveEnds(i)
	default:
		p.err, p.place, p.pc = wgErrTooMany, wgForMove, wgPutBack
	}
}

// moveEnds goes on after move.
func (w *wgWorld) moveEnds(i int) {
	p := &w.p[i]
	p.src, p.dst, p.to = 0, 0, 0
	switch {
	case p.compacting:
		p.err, p.out = wgOK, 0
		w.compactOn(i)
	case p.err == wgErrTooMany && !p.second:
		p.k, p.place, p.pc = 0, wgForCheck, wgPlace
	case p.err == wgErrNoTask:
		w.scanOn(i)
	default:
		p.pc = wgUnlock
	}
}

// compactOn is compact's way to the next cell, and back to who called it.
func (w *wgWorld) compactOn(i int) {
	p := &w.p[i]
	p.pc = wgCompact
	if p.ci++; p.ci < w.plan.cells {
		return
	}
	p.ci, p.compacting, p.first = 0, false, false
	if w.call(i) == wgAdd {
		p.pc = wgUnlock
		return
	}
	// Take moves again what it wanted to move.
	if p.second, p.out = true, 1; p.again {
		p.out = load(oneTaken)
	}
	w.startMove(i, p.i, w.plan.tokens[i])
}

func (w *wgWorld) forgiveOn(i int) {
	p := &w.p[i]
	if p.k++; p.k < w.plan.cells {
		return
	}
	if p.k, p.pc = 0, wgForgiven; !p.forgot || w.plan.mut == wgResetsUnseen {
		p.forgot, p.pc = false, wgUnlock
	}
}
