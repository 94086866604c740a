package futexlock

import "fmt"

// The steps of the world in model_semaphore_test.go.

// takeNow is take in one step; for owned permits the cells are tried in turn.
func (w *semWorld) takeNow(i int) bool {
	p := &w.p[i]
	if !w.owned {
		if w.value < p.want {
			return false
		}
		w.value -= p.want
		return true
	}
	for k := range w.cells {
		if permitState(w.cells[k]) == permitFree {
			w.cells[k] = ownedBy(w.cells[k], token(i)) & (1<<32 - 1) // turns would make states endless
			if w.mut == semTwoSteps {
				w.cells[k] = permitOut
			}
			p.cell = int8(k)
			return true
		}
	}
	return false
}

func (w semWorld) step(i int, yield func(string, moveKind, semWorld)) {
	do := func(label string, f func(n *semWorld, p *semProc)) {
		n := w
		f(&n, &n.p[i])
		yield(fmt.Sprintf("%d %s", i, label), step, n)
	}
	p := w.p[i]
	got := func(p *semProc) {
		p.pc = semInside
		if w.mut == semTwoSteps {
			p.pc = semName
		}
	}
	switch p.pc {
	case semFast:
		do("fast look", func(n *semWorld, p *semProc) {
			p.pc = semFastTake
			if n.bell&starving != 0 {
				p.pc = semMay
			}
		})
	case semFastTake:
		do("fast take", func(n *semWorld, p *semProc) {
			if n.takeNow(i) {
				got(p)
			} else {
				p.pc = semMay
			}
		})
	case semMay:
		do("may", func(n *semWorld, p *semProc) {
			p.pc = semMayTake
			if n.bell&starving != 0 {
				p.pc = semMayWake
			}
		})
	case semMayWake:
		do("may wake", func(n *semWorld, p *semProc) {
			p.pc = semMayTake
			if n.wake(1) > 0 {
				p.pc = semLook
			}
		})
	case semMayTake:
		do("may take", func(n *semWorld, p *semProc) {
			if n.takeNow(i) {
				got(p)
			} else {
				p.pc = semLook
			}
		})
	case semName:
		do("name", func(n *semWorld, p *semProc) {
			n.cells[p.cell] = permitOwned | uint64(token(i))
			p.pc = semInside
		})
	case semLook:
		do("look", func(n *semWorld, p *semProc) {
			p.v = n.bell
			p.nv = p.v | waited
			if p.want > 1 {
				p.nv |= bellLarge
			}
			if p.long {
				p.nv |= starving
			}
			p.pc = semSign
		})
	case semSign:
		do("sign", func(n *semWorld, p *semProc) {
			switch {
			case n.bell != p.v:
				p.pc = semLook
			default:
				n.bell = p.nv
				p.pc = semReclaim
				if w.mut == semNoRecheck && p.nv != p.v {
					p.pc = semSleep
				}
			}
		})
	case semReclaim:
		w.reclaim(i, do)
	case semTake:
		do("take", func(n *semWorld, p *semProc) {
			if !(p.v&starving == 0 || p.entitled || p.long) || !n.takeNow(i) {
				p.pc = semSleep
				return
			}
			got(p)
			if w.mut == semTwoSteps {
				return
			}
			p.pc = semRest
			if p.v&starving != 0 && (p.lost || !p.long) {
				p.pc = semCalm
			}
			if p.nv&(starving|bellLarge) == 0 {
				p.pc = semInside
			}
		})
	case semSleep:
		do("sleep", func(n *semWorld, p *semProc) {
			if n.bell == p.nv {
				n.queue.push(i)
				p.pc = semAsleep
				return
			}
			p.pc, p.entitled, p.lost = semLook, false, false
		})
	case semAsleep:
		n := w
		n.queue.remove(i)
		n.p[i].pc, n.p[i].entitled, n.p[i].lost, n.p[i].long = semLook, true, true, true
		yield(fmt.Sprintf("%d backstop", i), backstop, n)
		for k := range w.cells {
			if t := permitToken(w.cells[k]); t != 0 && w.p[t-1].life != alive {
				yield(fmt.Sprintf("%d hears of the death", i), step, n)
			}
		}
		if p.cancels > 0 {
			n := w
			n.queue.remove(i)
			n.p[i].cancels--
			n.p[i].pc = semCancel
			yield(fmt.Sprintf("%d cancelled", i), step, n)
		}
	default:
		w.after(i, do)
	}
	if p.pc == semLook && p.cancels > 0 && p.entitled {
		do("cancelled", func(n *semWorld, p *semProc) { p.cancels, p.pc = p.cancels-1, semCancel })
	}
}

