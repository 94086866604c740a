package futexlock

import "fmt"

// The steps of the world in model_rwmutex_test.go.

func (w rwWorld) step(i int, yield func(string, moveKind, rwWorld)) {
	self := token(i)
	do := func(label string, f func(n *rwWorld, p *rwProc)) {
		n := w
		f(&n, &n.p[i])
		yield(fmt.Sprintf("%d %s", i, label), step, n)
	}
	p := w.p[i]
	switch p.pc {
	case rwStart:
		if p.script&1 != 0 {
			do("write", func(n *rwWorld, p *rwProc) { p.pc = rwWant })
			return
		}
		do("look at gate", func(n *rwWorld, p *rwProc) { p.g, p.pc = n.gate, rwCount })
	case rwCount:
		do("count", func(n *rwWorld, p *rwProc) {
			p.cl = joins(p.g)
			n.cells[i] = uint64(self)<<32 | n.cells[i]&(1<<32-1) + oneReader(p.cl)
			p.pc = rwCheck
		})
	case rwCheck:
		do("look again", func(n *rwWorld, p *rwProc) {
			now := n.gate
			if w.mut == rwNoSecondLook {
				now = p.g
			}
			switch {
			case (now^p.g)&gateShape != 0:
				p.pc = rwBackOut
			case now&gateClosed == 0:
				n.in(i, now)
			default:
				p.pc, p.ask, p.passed = rwGate, false, 0
			}
		})
	case rwBackOut, rwLeave:
		do("leave", func(n *rwWorld, p *rwProc) {
			n.cells[i] -= oneReader(p.cl)
			last := cellCount(n.cells[i], p.cl) == 0
			if p.pc == rwBackOut {
				p.pc = rwStart
				if last {
					p.pc = rwBackWake
				}
				return
			}
			p.pc = rwLeaveWake
		})
	case rwBackWake:
		do("wake the writer", func(n *rwWorld, p *rwProc) {
			if n.gate&gateClosed != 0 {
				n.wakeDrain(i)
			}
			p.pc = rwStart
		})
	case rwLeaveWake:
		do("wake the writer", func(n *rwWorld, p *rwProc) {
			if n.gate&gateClosed != 0 {
				n.wakeDrain(i)
			}
			p.next()
		})
	case rwGate:
		w.stepAtGate(i, do)
	case rwSign:
		do("sign", func(n *rwWorld, p *rwProc) {
			if n.gate != p.g {
				p.pc = rwGate
				return
			}
			n.gate |= waited
			p.g, p.pc = n.gate, rwSleep
		})
	case rwSleep:
		do("sleep", func(n *rwWorld, p *rwProc) {
			p.pc = rwGate
			if n.gate == p.g {
				n.atGate.push(i)
				p.pc = rwAsleep
			}
		})
	case rwAsleep:
		n := w
		n.atGate.remove(i)
		n.p[i].pc, n.p[i].ask = rwGate, true
		if w.lifeOf(uint32(p.watch)) != alive {
			yield(fmt.Sprintf("%d hears of the death", i), step, n)
		} else {
			yield(fmt.Sprintf("%d backstop", i), backstop, n)
		}
		if p.cancels > 0 {
			n.p[i].cancels--
			n.p[i].pc, n.p[i].rounds = rwLeave, p.rounds
			yield(fmt.Sprintf("%d cancelled", i), step, n)
		}
	case rwBury:
		do("bury", func(n *rwWorld, p *rwProc) {
			p.pc = rwBuryWake
			if n.gate&gateClosed == 0 {
				return
			}
			was := n.gate
			n.gate = buried(was)
			if w.mut == rwForgetsDirt {
				n.gate &^= ownerDied
			}
		})
	case rwBuryWake:
		do("bury, wake, let go", func(n *rwWorld, p *rwProc) {
			n.wakeGate()
			n.write = 0
			p.pc = rwGate
		})
	case rwRead:
		do("read", func(n *rwWorld, p *rwProc) {
			// RUnlock finds its class in the gate.
			if class(n.gate) != p.cl {
				n.fault = fmt.Sprintf("the class of reader %d flipped while it was inside", i)
			}
			p.pc = rwLeave
		})
	default:
		w.writer(i, do, yield)
	}
}

// in is the moment when a reader is let in.
func (w *rwWorld) in(i int, g uint32) {
	p := &w.p[i]
	p.pc = rwRead
	if got := g&ownerDied != 0; got != w.dirty {
		w.fault = fmt.Sprintf("reader %d was told died=%v, true is %v", i, got, w.dirty)
	}
	if p.passed > 1 && !w.died() {
		w.fault = fmt.Sprintf("%d writers went before reader %d", p.passed, i)
	}
	p.passed = 0
}

func (w rwWorld) stepAtGate(i int, do func(string, func(*rwWorld, *rwProc))) {
	p := w.p[i]
	g := w.gate
	switch {
	case class(g) == p.cl:
		do("go in", func(n *rwWorld, p *rwProc) { n.in(i, g) })
		return
	case g&gateClosed == 0:
		if w.mut == rwKeepsPlace {
			do("go in", func(n *rwWorld, p *rwProc) { n.in(i, g) })
			return
		}
		do("start again", func(n *rwWorld, p *rwProc) { p.pc = rwBackOut })
		return
	}
	h := alive
	if w.write != 0 {
		h = w.p[w.write-1].life
	}
	if w.write == 0 || h == dead {
		do("take the dead one's place", func(n *rwWorld, p *rwProc) {
			n.write, p.pc = int8(i+1), rwBury
		})
		if p.ask {
			return
		}
	}
	if h == dying && p.ask {
		return // polls
	}
	do("look at gate", func(n *rwWorld, p *rwProc) { p.g, p.pc, p.watch = g, rwSign, n.write })
}

