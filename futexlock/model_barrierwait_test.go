package futexlock

import "fmt"

// More steps of the world in model_barrier_test.go: waiting, breaking, the other
// methods and the sweep.

// waitStep is wait and breakRound.
func (w barWorld) waitStep(i int, yield func(string, moveKind, barWorld)) {
	do := func(label string, kind moveKind, f func(n *barWorld, p *barParty)) {
		n := w
		f(&n, &n.p[i])
		yield(fmt.Sprintf("%d %s", i, label), kind, n)
	}
	mut := w.plan.mut
	// cancelled is what watcher.sleep makes of the end of ctx.
	cancelled := func(n *barWorld, p *barParty) {
		if !p.gone {
			p.gone = true
			p.cancels--
		}
		if !p.watch || p.last {
			p.pc, p.then = barBreakLook, barForCancel
		} else {
			p.ask, p.last, p.pc = true, true, barWaitLook
		}
	}
	switch p := w.p[i]; p.pc {
	case barWaitLook:
		do("look", step, func(n *barWorld, p *barParty) {
			p.now = n.state
			switch {
			case barrierRound(p.now) != barrierRound(p.v) && p.early:
				*p = barParty{pc: barLook, op: p.op, cancels: p.cancels, gone: p.gone, gave: p.gave, member: p.member}
			case barrierRound(p.now) != barrierRound(p.v):
				if endedWell(p.now, barrierRound(p.v), barrierEpoch(p.v)) || mut == barEndsWell {
					n.passes(i)
				} else {
					n.breaks(i, p.now)
				}
			case p.now&barrierBroken != 0:
				n.breaks(i, p.now)
			default:
				p.pc = barRoll
			}
		})
	case barRoll: // one step: all that matters is whether it finds a dead one
		shown, others := false, false
		for _, c := range w.cells {
			t := uint32(c >> 32)
			if c == 0 || uint32(c) != barrierEpoch(p.now) && mut != barAnyEpoch || t == token(i) {
				continue
			}
			others = true
			shown = shown || w.p[t-1].life == dead
		}
		if shown {
			do("sees the death", step, func(n *barWorld, p *barParty) { p.pc, p.then = barBreakLook, barForDeath })
		}
		if !shown || !p.ask {
			do("calls the roll", step, func(n *barWorld, p *barParty) { p.pc, p.ask, p.watch = barSleep, false, others })
		}
	case barSleep:
		if p.gone || p.cancels > 0 {
			do("cancelled", step, cancelled)
		}
		if !p.gone {
			do("sleep", step, func(n *barWorld, p *barParty) {
				p.pc = barWaitLook
				if uint32(n.state) == uint32(p.now) {
					n.queue.push(i)
					p.pc = barAsleep
				}
			})
		}
	case barAsleep:
		do("backstop", backstop, func(n *barWorld, p *barParty) {
			n.queue.remove(i)
			p.pc, p.ask = barWaitLook, true
		})
		if p.cancels > 0 {
			do("cancelled", step, func(n *barWorld, p *barParty) { n.queue.remove(i); cancelled(n, p) })
		}
	case barBreakLook:
		do("look whether to break", step, func(n *barWorld, p *barParty) {
			p.now = n.state
			other := barrierRound(p.now) != barrierRound(p.v) && mut != barAnyRound
			if p.then == barForCancel && mut == barGivesUpBlind {
				n.blame(n.round(p.v).end == barCompleted, "process %d gives up in a round that was completed", i)
				n.end(i)
				return
			}
			if p.pc = barBreakCAS; other || p.now&barrierBroken != 0 || p.then == barForAction && mut == barForgetsFail {
				n.notBroken(i)
			}
		})
	case barBreakCAS:
		do("break", step, func(n *barWorld, p *barParty) {
			why := uint64(0)
			if p.then == barForDeath {
				why = barrierDied
			}
			if p.pc = barBreakLook; n.breakCAS(p.now, why) {
				n.blame(barrierRound(p.now) != barrierRound(p.v), "process %d breaks a round that is not its own", i)
				p.pc = barBreakWake
			}
		})
	case barBreakWake:
		do("wake all", step, func(n *barWorld, p *barParty) {
			if mut != barBreakMute {
				n.wake()
			}
			switch {
			case p.then == barForDeath:
				p.pc = barWaitLook
			case p.then == barForCancel && p.early && mut == barGivesUpTwice && barrierRound(n.state) != barrierRound(p.v):
				*p = barParty{pc: barLook, op: p.op, cancels: p.cancels, gone: p.gone, gave: true, member: p.member}
			default: // Wait returns the action's error or ctx's; Abort returns
				n.end(i)
			}
		})
	}
}

// notBroken goes on after a breakRound that found nothing to break.
func (w *barWorld) notBroken(i int) {
	switch p := &w.p[i]; p.then {
	case barForAction:
		r := w.round(p.v)
		w.blame(r.end == barOpen || r.end == barCompleted, "an action failed and its round did not")
		w.end(i)
	case barForAbort:
		if p.pc = barAbort; w.plan.mut == barAbortsOnce {
			w.blame(!p.saw, "Abort returns and the barrier was never broken")
			w.end(i)
		}
	default:
		p.pc = barWaitLook
	}
}