// reclaim frees the cells of the dead, each in a step.
func (w semWorld) reclaim(i int, do func(string, func(*semWorld, *semProc))) {
	p := w.p[i]
	dyingToo := false
	if w.owned {
		for k := range w.cells {
			t := permitToken(w.cells[k])
			if t == 0 || w.p[t-1].life == alive {
				continue
			}
			if w.p[t-1].life == dying && w.mut != semTakesDying {
				dyingToo = true
				continue
			}
			do("reclaim", func(n *semWorld, p *semProc) {
				n.cells[k], _ = bequeathed(n.cells[k])
				p.pc, p.then, p.n = semAnnounce, semLook, 1
			})
			if p.lost {
				return // Confirm has told us for sure
			}
		}
	}
	if dyingToo && p.lost {
		return // polls until it is dead
	}
	do("reclaim nothing", func(n *semWorld, p *semProc) { p.pc = semTake })
}

func (w semWorld) after(i int, do func(string, func(*semWorld, *semProc))) {
	switch w.p[i].pc {
	case semCancel:
		do("pass on", func(n *semWorld, p *semProc) {
			p.pc, p.then, p.n = semNext, semNext, 1
			if n.free() > 0 && w.mut != semKeepsRing {
				p.pc = semAnnounce
			}
		})
	case semCalm:
		do("calm", func(n *semWorld, p *semProc) {
			if n.bell&starving != 0 {
				n.bell = rung(n.bell) &^ starving
			}
			p.pc = semRest
		})
	case semRest:
		do("rest", func(n *semWorld, p *semProc) {
			p.pc = semInside
			if n.free() > 0 {
				p.pc, p.then, p.n = semAnnounce, semInside, 1
			}
		})
	case semInside:
		do("give", func(n *semWorld, p *semProc) {
			if w.owned {
				if n.cells[p.cell] != permitOwned|uint64(token(i)) {
					n.fault = fmt.Sprintf("process %d lost its permit: %#x", i, n.cells[p.cell])
				}
				n.cells[p.cell] = freed(n.cells[p.cell])
			} else {
				n.value += p.want
			}
			p.pc, p.then, p.n = semAnnounce, semNext, p.want
		})
	case semAnnounce:
		do("announce", func(n *semWorld, p *semProc) {
			p.v = n.bell
			p.pc = semRing
			if p.v&waited == 0 {
				p.pc = p.then
			}
		})
	case semRing:
		do("ring", func(n *semWorld, p *semProc) {
			if n.bell != p.v {
				p.pc = semAnnounce
				return
			}
			n.bell = rung(p.v)
			p.v, p.pc = n.bell, semRingWake
			if p.v&bellLarge != 0 {
				p.n = -1
			}
		})
	case semRingWake:
		do("wake", func(n *semWorld, p *semProc) {
			p.pc = semSilent
			if want := p.n; n.wake(want) == want {
				p.pc = p.then
			}
		})
	case semSilent:
		do("drop flags", func(n *semWorld, p *semProc) {
			if n.bell != p.v {
				p.pc = p.then
				return
			}
			n.bell = silent(p.v)
			p.pc = semSilentWake
		})
	case semSilentWake:
		do("wake who came since", func(n *semWorld, p *semProc) {
			if w.mut != semSilentAwake {
				n.wake(-1)
			}
			p.pc = p.then
		})
	case semNext:
		do("next", func(n *semWorld, p *semProc) {
			r := p.rounds - 1
			*p = semProc{want: p.want, rounds: r, cancels: p.cancels}
			if r == 0 {
				p.pc = semOver
			}
		})
	}
}
