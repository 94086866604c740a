package futexlock

import "fmt"

// The steps of the world in model_mutex_test.go.

// step yields what process i can do next. Each case is one atomic access to
// shared memory, or one system call.
func (w mutexWorld) step(i int, yield func(string, moveKind, mutexWorld)) {
	self := token(i)
	do := func(label string, f func(n *mutexWorld, p *locker)) {
		n := w
		f(&n, &n.p[i])
		yield(fmt.Sprintf("%d %s", i, label), step, n)
	}
	p := w.p[i]
	switch p.pc {
	case idle:
		if i == 2 && w.tries {
			do("trylock", func(n *mutexWorld, p *locker) { p.pc = tryLook })
			return
		}
		do("lock", func(n *mutexWorld, p *locker) {
			switch {
			case w.mut == ownerAfter:
				if n.cas(0, holderMask-1) {
					p.pc = named
				} else {
					p.pc = look
				}
			case n.cas(0, self):
				n.enter(i, false)
			default:
				p.pc = look
			}
		})
	case named:
		do("name", func(n *mutexWorld, p *locker) {
			n.word = n.word&^holderMask | self
			n.enter(i, n.word&ownerDied != 0)
		})
	case look:
		if p.cancels > 0 && p.entitled {
			// Woken and cancelled at once.
			do("cancelled", func(n *mutexWorld, p *locker) { p.cancels, p.pc = p.cancels-1, pass })
		}
		w.look(i, do)
	case take:
		do("take", func(n *mutexWorld, p *locker) {
			keep := uint32(0)
			if p.keep && w.mut != forgetsKeep {
				keep = waited
			}
			nv := taken(p.v, self, keep, p.long && !p.lost)
			if w.mut == ownerAfter {
				nv = nv&^holderMask | holderMask - 1
			}
			switch {
			case !n.cas(p.v, nv):
				p.pc = look
			case w.mut == ownerAfter:
				p.pc = named
			default:
				n.enter(i, p.v&ownerDied != 0)
			}
		})
	case inherit:
		do("inherit", func(n *mutexWorld, p *locker) {
			keep := uint32(0)
			if p.keep {
				keep = waited
			}
			nv := inherited(p.v, self, keep)
			if w.mut == dropsDied {
				nv &^= ownerDied
			}
			if n.cas(p.v, nv) {
				n.enter(i, nv&ownerDied != 0)
			} else {
				p.pc = look
			}
		})
	case sign:
		do("sign", func(n *mutexWorld, p *locker) {
			if p.nv == p.v || n.cas(p.v, p.nv) {
				p.keep, p.pc = true, wait
			} else {
				p.pc = look
			}
		})
	case wait:
		do("wait", func(n *mutexWorld, p *locker) {
			if n.word == p.nv {
				n.queue.push(i)
				p.pc = asleep
				return
			}
			p.pc, p.entitled, p.lost = look, false, false
		})
	case asleep:
		n := w
		n.queue.remove(i)
		q := &n.p[i]
		q.pc, q.entitled, q.lost, q.long = look, true, true, true
		if w.lifeOf(holderOf(p.nv)) != alive {
			yield(fmt.Sprintf("%d hears of the death", i), step, n)
		} else {
			yield(fmt.Sprintf("%d backstop", i), backstop, n)
		}
		if p.cancels > 0 {
			n := w
			n.queue.remove(i)
			n.p[i].cancels--
			n.p[i].pc = pass
			yield(fmt.Sprintf("%d cancelled", i), step, n)
		}
	case pass:
		do("pass on", func(n *mutexWorld, p *locker) {
			v := n.word
			switch {
			case !isFree(v) || v&(waited|starving) == 0 || w.mut == keepsBaton:
				p.leave()
			case v&starving != 0:
				p.pc = reopenLook
			default:
				p.pc = passWake
			}
		})
	case passWake:
		do("pass on wake", func(n *mutexWorld, p *locker) { n.wake(1); p.leave() })
	case inside:
		do("unlock", func(n *mutexWorld, p *locker) {
			if n.cas(self, 0) {
				p.leave()
			} else {
				p.pc = unlockLook
			}
		})
		if p.told {
			do("repair", func(n *mutexWorld, p *locker) {
				p.told, n.dirty = false, false
				n.word &^= ownerDied
			})
		}
	default:
		w.unlockStep(i, do)
	}
}

// look is a locker's load of the word and what follows from it.
func (w mutexWorld) look(i int, do func(string, func(*mutexWorld, *locker))) {
	p := w.p[i]
	v := w.word
	h := w.lifeOf(holderOf(v))
	gone := h == dead || h == dying && w.mut == noQuiescence
	if open(v, p.entitled) {
		do("look", func(n *mutexWorld, p *locker) { p.v, p.pc = v, take })
		return
	}
	if gone {
		do("look", func(n *mutexWorld, p *locker) { p.v, p.pc = v, inherit })
	}
	// Dead reads memory and may not know yet; Confirm, after a slice, does.
	if gone && p.lost || h == dying && p.lost {
		return
	}
	do("look", func(n *mutexWorld, p *locker) {
		p.v, p.nv, p.pc = v, awaited(v, p.long), sign
		if w.mut == noBackstopCAS && isFree(v) {
			p.nv = v | waited
		}
	})
}

