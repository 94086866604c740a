package futexlock

import "fmt"

// The steps of the world in model_rwmutex_test.go.

func (w rwWorld) step(i int, yield func(string, moveKind, rwWorld)) {
	me := w.of(i)
	self := token(me)
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
		if laneToken(w.lanes[me]) == self {
			do("add to the lane", func(n *rwWorld, p *rwProc) {
				n.lanes[me] += laneReader
				if laneIsOpen(n.lanes[me]) {
					n.in(i, 0)
					p.cl, p.pc = class(n.gate), rwRead
				} else {
					p.back, p.pc = true, rwLaneBack
				}
			})
		}
		do("pass the lane by", func(n *rwWorld, p *rwProc) { p.g, p.pc = n.gate, rwCount })
	case rwLook:
		do("look at gate", func(n *rwWorld, p *rwProc) { p.back, p.g, p.pc = false, n.gate, rwCount })
	case rwCount:
		do("count", func(n *rwWorld, p *rwProc) {
			p.cl, p.pc = joins(p.g), rwCheck
			c := &n.cells[w.cell(i)]
			switch t := cellToken(*c); {
			case t == self:
				*c += oneReader(p.cl)
			case cellReaders(*c) == 0 || w.lifeOf(t) == dead:
				if t != 0 && w.mut != rwTakesMute {
					p.pc = rwCountWake
				}
				*c = uint64(self)<<32 | oneReader(p.cl)
			default: // no cell is left
				p.alone, p.pc = true, rwWant
				return
			}
			if w.mut == rwOpensEarly {
				n.openLane(me)
			}
		})
	case rwCountWake:
		do("wake the writer that waits for the one before", func(n *rwWorld, p *rwProc) {
			if n.gate&gateClosed != 0 {
				n.wakeDrain(w.cell(i))
			}
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
	case rwBackOut:
		do("back out", func(n *rwWorld, p *rwProc) {
			c := &n.cells[w.cell(i)]
			if cellToken(*c) != self || cellCount(*c, p.cl) == 0 {
				n.fault = fmt.Sprintf("the count of %d, which backs out, is gone", i)
				return
			}
			*c -= oneReader(p.cl)
			p.pc = rwBackWake
			if cellCount(*c, p.cl) != 0 {
				p.outside()
			}
		})
	case rwBackWake:
		do("wake the writer", func(n *rwWorld, p *rwProc) {
			if n.gate&gateClosed != 0 {
				n.wakeDrain(w.cell(i))
			}
			p.outside()
		})
	case rwLeave, rwLaneBack, rwLanePut, rwLaneWake, rwSlow, rwUnlane, rwUncell, rwLeaveWake:
		w.leave(i, do)
	case rwLaneLook:
		do("may the lane be open?", func(n *rwWorld, p *rwProc) {
			p.pc = rwLaneOpen
			shut := gateClosed | ownerDied
			if w.mut == rwDirtyLane {
				shut = gateClosed
			}
			if n.gate&shut != 0 {
				p.pc = rwRead
			}
		})
	case rwLaneOpen:
		do("open the lane", func(n *rwWorld, p *rwProc) {
			n.openLane(me)
			p.pc = rwLaneAgain
		})
	case rwLaneAgain:
		do("look whether it may stay open", func(n *rwWorld, p *rwProc) {
			p.pc = rwRead
			if n.gate&gateClosed != 0 {
				p.pc = rwLaneShut
			}
		})
	case rwLaneShut:
		do("shut the lane again", func(n *rwWorld, p *rwProc) {
			n.shutLane(me)
			p.pc = rwRead
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
			n.p[i].pc, n.p[i].quit = rwBackOut, true
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
			if w.mut == rwAloneDirty && was&gateShared != 0 {
				n.gate |= ownerDied
			}
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
	p.pc = rwLaneLook
	if w.laneless {
		p.pc = rwRead
	}
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
			n.write, p.pc = int8(w.of(i)+1), rwBury
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

// openLane is the CAS of openLane, of process k.
func (w *rwWorld) openLane(k int) {
	v := w.lanes[k]
	switch {
	case v == 0:
		w.lanes[k] = laneOpen | uint64(token(k))
	case !laneIsOpen(v) && v&^laneOpen < laneHalf:
		w.lanes[k] = v + laneOpen
	}
}

func (w *rwWorld) shutLane(k int) {
	if v := w.lanes[k]; laneIsOpen(v) {
		w.lanes[k] = v - laneOpen
	}
}

// outside is after a reader has backed out.
func (p *rwProc) outside() {
	if p.quit {
		p.next()
		return
	}
	p.pc = rwLook
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
			do("take the write side", func(n *rwWorld, p *rwProc) { n.write, p.pc = int8(w.of(i)+1), rwSettle })
		}
	case rwSettle:
		do("settle", func(n *rwWorld, p *rwProc) {
			p.pc = rwClose
			if n.gate&gateClosed != 0 {
				alone := n.gate&gateShared != 0
				n.gate = mourned(n.gate)
				if w.mut == rwAloneDirty && alone {
					n.gate |= ownerDied
				}
				if w.mut == rwForgetsDirt {
					n.gate &^= ownerDied
				}
			}
		})
	case rwClose:
		do("close", func(n *rwWorld, p *rwProc) {
			if w.mut != rwAloneOpen || !p.alone {
				n.gate |= gateClosed
			}
			p.cl, p.pc, p.ask, p.place = class(n.gate), rwShut, false, 0
		})
	case rwShut:
		do("shut a lane", func(n *rwWorld, p *rwProc) {
			for ; int(p.place) < len(n.lanes); p.place++ { // a shut one in no time
				if laneIsOpen(n.lanes[p.place]) {
					n.shutLane(int(p.place))
					return
				}
			}
			p.pc, p.place = rwDrain, 0
		})
	case rwDrain:
		w.drainStep(i, do)
	case rwDrainSleep:
		do("sleep on a cell", func(n *rwWorld, p *rwProc) {
			p.pc = rwDrain
			if n.drain != 0 {
				n.fault = "two writers wait for readers"
			}
			if v := n.word(p.place); w.half(p.place, v) == w.half(p.place, p.v) {
				n.drain, n.at, p.pc = int8(i+1), w.lane(p.place), rwDrainAsleep
			}
		})
	case rwDrainAsleep:
		n := w
		n.drain = 0
		n.p[i].pc, n.p[i].ask = rwDrain, true
		if w.lifeOf(w.tokenAt(p.place, p.v)) != alive {
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
			p.place = 0
			p.told = n.gate&ownerDied != 0
			if p.told != n.dirty {
				n.fault = fmt.Sprintf("writer %d was told died=%v, true is %v", i, p.told, n.dirty)
			}
			if p.alone {
				n.gate |= gateShared
				p.cl, p.pc = class(n.gate), rwRead
				return
			}
			n.gate |= gateWriting
			p.pc = rwWrite
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
