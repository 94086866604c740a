package futexlock

import "fmt"

// The steps of the world in model_waitgroup_test.go: Wait, Add, Done and the
// sweep. A load and the CAS that is tried again until it succeeds are one step.

type wgPC int8

const (
	wgOver wgPC = iota
	wgGated
	wgLook // Wait
	wgRises
	wgCell // add
	wgMover
	wgAgain // count
	wgSign
	wgSleep
	wgAsleep
	wgRelieve // relieve
	wgRing    // ring
	wgRingWake
	wgQuiet
	wgQuietWake
	wgHome // charge
	wgCharge
	wgRise // put
	wgLock // underLock
	wgUnlock
	wgScan  // Take
	wgPlace // place
	wgNote  // move
	wgOut
	wgIn
	wgPutBack // putBack
	wgArrive  // arrive
	wgClearSrc
	wgClearDst
	wgLateRises // mutant
	wgForget    // the journal
	wgCompact   // compact
	wgTry       // recover
	wgJournal   // replay
	wgWasOut
	wgWasIn
	wgForgive // Reset
	wgForgiveCAS
	wgForgiven
	wgSweepLock // sweep
	wgSweepCell
	wgAlarm
	wgAlarmWake
	wgPCs
)

var wgNames = [wgPCs]string{
	"over", "starts", "looks at the bell", "notes rises", "adds a cell", "looks who moves", "compares rises", "signs", "goes to sleep", "wakes up",
	"relieves a cell", "rings", "wakes all", "drops the flag", "wakes who came since", "charges its cell", "looks for a cell", "raises",
	"locks", "unlocks", "looks for a task", "looks for a place", "notes the move", "takes out", "puts in", "puts back", "raises for a move",
	"clears the source", "clears the target", "raises late", "clears the journal", "compacts a cell", "tries the lock", "reads the journal",
	"looks if it left", "looks if it arrived", "resets a cell", "resets it", "raises for a reset", "looks at the lock", "renames a cell", "alarms", "wakes for the alarm",
}

// wgLabels are made once: they cost more than the steps.
var wgLabels = func() (all [4][wgPCs]string) {
	for i := range all {
		for pc := range all[i] {
			all[i][pc] = fmt.Sprintf("%d %s", i, wgNames[pc])
		}
	}
	return all
}()

// begin starts the call that p is at.
func (w *wgWorld) begin(i int) {
	at := w.p[i].at
	w.p[i] = wgProc{at: at}
	p := &w.p[i]
	switch w.call(i) {
	case wgDone:
		p.pc = wgRelieve
	case wgAdd:
		p.pc = wgHome
	case wgTake:
		p.pc = wgLock
	case wgReset:
		p.pc, p.calm = wgLock, true
		for _, l := range w.life {
			p.calm = p.calm && l != dying
		}
	case wgWait:
		p.pc = wgLook
	case wgGate:
		p.pc = wgGated
	}
}

// end ends the call of goroutine i and starts the next but skip-1.
func (w *wgWorld) end(i int, skip int8) {
	w.p[i].at += skip
	w.begin(i)
}

// rise adds one to rises: whoever is counting must do it again.
func (w *wgWorld) rise() {
	for i := range w.p {
		w.p[i].fresh = false
	}
}

