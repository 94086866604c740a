package futexlock

import "fmt"

// The steps of the world in model_barrier_test.go. Each is one access to the
// shared memory, or one system call.

type barPC int16

const (
	barOver barPC = iota
	// Wait
	barLook
	barFind // join
	barJoinLook
	barJoinTake
	barRefused
	barArrive
	barMuteEnd // mutant: the wake before the end
	barAct     // act
	barActEnd
	barActLate
	barEndWake // completed
	// wait, and breakRound: also of Abort and of act
	barWaitLook
	barRoll
	barSleep
	barAsleep
	barBreakLook
	barBreakCAS
	barBreakWake
	// the other methods
	barAbort
	barReset
	barResetCAS
	barResetWake
	barForget
	barForgetCell
	barLeave
	barLeaveCell
	// sweep
	barSweepLook
	barSweepState
	barSweepCAS
	barSweepBroken
	barSweepClear
)

// barThen says for what somebody breaks a round.
type barThen int8

const (
	barForDeath barThen = iota
	barForCancel
	barForAction
	barForAbort
)

// op is the letter of what process i does now; 0 if it has done all.
func (w *barWorld) op(i int) byte {
	if s := w.plan.scripts[i]; int(w.p[i].op) < len(s) {
		return s[w.p[i].op]
	}
	return 0
}

// begin begins what the script says next.
func (w *barWorld) begin(i int) {
	p := &w.p[i]
	*p = barParty{life: p.life, op: p.op, cancels: p.cancels, member: p.member}
	switch w.op(i) {
	case 'w', 'a', 'f', 'm': // Wait: without an action, with one, with one that fails; until it goes well
		p.pc = barLook
	case 'b':
		p.pc = barAbort
	case 'r':
		p.pc = barReset
	case 'l':
		p.pc = barLeave
	}
}

func (w *barWorld) end(i int) {
	w.p[i].op++
	w.begin(i)
}

// breaks is the moment when Wait returns an error of a broken barrier in state now.
func (w *barWorld) breaks(i int, now uint64) {
	p := &w.p[i]
	r := w.round(p.v)
	w.blame(r.end == barCompleted || r.end == barOpen, "process %d was told that a round broke that did not", i)
	if barrierRound(now) == barrierRound(p.v) {
		w.blame((now&barrierDied != 0) != (r.end == barBrokeDied), "process %d was told died=%v, which is not so", i, now&barrierDied != 0)
	}
	if w.op(i) == 'm' {
		w.begin(i)
		return
	}
	w.end(i)
}

// passes is the moment when Wait returns no error.
func (w *barWorld) passes(i int) {
	r := w.round(w.p[i].v)
	w.blame(r.end != barCompleted, "process %d passes a round that was not completed", i)
	r.passed++
	w.end(i)
}

// completes is the moment when a round ends.
func (w *barWorld) completes(v uint64) {
	r := w.round(v)
	w.blame(r.end != barOpen, "a round ends twice")
	w.blame(uint32(r.arrived) != w.plan.parties, "a round ends after %d arrivals", r.arrived)
	w.blame(w.doomed, "a round ends well after a party was swept")
	r.end = barCompleted
}

func (w *barWorld) arrives(i int) {
	p := &w.p[i]
	r := w.round(p.v)
	w.blame(r.end != barOpen, "process %d arrives in a round that is over", i)
	w.blame(uint32(r.arrived) != barrierArrived(p.v), "process %d has place %d, and %d were before", i, barrierArrived(p.v), r.arrived)
	w.blame(p.gave, "process %d arrives after it gave up", i)
	r.arrived++
	p.member = barArrived
}

// breakCAS is breakRound's: it breaks the round that stands at now.
func (w *barWorld) breakCAS(now, why uint64) bool {
	if w.state != now {
		return false
	}
	w.state = now&^barrierActing | barrierBroken | why
	r := w.round(now)
	w.blame(r.end != barOpen, "a round breaks that is over")
	r.end = barBroke
	if why != 0 {
		r.end = barBrokeDied
		mourned := false
		for _, p := range w.p {
			mourned = mourned || p.life == dead && p.member != barStranger
		}
		w.blame(!mourned, "broken by the death of a party, and none died")
	}
	return true
}

// joined goes on after join.
func (w *barWorld) joined(i int) {
	p := &w.p[i]
	if p.member == barStranger && barrierEpoch(w.state) == barrierEpoch(p.v) {
		p.member = barListed
	}
	if p.cell = 0; w.plan.mut == barCellLate {
		p.pc = barWaitLook
		return
	}
	if p.pc = barArrive; barrierArrived(p.v) >= w.plan.parties {
		p.pc, p.early = barWaitLook, true
	}
}

