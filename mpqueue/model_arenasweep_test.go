package mpqueue

// moves calls f with every state that can follow w.
func (m *arenaModel) moves(w *arenaWorld, f func(kind moveKind, who int, n *arenaWorld)) {
	try := func(kind moveKind, who int, act func(n *arenaWorld, p *arenaProc)) {
		n := *w
		act(&n, &n.proc[who])
		f(kind, who, &n)
	}
	slot, orphan := w.take()
	room := false
	for k := range m.slots {
		room = room || w.slot[k].state == free
	}
	for i := range w.proc {
		p := &w.proc[i]
		if p.dead == 2 {
			if m.consumer(i) { // another comes in its place
				try(step, i, func(_ *arenaWorld, p *arenaProc) { *p = arenaProc{pc: rTop} })
			}
			continue
		}
		if p.pc == rDone && !w.named(i) {
			continue
		}
		if w.kills < m.kills {
			try(kill, i, func(n *arenaWorld, _ *arenaProc) { m.kill(n, i) })
		}
		if w.cancels < m.cancels && p.dead == 0 && (p.pc == rPut || p.pc == rAsleep) {
			try(outside, i, func(n *arenaWorld, p *arenaProc) {
				if n.cancels++; p.pc == rPut {
					p.pc = rDrop
				} else {
					p.next()
				}
			})
		}
		switch {
		case p.pc == rAsleep:
			try(backstop, i, func(_ *arenaWorld, p *arenaProc) { p.rouse() })
			continue
		case p.pc == rPut && !room, p.pc == rTop && !m.growing && slot < 0 && orphan < 0:
			continue
		case p.pc == rSleeping && slot < 0 && orphan < 0:
			try(backstop, i, func(_ *arenaWorld, p *arenaProc) { p.pc, p.idle = rTop, min(m.keep, 1) })
			continue
		case p.pc == rDone:
			continue
		case p.pc == rAlloc && m.cursors && m.puts[i] != arenaRun:
			for ci := uint8(1); ci < m.chunks; ci++ {
				try(step, i, func(n *arenaWorld, p *arenaProc) { p.ci = ci; m.act(n, i) })
			}
		case p.pc == rMemory && w.full < m.full:
			try(step, i, func(n *arenaWorld, p *arenaProc) { n.full++; p.pc = rRefused })
		}
		try(step, i, func(n *arenaWorld, _ *arenaProc) { m.act(n, i) })
	}
}

// named reports whether a block has the name of process i.
func (w *arenaWorld) named(i int) bool {
	for _, h := range w.block {
		if int(h.owner) == i+1 {
			return true
		}
	}
	return false
}

// kill ends process i, or the process that sweeps it.
func (m *arenaModel) kill(w *arenaWorld, i int) {
	p := &w.proc[i]
	w.kills++
	switch {
	case p.dead != 0:
	case !m.consumer(i) && (p.pc == rPut || p.pc == rDrop):
		w.live &^= 1 << p.tag // nobody has been told that it was put
	case m.consumer(i) && !m.receives && (p.pc == rCopyRoom || p.pc == rCopy):
		w.live &^= 1 << p.tag // it goes with its consumer
	}
	*p = arenaProc{dead: 1, pc: rHeld}
}

// sweep is a step of the sweep of process i. Words that do not name it are passed
// over in no time: nobody writes its name any more.
func (m *arenaModel) sweep(w *arenaWorld, i int) {
	p, self := &w.proc[i], uint8(i+1)
	find := func(states ...uint8) bool {
		for b := range 2 * m.chunks {
			h := w.block[b]
			if h.owner != self || w.chunk[b/2].headed == 0 || h.state != states[0] && h.state != states[1] {
				continue
			}
			if c := w.chunk[b/2]; m.mutant == "the sweep looks at the blocks of today only" && (c.state != cSlab && c.state != cRun || b%2 >= c.per()) {
				continue
			}
			w.read(p, b)
			p.block = b + 1
			return true
		}
		return false
	}
	home := func(states ...uint8) bool {
		for _, s := range w.slot {
			if s.block == p.block && s.state != free && (s.state == states[0] || s.state == states[1]) {
				return true
			}
		}
		return false
	}
	switch p.pc {
	case rHeld:
		if p.pc = rHeldHome; find(bTaken, bLeased) {
			return
		}
		p.pc = rSlots
		m.sweep(w, i)
	case rHeldHome:
		if p.gone, p.pc = 0, rHeldSwap; home(reading, reading) {
			p.gone = 1
		}
	case rHeldSwap:
		switch b := p.block - 1; {
		case p.gone != 0:
			w.swap(p, b, bOwned, 0)
		case w.block[b].state == bTaken:
			w.swap(p, b, bFree, 0)
		default:
			w.swap(p, b, bOrphan, 0)
		}
		*p = arenaProc{dead: 1, pc: rHeld}
	case rSlots:
		for k := range w.slot {
			if s := &w.slot[k]; s.state == reading && s.owner == self {
				s.state, s.owner = ready, 0
				return
			}
		}
		p.pc = rOwned
		m.sweep(w, i)
	case rOwned:
		if p.pc = rHome; find(bOwned, bGone) {
			return
		}
		p.pc, p.ci = rChunks, 0
		m.sweep(w, i)
	case rHome:
		if p.pc = rHomeNot; home(ready, reading) && m.mutant != "the sweep frees what has been put" {
			p.pc = rHomeIs
		}
	case rHomeIs:
		w.swap(p, p.block-1, bOwned, 0)
		*p = arenaProc{dead: 1, pc: rOwned}
	case rHomeNot:
		w.swap(p, p.block-1, bFree, 0)
		*p = arenaProc{dead: 1, pc: rOwned}
	case rChunks:
		for ; p.ci < m.chunks; p.ci++ {
			if c := w.chunk[p.ci]; c.state == cClearing && c.owner == self {
				p.w, p.k, p.pc = c, 1, rBodies
				if c.count < 2 || m.mutant == "the sweep forgets bodies" {
					p.pc = rHead
				}
				return
			}
		}
		p.pc, p.ci = rSignal, 0
		m.sweep(w, i)
	case rBodies:
		if c := w.chunk[p.ci+p.k]; c.state == cBody && c.count == p.k {
			p.pc = rBody
			return
		}
		p.body(m)
	case rBody:
		if c := &w.chunk[p.ci+p.k]; c.state == cBody && c.count == p.k {
			*c = arenaChunk{filled: c.filled, headed: c.headed}
		}
		p.body(m)
	case rHead:
		if c := &w.chunk[p.ci]; *c == p.w {
			*c = arenaChunk{filled: c.filled, headed: c.headed}
			if m.mutant == "the sweep forgets that there is memory" {
				c.filled = 0
			}
		}
		*p = arenaProc{dead: 1, pc: rChunks, ci: p.ci + 1}
	case rSignal:
		w.signalRoomy()
		p.pc = rWakeAll
	case rWakeAll:
		if m.mutant != "the sweep wakes nobody" {
			w.wakeRoomy()
		}
		*p = arenaProc{dead: 2}
	}
}

// body goes on to the next body of a run that the dead one was at.
func (p *arenaProc) body(m *arenaModel) {
	p.pc = rBodies
	if p.k++; p.k >= min(p.w.count, m.chunks-p.ci) {
		p.pc = rHead
	}
}