// otherStep is Abort, Reset and Leave; at is the cell that it has come to.
func (w barWorld) otherStep(i, at int, do func(string, func(*barWorld, *barParty))) {
	mut := w.plan.mut
	next := func(n *barWorld, p *barParty, pc barPC) {
		p.pc = pc
		if p.cell++; int(p.cell) == w.cellCount() {
			if pc == barLeave {
				p.member = barStranger
			}
			n.end(i)
		}
	}
	switch p := w.p[i]; p.pc {
	case barAbort:
		do("abort?", func(n *barWorld, p *barParty) {
			if p.v = n.state; p.v&barrierBroken != 0 {
				n.blame(!p.saw, "Abort returns and the barrier was never broken")
				n.end(i)
				return
			}
			p.pc, p.then = barBreakLook, barForAbort
		})
	case barReset:
		do("look", func(n *barWorld, p *barParty) { p.now, p.pc = n.state, barResetCAS })
	case barResetCAS:
		do("reset", func(n *barWorld, p *barParty) {
			if n.state != p.now {
				p.pc = barReset
				return
			}
			if r := n.round(p.now); r.end == barOpen {
				r.end = barWasReset
			}
			for k := range n.p {
				n.p[k].member = barStranger
			}
			n.doomed = false
			n.state = nextRound(p.now, true)
			p.v, p.pc = n.state, barResetWake
		})
	case barResetWake:
		do("wake all", func(n *barWorld, p *barParty) {
			if mut != barResetMute {
				n.wake()
			}
			p.pc = barForget
		})
	case barForget:
		do("look at a cell", func(n *barWorld, p *barParty) {
			c := n.cells[at]
			forgets := c != 0 && (earlier(uint32(c), barrierEpoch(p.v)) || mut == barForgetsAll)
			if forgets {
				p.now, p.pc = c, barForgetCell
			} else {
				next(n, p, barForget)
			}
		})
	case barForgetCell:
		do("forget it", func(n *barWorld, p *barParty) {
			if p.pc = barForget; n.cells[at] == p.now {
				n.cells[at] = 0
				next(n, p, barForget)
			}
		})
	case barLeave:
		do("look at a cell", func(n *barWorld, p *barParty) {
			if c := n.cells[at]; uint32(c>>32) == token(i) {
				p.now, p.pc = c, barLeaveCell
			} else {
				next(n, p, barLeave)
			}
		})
	case barLeaveCell:
		do("leave it", func(n *barWorld, p *barParty) {
			if n.cells[at] == p.now {
				n.cells[at], p.member = 0, min(p.member, barListed)
			}
			next(n, p, barLeave)
		})
	}
}

// sweepStep is sweep: whoever is killed inside it leaves it to be run again.
func (w barWorld) sweepStep(yield func(string, moveKind, barWorld)) {
	do := func(label string, f func(n *barWorld, s *barSweep)) {
		n := w
		f(&n, &n.sweep)
		yield("sweep "+label, step, n)
	}
	mut := w.plan.mut
	k := w.sweep.cell
	switch w.sweep.pc {
	case barSweepLook:
		if int(k) == w.cellCount() {
			do("wakes all", func(n *barWorld, s *barSweep) {
				if mut != barSweepSilent {
					n.wake()
				}
				p := &n.p[s.of-1]
				p.swept = true
				n.doomed = n.doomed || p.member == barArrived
				*s = barSweep{}
			})
			return
		}
		do("looks at a cell", func(n *barWorld, s *barSweep) {
			if c := n.cells[k]; uint32(c>>32) == uint32(s.of) {
				s.v, s.pc = c, barSweepState
			} else {
				s.cell++
			}
		})
	case barSweepState: // both looks of the loop and of breakRound, at one time
		do("looks whether to break", func(n *barWorld, s *barSweep) {
			s.now, s.pc = n.state, barSweepCAS
			if uint32(s.v) != barrierEpoch(s.now) || s.now&barrierBroken != 0 || mut == barSweepMute || mut == barSweepWaited && barrierArrived(s.now) == 0 {
				s.now, s.pc = 0, barSweepClear
			}
		})
	case barSweepCAS:
		do("breaks", func(n *barWorld, s *barSweep) {
			switch {
			case n.breakCAS(s.now, barrierDied):
				s.pc = barSweepBroken
			case mut == barSweepOnce && barrierRound(n.state) != barrierRound(s.now):
				s.pc = barSweepClear
			default:
				s.pc = barSweepState
			}
			s.now = 0
		})
	case barSweepBroken:
		do("wakes those that waited", func(n *barWorld, s *barSweep) { n.wake(); s.pc = barSweepClear })
	case barSweepClear:
		do("clears the cell", func(n *barWorld, s *barSweep) {
			if n.cells[k] == s.v {
				n.cells[k] = 0
			}
			s.v, s.pc = 0, barSweepLook
			s.cell++
		})
	}
}