// step makes the next step of goroutine i; false if it cannot.
func (w *wgWorld) step(i int) bool {
	p := &w.p[i]
	self := w.plan.tokens[i]
	cells := w.plan.cells
	switch p.pc {
	case wgGated:
		if g := w.plan.gate; w.p[g].at == 0 || w.life[w.plan.tokens[g]] != alive {
			return false
		}
		w.end(i, 1)

	case wgLook:
		p.v, p.pc = w.bell, wgRises
	case wgRises:
		p.open, p.lost, p.dying, p.watch = false, false, false, 0
		p.fresh, p.k, p.pc = true, 0, wgCell
	case wgCell:
		c := w.cells[p.k]
		if p.tok, p.n = wgToken(c), int8(tasks(c)); c&taskMoving != 0 {
			p.pc = wgMover
			return true
		}
		w.tally(i)
	case wgMover:
		h := w.lock
		if h != 0 && w.isDead(h, true) {
			p.tok, p.n, p.pc = 0, 0, wgTry
			return true
		}
		p.open, p.watch = true, h
		w.tally(i)
	case wgAgain:
		p.k = 0
		switch {
		case !p.fresh && w.plan.mut != wgNoRises:
			p.open, p.lost, p.dying, p.watch = false, false, false, 0
			p.pc = wgRises
		case !p.open:
			w.waitEnds(i)
		case p.dying:
			p.pc = wgLook // after a pause
		case p.v&waited == 0:
			p.pc = wgSign
		default:
			p.pc = wgSleep
		}
		p.open, p.lost, p.dying, p.fresh = false, false, false, false
		if p.pc != wgSleep && p.pc != wgSign {
			p.watch = 0
		}
		if p.pc == wgLook {
			p.v = 0
		}
	case wgSign:
		p.pc = wgLook
		if w.bell == p.v {
			w.bell |= waited
			if w.plan.mut == wgNoRecheck {
				p.v, p.pc = w.bell, wgSleep
				return true
			}
		}
		p.v, p.watch = 0, 0
	case wgSleep:
		p.ask = false
		if w.bell == p.v && !w.hears(p.watch) {
			w.queue.push(i)
			p.pc = wgAsleep
			return true
		}
		p.pc, p.v, p.watch = wgLook, 0, 0

	case wgRelieve:
		c := &w.cells[(w.home(self)+p.k)%cells]
		v := *c
		if wgToken(v) == self && tasks(v) > 0 {
			*c = relieved(v)
			w.total--
			p.k = 0
			if tasks(v) == 1 {
				p.pc = wgRing
			} else {
				w.ringEnds(i)
			}
			return true
		}
		if p.k++; p.k < cells {
			return true
		}
		p.k = 0
		if p.locked || w.plan.mut == wgDonesOnce {
			w.fault = wgPanic
		}
		p.pc = wgLock

	case wgRing:
		if w.bell&waited == 0 {
			w.ringEnds(i)
			return true
		}
		w.bell = rung(w.bell)
		p.ring, p.pc = w.bell, wgRingWake
	case wgRingWake:
		w.wakeAll()
		p.pc = wgQuiet
	case wgQuiet:
		if w.bell != p.ring {
			w.ringEnds(i)
			return true
		}
		w.bell, p.pc = silent(w.bell), wgQuietWake
	case wgQuietWake:
		if w.plan.mut != wgQuietAsleep {
			w.wakeAll()
		}
		w.ringEnds(i)

	case wgHome:
		c := w.home(self)
		if t := wgToken(w.cells[c]); t == self || w.cells[c] == 0 {
			w.put(i, c)
			return true
		}
		p.k, p.pass, p.pc = 0, false, wgCharge
	case wgCharge:
		if t := wgToken(w.cells[p.k]); t == self || p.pass && t == 0 {
			w.put(i, p.k)
			return true
		}
		if p.k++; p.k < cells {
			return true
		}
		if p.k = 0; !p.pass {
			p.pass = true
			return true
		}
		if p.pass, p.pc = false, wgLock; p.second {
			w.fault = wgNoCell
		}
	case wgRise:
		w.rise()
		w.end(i, 1)

	case wgSweepLock:
		if p.k, p.pc = 0, wgSweepCell; w.lock == w.sweep {
			p.pc = wgTry
		}
	case wgSweepCell:
		if c := &w.cells[p.k]; wgToken(*c) == w.sweep {
			*c = charged(*c, goneTasks, 0)
			if w.plan.mut == wgNamesLate && takenBy(*c) > 0 {
				*c = 0
			}
		}
		if p.k++; p.k == cells {
			p.k, p.pc = 0, wgAlarm
		}
	case wgAlarm:
		w.bell, p.pc = silent(w.bell), wgAlarmWake
	case wgAlarmWake:
		if w.plan.mut != wgNoAlarm {
			w.wakeAll()
		}
		w.swept[w.sweep], w.sweep = true, 0
		*p = wgProc{}

	default:
		return w.stepLocked(i)
	}
	return true
}

// tally is what add does with the cell that p has read.
func (w *wgWorld) tally(i int) {
	p := &w.p[i]
	switch t := p.tok; {
	case t == 0:
	case w.isDead(t, p.ask):
		p.lost = p.lost || p.n > 0
	default:
		if w.life[t] == dying && !w.plan.mute {
			p.dying = true
		} else if t != w.plan.tokens[i] && p.watch == 0 {
			p.watch = t
		}
		p.open = p.open || p.n > 0
	}
	p.tok, p.n, p.pc = 0, 0, wgCell
	if p.k++; p.k == w.plan.cells {
		p.k, p.pc = 0, wgAgain
	}
}

func (w *wgWorld) waitEnds(i int) {
	p := &w.p[i]
	switch {
	case p.lost && !p.gone:
		w.fault = wgFalseDeath
	case !p.lost && !p.zero:
		w.fault = wgEarly
	case p.lost:
		w.end(i, 1)
	default:
		w.end(i, int8(len(w.plan.calls[i]))-p.at)
	}
}

// ringEnds goes on after a ring, of a Done or at the end of a move.
func (w *wgWorld) ringEnds(i int) {
	p := &w.p[i]
	p.ring = 0
	switch {
	case p.arriving:
		p.arriving, p.pc = false, wgForget
	case p.locked:
		p.pc = wgUnlock
	default:
		w.end(i, 1)
	}
}

// put charges goroutine i's process with a task in cell c.
func (w *wgWorld) put(i int, c int8) {
	v := w.cells[c]
	w.cells[c] = charged(v, uint32(w.plan.tokens[i]), 1)
	w.total++
	if tasks(v) == 0 {
		w.p[i].k, w.p[i].pass, w.p[i].pc = 0, false, wgRise
		return
	}
	w.end(i, 1)
}
