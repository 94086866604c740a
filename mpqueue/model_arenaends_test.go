package mpqueue

// nextBlock goes on to the next block of a slab that was found.
func (m *arenaModel) nextBlock(p *arenaProc) {
	p.valid, p.pc = 0, rBlock
	if p.i++; p.i == p.w.per() {
		p.w = arenaChunk{}
		m.nextChunk(p)
	}
}

// unused looks at one chunk that could be seized.
func (m *arenaModel) unused(w *arenaWorld, p *arenaProc, n uint8) {
	c := w.chunk[p.ci+p.there]
	switch {
	case c.state == cEmpty:
		m.usable(p, 1, n)
	case p.clear != 0 && (c.state == cSlab || c.state == cRun):
		p.w, p.i, p.gone, p.pc = c, 0, 0, rScan
	default:
		if c.state == cClearing {
			p.at = c.owner
		}
		m.prepare(p, p.ci+p.there+1)
	}
}

// usable goes on after so many chunks more can be had.
func (m *arenaModel) usable(p *arenaProc, count, n uint8) {
	p.pc = rUnused
	if p.there += count; p.there >= n {
		p.pc, p.there, p.got = rSeize, 0, 0
	}
}

// undoRetire frees the blocks that were taken out of use before one that is in use.
func (m *arenaModel) undoRetire(p *arenaProc) {
	p.valid, p.k, p.pc = 0, 0, rRetireUndo
	if p.i == 0 {
		p.w = arenaChunk{}
		p.tell(rLost)
	}
}

// established goes on after chunks have been prepared: the rest looks for room again.
func (m *arenaModel) established(p *arenaProc) {
	p.k, p.got, p.clear, p.at, p.seen = 0, 0, 0, 0, 0
	p.tell(rLook)
}

// signalRoomy and wakeRoomy are signalAll.
func (w *arenaWorld) signalRoomy() {
	w.waited = 0
	for i := range w.proc {
		w.proc[i].armed = 0
	}
}

func (w *arenaWorld) wakeRoomy() {
	for i := range w.proc {
		w.proc[i].rouse()
	}
}

func (p *arenaProc) rouse() {
	if p.asleep != 0 {
		p.asleep, p.armed, p.looked, p.pc = 0, 0, 0, rWait
	}
}

// told goes on after roomier.
func (m *arenaModel) told(w *arenaWorld, p *arenaProc) {
	then := p.then
	p.then = 0
	switch then {
	case rLook, rTop:
		p.pc = then
	case rUndo:
		m.nextChunk(p)
	case rLost:
		m.notSeized(w, p)
	case rUnused:
		m.prepare(p, p.ci+p.got+1)
	case rGive:
		m.nextGive(w, p)
	default:
		p.next()
	}
}

// next is the next message of one who puts.
func (p *arenaProc) next() {
	*p = arenaProc{left: p.left - 1, tag: p.tag}
	if p.left == 0 {
		p.pc = rDone
	} else {
		p.tag++
	}
}

// nextGive goes on to the next chunk that may have memory to give back.
func (m *arenaModel) nextGive(w *arenaWorld, p *arenaProc) {
	*p = arenaProc{pc: rGive, ci: p.ci + 1, giving: p.giving, idle: p.idle}
	if p.ci < m.chunks {
		return
	}
	if p.giving == 2 && (m.keep == 0 || p.idle != 0) {
		for ci := m.keep; ci < m.chunks; ci++ {
			if w.mem[ci] != 0 {
				w.fail(arenaKept)
			}
		}
	}
	*p = arenaProc{pc: rSleeping}
}

