package futexlock

import "fmt"

// The steps of the world in model_cond_test.go.

func (w condWorld) step(i int, yield func(string, moveKind, condWorld)) {
	do := func(label string, f func(n *condWorld, p *condProc)) {
		n := w
		f(&n, &n.p[i])
		yield(fmt.Sprintf("%d %s", i, label), step, n)
	}
	p := w.p[i]
	switch p.pc {
	case condLock:
		if w.mu != 0 {
			return
		}
		do("lock", func(n *condWorld, p *condProc) {
			if p.woken && w.mut != condAnswersEarly {
				p.woken = false
				n.mu, p.pc = int8(i+1), condTell
				return
			}
			switch {
			case i == 2: // makes an item under the lock, and lets go at once
				n.items++
				p.make--
				p.pc = condSignal
				if w.inside {
					n.mu = int8(i + 1)
				}
			case n.items > 0:
				n.items--
				p.pc = condOver
			case w.mut == condSignsOutside:
				p.pc = condSign
			default:
				n.mu, p.pc = int8(i+1), condSign
			}
		})
	case condTell:
		do("answer", func(n *condWorld, p *condProc) {
			if condCrowd(n.state) == condCrowd(p.v) {
				n.state = answered(n.state, 1)
			}
			n.mu, p.pc = 0, condLock // at once again: one critical section
			if n.items > 0 {
				n.items--
				p.pc = condOver
			}
		})
	case condSign:
		do("sign", func(n *condWorld, p *condProc) {
			n.state |= condWaited
			p.v = n.state
			p.pc = condFree
		})
	case condFree:
		do("unlock", func(n *condWorld, p *condProc) {
			if n.mu == int8(i+1) {
				n.mu = 0
			}
			p.pc = condWait
		})
	case condWait:
		do("wait", func(n *condWorld, p *condProc) {
			p.woken, p.slept = false, false
			if uint32(n.state) == uint32(p.v) {
				n.queue.push(i)
				p.pc = condAsleep
				return
			}
			p.pc = condRead
		})
	case condAsleep:
		n := w
		n.queue.remove(i)
		n.p[i].pc, n.p[i].slept = condRead, true
		yield(fmt.Sprintf("%d backstop", i), backstop, n)
	case condRead:
		do("read", func(n *condWorld, p *condProc) {
			p.now = n.state
			switch {
			case p.woken:
				p.pc = condLock
				if w.mut == condAnswersEarly {
					n.state = answered(n.state, 1)
				}
			case condSeq(p.now) == condSeq(p.v):
				p.pc = condWait
				if w.doubt {
					p.pc = condLock
				}
			case !p.slept || condCrowd(p.now) != condCrowd(p.v):
				p.pc = condLock
			default:
				p.pc = condAnswer
			}
		})
	case condAnswer:
		do("answer", func(n *condWorld, p *condProc) {
			can := condCrowd(n.state) == condCrowd(p.v) && condPending(n.state) > 0
			if w.mut == condNoAnswer {
				can = false
			}
			if can {
				n.state = answered(n.state, 1)
			}
			p.pc = condLock
			if !can {
				p.pc = condResign
			}
		})
	case condResign:
		do("sign again", func(n *condWorld, p *condProc) {
			if w.mut == condResignsLate {
				p.now = n.state
			}
			if n.state != p.now {
				p.pc = condRead
				return
			}
			n.state |= condWaited
			p.v = n.state
			p.pc = condWait
			if w.doubt {
				p.pc = condLock
			}
		})
	default:
		w.signal(i, do)
	}
}

// signal is the maker's side.
func (w condWorld) signal(i int, do func(string, func(*condWorld, *condProc))) {
	next := func(p *condProc) {
		p.v = 0
		p.pc = condLetGo
	}
	switch w.p[i].pc {
	case condSignal:
		do("signal", func(n *condWorld, p *condProc) {
			switch {
			case n.state&condWaited == 0:
				next(p)
			case w.crowd:
				n.state = broadcast(n.state)
				p.pc = condWakeAll
			default:
				n.state = signalled(n.state, 1)
				p.v = n.state
				p.pc = condWake
			}
		})
	case condLetGo:
		do("let go", func(n *condWorld, p *condProc) {
			if w.inside {
				n.mu = 0
			}
			p.pc = condOver
			if p.make > 0 {
				p.pc = condLock
			}
		})
	case condWakeAll:
		do("wake all", func(n *condWorld, p *condProc) { n.wake(-1); next(p) })
	case condWake:
		do("wake", func(n *condWorld, p *condProc) {
			if n.wake(1) == 1 {
				next(p)
			} else {
				p.pc = condQuiet
			}
		})
	case condQuiet:
		do("drop flag", func(n *condWorld, p *condProc) {
			if condSeq(n.state) != condSeq(p.v) {
				next(p)
				return
			}
			v := n.state
			n.state = broadcast(v)
			switch w.mut {
			case condQuietSeq:
				n.state = n.state&^(1<<32-1) | v&(1<<32-1)&^condWaited
			case condQuietCrowd:
				n.state = n.state&^(0xffff<<32) | v&(0xffff<<32)
			}
			p.pc = condQuietWake
		})
	case condQuietWake:
		do("wake who came since", func(n *condWorld, p *condProc) {
			if w.mut != condQuietAsleep {
				n.wake(-1)
			}
			next(p)
		})
	}
}