func (w mutexWorld) unlockStep(i int, do func(string, func(*mutexWorld, *locker))) {
	self := token(i)
	switch w.p[i].pc {
	case unlockLook:
		do("unlock look", func(n *mutexWorld, p *locker) {
			p.v = n.word
			if holderOf(p.v) != self {
				n.fault = fmt.Sprintf("process %d lost the word to %#x", i, p.v)
			}
			if p.v == self|ownerDied {
				p.pc = unlockDied
				return
			}
			p.pc = release
		})
	case unlockDied:
		do("unlock, data in doubt", func(n *mutexWorld, p *locker) {
			if n.cas(p.v, ownerDied) {
				p.leave()
				return
			}
			p.pc = release
		})
	case release:
		do("release", func(n *mutexWorld, p *locker) {
			if w.mut == dropsWaited {
				n.word &= ownerDied
				p.pc = mutWake
				return
			}
			store, rest := released(p.v)
			p.v, p.nv = store, rest
			n.word = store
			if n.wake(1) == 0 {
				p.pc = drop
			} else {
				p.leave()
			}
		})
	case mutWake:
		do("wake", func(n *mutexWorld, p *locker) { n.wake(1); p.leave() })
	case drop:
		do("drop flag", func(n *mutexWorld, p *locker) {
			if n.cas(p.v, p.nv) || w.mut == noReopen {
				p.leave()
			} else {
				p.pc = reopenLook
			}
		})
	case reopenLook:
		do("reopen look", func(n *mutexWorld, p *locker) {
			p.v = n.word
			if !isFree(p.v) || p.v&starving == 0 {
				p.leave()
			} else {
				p.pc = reopenCAS
			}
		})
	case reopenCAS:
		do("reopen", func(n *mutexWorld, p *locker) {
			if n.cas(p.v, reopened(p.v)) {
				p.pc = reopenWake
			} else {
				p.pc = reopenLook
			}
		})
	case reopenWake:
		do("reopen wake", func(n *mutexWorld, p *locker) { n.wake(1); p.leave() })
	case tryLook:
		v := w.word
		h := w.lifeOf(holderOf(v))
		switch {
		case open(v, false):
			do("try look", func(n *mutexWorld, p *locker) { p.v, p.pc = v, tryTake })
		case isFree(v):
			do("try look", func(n *mutexWorld, p *locker) { p.v, p.pc = v, tryWake })
		case h == dead:
			do("try look", func(n *mutexWorld, p *locker) { p.v, p.pc = v, inherit })
			do("try busy", func(n *mutexWorld, p *locker) { p.leave() })
		default:
			do("try busy", func(n *mutexWorld, p *locker) { p.leave() })
		}
	case tryWake:
		do("try wake", func(n *mutexWorld, p *locker) {
			if n.wake(1) > 0 {
				p.leave()
			} else {
				p.pc = tryTake
			}
		})
	case tryTake:
		do("try take", func(n *mutexWorld, p *locker) {
			if n.cas(p.v, taken(p.v, self, 0, false)) {
				n.enter(i, p.v&ownerDied != 0)
			} else {
				p.pc = tryLook
			}
		})
	}
}

// sweepStep is the sweep of one dead process, as sweepWord does it.
func (w mutexWorld) sweepStep(yield func(string, moveKind, mutexWorld)) {
	do := func(label string, f func(n *mutexWorld, s *sweeper)) {
		n := w
		f(&n, &n.sweep)
		yield(label, step, n)
	}
	switch w.sweep.pc {
	case look:
		do("sweep look", func(n *mutexWorld, s *sweeper) {
			s.v, s.pc = n.word, inherit
			if holderOf(s.v) != uint32(s.of) {
				s.pc = pass
			}
		})
	case inherit:
		do("sweep orphan", func(n *mutexWorld, s *sweeper) {
			s.pc = look
			if n.cas(s.v, orphaned(s.v)) {
				s.pc = pass
			}
		})
	case pass:
		do("sweep pass on", func(n *mutexWorld, s *sweeper) {
			s.v, s.pc = n.word, over
			switch {
			case !isFree(s.v):
			case s.v&starving != 0:
				s.pc = reopenCAS
			case s.v&waited != 0:
				s.pc = passWake
			}
		})
	case reopenCAS:
		do("sweep reopen", func(n *mutexWorld, s *sweeper) {
			s.pc = pass
			if n.cas(s.v, reopened(s.v)) {
				s.pc = passWake
			}
		})
	case passWake:
		do("sweep wake", func(n *mutexWorld, s *sweeper) { n.wake(1); s.pc = over })
	case over:
		do("sweep ends", func(n *mutexWorld, s *sweeper) {
			n.p[s.of-1].cancels = 1 // swept
			*s = sweeper{}
		})
	}
	if w.sweep.of != 0 && w.kills > 0 {
		n := w
		n.kills--
		n.sweep = sweeper{} // another process begins again
		yield("kill the sweeper", kill, n)
	}
}