// end has the steps of who has found a block, or none; and of those who get.
func (m *arenaModel) end(w *arenaWorld, i int) {
	p, self := &w.proc[i], uint8(i+1)
	b := p.block - 1
	switch p.pc {
	case rWait:
		w.waited, p.armed, p.looked, p.ci, p.pc = 1, 1, 1, 0, rAlloc
	case rSleep:
		p.looked, p.pc = 0, rWait
		if p.armed != 0 {
			p.asleep, p.pc = 1, rAsleep
		}
	case rRoom:
		p.seen, p.i, p.ci, p.looked, p.armed, p.valid = 0, 0, 0, 0, 0, 0
		p.pc = rFill
		m.spacious(w, b, m.puts[i])
	case rFill:
		for u := b; u < b+1<<m.puts[i]; u++ {
			if t := w.unit[u]; t != 0 && w.live&(1<<(t-1)) != 0 {
				w.fail(arenaTwice)
			}
			m.touch(w, u)
			w.unit[u] = p.tag + 1
		}
		w.live |= 1 << p.tag
		p.pc = rPut
	case rPut:
		for k := range w.slot[:m.slots] {
			if s := &w.slot[k]; s.state == free {
				*s = arenaSlot{state: ready, block: p.block, tag: p.tag}
				break
			}
		}
		p.next()
	case rDrop:
		w.write(b, bFree, 0)
		w.live &^= 1 << p.tag
		p.block = 0
		p.tell(rDrop)

	case rTop, rSleeping:
		m.claim(w, i)
	case rOwn:
		if w.block[b].state != bOwned {
			w.fail(arenaCorrupt)
		}
		st := uint8(bTaken)
		if m.receives {
			st = bLeased
		}
		w.write(b, st, self)
		if m.mutant == "a block is freed before its slot" {
			w.write(b, bFree, 0)
		}
		p.pc = rRelease
	case rRelease:
		w.slot[p.slot-1] = arenaSlot{}
		p.slot, p.pc = 0, rCopyRoom
	case rCopyRoom:
		m.spacious(w, b, m.puts[p.tag/2])
		p.pc = rCopy
	case rCopy:
		for u := b; u < b+1<<m.puts[p.tag/2]; u++ {
			if m.touch(w, u); w.unit[u] != p.tag+1 {
				w.fail(arenaTorn)
			}
		}
		if !m.receives {
			w.live &^= 1 << p.tag
		}
		p.pc = rFree
	case rFree:
		w.write(b, bFree, 0)
		w.live &^= 1 << p.tag
		*p = arenaProc{}
		if p.tell(rTop); m.mutant == "who frees a block wakes nobody" {
			p.pc, p.then = rTop, 0
		}
	case rGive:
		c := w.chunk[p.ci]
		over := p.idle != 0 && c.state == cRun && p.ci+c.count > m.keep && m.mutant != "a run that begins in what is kept is kept"
		if p.pc = rSeize; c.filled == 0 || p.ci < m.keep && !over {
			m.nextGive(w, p)
		}
	case rPunch:
		for u := 2 * p.ci; u < 2*p.ci+2; u++ {
			if t := w.unit[u]; t != 0 && w.live&(1<<(t-1)) != 0 {
				w.fail(arenaPunched)
			}
			w.unit[u] = 0
		}
		w.mem[p.ci], p.pc = 0, rGiven
		if m.mutant == "a chunk is empty before its memory is given back" {
			m.nextGive(w, p)
		}
	case rKept:
		w.chunk[p.ci] = arenaChunk{headed: w.chunk[p.ci].headed, filled: 1}
		p.tell(rGive)
	case rGiven:
		w.chunk[p.ci] = arenaChunk{headed: w.chunk[p.ci].headed}
		if p.tell(rGive); m.mutant == "who has given memory back wakes nobody" {
			p.then = 0
			m.nextGive(w, p)
		}
		if m.mutant == "a chunk is empty before its memory is given back" {
			p.pc, p.then = rPunch, 0
		}
	default:
		m.sweep(w, i)
	}
}

// spacious looks at the word of a chunk: is b a block of it that is large enough?
func (m *arenaModel) spacious(w *arenaWorld, b, class uint8) {
	if from, to := w.chunk[b/2].room(b); to-from < 1<<class {
		w.fail(arenaCorrupt)
	}
}

func (m *arenaModel) touch(w *arenaWorld, u uint8) {
	if w.mem[u/2] == 0 {
		w.fail(arenaNoMemory)
	}
}

// claim takes the oldest message, or finds none.
func (m *arenaModel) claim(w *arenaWorld, i int) {
	p := &w.proc[i]
	slot, orphan := w.take()
	if orphan >= 0 || slot >= 0 {
		p.idle = 0
	}
	switch {
	case orphan >= 0:
		w.write(uint8(orphan), bLeased, uint8(i+1))
		p.block, p.tag, p.pc = uint8(orphan+1), w.unit[orphan]-1, rCopyRoom
	case slot >= 0:
		s := &w.slot[slot]
		s.state, s.owner = reading, uint8(i+1)
		p.block, p.tag, p.slot, p.pc = s.block, s.tag, uint8(slot+1), rOwn
	default:
		p.giving, p.ci, p.pc = 1, 0, rGive
		if m.quiet(w, i) {
			p.giving = 2
		}
		for k := range w.proc {
			if k != i && w.proc[k].giving != 0 {
				w.proc[k].giving = 1 // no longer alone
			}
		}
	}
}