func (p *rwProc) next() {
	*p = rwProc{life: p.life, script: p.script >> 1, rounds: p.rounds - 1, cancels: p.cancels}
	if p.rounds == 0 {
		p.pc = rwOver
	}
}

// writer is the writers' half.
func (w rwWorld) writer(i int, do func(string, func(*rwWorld, *rwProc)), yield func(string, moveKind, rwWorld)) {
	p := w.p[i]
	switch p.pc {
	case rwWant:
		if w.write == 0 || w.lifeOf(uint32(w.write)) == dead {
			do("take the write side", func(n *rwWorld, p *rwProc) { n.write, p.pc = int8(i+1), rwSettle })
		}
	case rwSettle:
		do("settle", func(n *rwWorld, p *rwProc) {
			p.pc = rwClose
			if n.gate&gateClosed != 0 {
				n.gate = mourned(n.gate)
				if w.mut == rwForgetsDirt {
					n.gate &^= ownerDied
				}
			}
		})
	case rwClose:
		do("close", func(n *rwWorld, p *rwProc) {
			n.gate |= gateClosed
			p.cl, p.pc, p.ask = class(n.gate), rwDrain, false
		})
	case rwDrain:
		w.drainStep(i, do)
	case rwDrainSleep:
		do("sleep on a cell", func(n *rwWorld, p *rwProc) {
			p.pc = rwDrain
			if uint32(n.cells[n.at]) == uint32(p.v) {
				n.drain, p.pc = int8(i+1), rwDrainAsleep
			}
		})
	case rwDrainAsleep:
		n := w
		n.drain = 0
		n.p[i].pc, n.p[i].ask = rwDrain, true
		if w.lifeOf(cellToken(p.v)) != alive {
			yield(fmt.Sprintf("%d hears of the death", i), step, n)
		} else {
			yield(fmt.Sprintf("%d backstop", i), backstop, n)
		}
		if p.cancels > 0 {
			n.p[i].cancels--
			n.p[i].pc = rwGiveUp
			yield(fmt.Sprintf("%d cancelled", i), step, n)
		}
	case rwEnter:
		do("enter", func(n *rwWorld, p *rwProc) {
			n.gate |= gateWriting
			p.pc = rwWrite
			p.told = n.gate&ownerDied != 0
			if p.told != n.dirty {
				n.fault = fmt.Sprintf("writer %d was told died=%v, true is %v", i, p.told, n.dirty)
			}
			for j := range n.p {
				if q := &n.p[j]; q.pc >= rwGate && q.pc <= rwAsleep {
					q.passed++
				}
			}
		})
	case rwWrite:
		do("unlock: open", func(n *rwWorld, p *rwProc) { n.open(p, left, w.mut == rwNoFlip) })
		if p.told {
			do("repair", func(n *rwWorld, p *rwProc) {
				n.gate &^= ownerDied
				n.dirty, p.told = false, false
			})
		}
	case rwGiveUp:
		do("give up", func(n *rwWorld, p *rwProc) { n.open(p, givenUp, false) })
	case rwOpenWake:
		do("wake readers", func(n *rwWorld, p *rwProc) { n.wakeGate(); p.pc = rwRelease })
	case rwRelease:
		do("release", func(n *rwWorld, p *rwProc) {
			n.write = 0
			p.next()
		})
	}
}

func (w *rwWorld) open(p *rwProc, f func(uint32) uint32, noFlip bool) {
	was := w.gate
	w.gate = f(was)
	if noFlip {
		w.gate ^= gateClass
	}
	p.pc = rwRelease
	if was&waited != 0 {
		p.pc = rwOpenWake
	}
}

// drainStep looks at the cells in turn; p.passed is the place.
func (w rwWorld) drainStep(i int, do func(string, func(*rwWorld, *rwProc))) {
	p := w.p[i]
	k := int(p.passed)
	if k == len(w.cells) {
		do("drained", func(n *rwWorld, p *rwProc) { p.pc, p.passed = rwEnter, 0 })
		return
	}
	v := w.cells[k]
	busy := cellCount(v, p.cl)
	if w.mut == rwWaitsForAll {
		busy = cellReaders(v)
	}
	if busy == 0 {
		do("next cell", func(n *rwWorld, p *rwProc) { p.passed, p.ask = p.passed+1, false })
		return
	}
	h := w.lifeOf(cellToken(v))
	if h == dead || h == dying && w.mut == rwDrainsDying {
		do("clear cell", func(n *rwWorld, p *rwProc) { n.cells[k] = 0 })
	}
	if (h == dead || h == dying) && p.ask {
		return // polls
	}
	do("look at cell", func(n *rwWorld, p *rwProc) { p.v, n.at, p.pc = v, int8(k), rwDrainSleep })
}