func (w barWorld) step(i int, yield func(string, moveKind, barWorld)) {
	do := func(label string, f func(n *barWorld, p *barParty)) {
		n := w
		f(&n, &n.p[i])
		yield(fmt.Sprintf("%d %s", i, label), step, n)
	}
	mut, parties, count := w.plan.mut, w.plan.parties, w.cellCount()
	at := int(w.p[i].cell)
	if w.plan.apart {
		at += i
	}
	at %= count
	switch p := w.p[i]; p.pc {
	case barLook:
		do("look", func(n *barWorld, p *barParty) {
			p.v = n.state
			switch {
			case p.v&barrierBroken != 0:
				n.breaks(i, p.v)
			case mut == barCellLate:
				if p.pc = barArrive; barrierArrived(p.v) >= parties {
					p.pc, p.early = barWaitLook, true
				}
			default:
				p.pc = barFind
			}
		})
	case barFind: // one step: nobody else writes what it looks for
		do("find its cell", func(n *barWorld, p *barParty) {
			p.pc = barJoinLook
			for _, c := range n.cells[:count] {
				if c == partyCell(p.v, token(i)) {
					n.joined(i)
					return
				}
			}
		})
	case barJoinLook:
		do("look for a cell", func(n *barWorld, p *barParty) {
			p.now = n.cells[at]
			e := barrierEpoch(p.v)
			taken := p.now != 0 && !earlier(uint32(p.now), e)
			if mut == barTakesLater {
				taken = p.now != 0 && uint32(p.now) == e
			}
			p.pc = barJoinTake
			if taken {
				p.pc = barJoinLook
				if p.cell++; int(p.cell) == count {
					p.pc = barRefused
				}
			}
		})
	case barJoinTake:
		do("take the cell", func(n *barWorld, p *barParty) {
			p.pc = barJoinLook
			if n.cells[at] == p.now {
				n.cells[at] = partyCell(p.v, token(i))
				n.joined(i)
			}
		})
	case barRefused:
		do("full?", func(n *barWorld, p *barParty) {
			if barrierEpoch(n.state) != barrierEpoch(p.v) && mut != barFullForGood {
				p.pc, p.cell = barLook, 0
				return
			}
			for _, c := range n.cells[:count] {
				n.blame(c == 0 || uint32(c) != barrierEpoch(n.state), "process %d is refused, and there is an empty cell", i)
			}
			n.end(i)
		})
	case barArrive:
		do("arrive", func(n *barWorld, p *barParty) {
			place := barrierArrived(p.v)
			acts := w.op(i) == 'a' || w.op(i) == 'f'
			switch {
			case place == parties-1 && !acts && mut == barWakesFirst:
				p.pc = barMuteEnd
				n.wake()
			case n.state != p.v:
				p.pc = barLook
			case place == parties-1 && acts && mut != barActsLate:
				n.arrives(i)
				n.state = arrived(p.v) | barrierActing
				p.v, p.pc = n.state, barAct
			case place == parties-1:
				n.arrives(i)
				n.completes(p.v)
				n.state = nextRound(p.v, false)
				if p.pc = barEndWake; acts {
					p.pc = barAct
				}
			default:
				n.arrives(i)
				n.state = arrived(p.v)
				if p.pc = barWaitLook; mut == barCellLate {
					p.pc = barFind
				}
			}
		})
	case barMuteEnd:
		do("end the round", func(n *barWorld, p *barParty) {
			if n.state != p.v {
				p.pc = barLook
				return
			}
			n.arrives(i)
			n.completes(p.v)
			n.state = nextRound(p.v, false)
			n.passes(i)
		})
	case barAct: // outside of b, and of the stay
		do("act", func(n *barWorld, p *barParty) {
			r := n.round(p.v)
			r.acted++
			n.blame(r.acted > 1, "a second action in a round")
			n.blame(r.passed > 0, "somebody has passed before the action")
			n.blame(uint32(r.arrived) != parties, "an action after %d arrivals", r.arrived)
			if p.pc = barActEnd; w.op(i) == 'f' {
				p.pc, p.then = barBreakLook, barForAction
			}
		})
	case barActEnd:
		do("end the round", func(n *barWorld, p *barParty) {
			if n.state != p.v {
				p.pc = barActLate
				return
			}
			n.completes(p.v)
			n.state = nextRound(p.v, false)
			p.pc = barEndWake
		})
	case barActLate:
		do("see why not", func(n *barWorld, p *barParty) { n.breaks(i, n.state) })
	case barEndWake:
		do("wake all", func(n *barWorld, p *barParty) { n.wake(); n.passes(i) })
	case barOver:
	default:
		if p.pc <= barBreakWake {
			w.waitStep(i, yield)
		} else {
			w.otherStep(i, at, do)
		}
	}
}
