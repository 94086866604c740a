package mpqueue

// The steps of those who put, and of all who take chunks apart. Each case is one
// access to shared memory; the code that it stands for is in arena.go and arenachunk.go.

type arenaStep uint8

const (
	rAlloc       arenaStep = iota // where it begins to look for a block
	rLook                         // at a chunk, for a slab or a run that would do
	rBlock                        // at a block of it
	rClaim                        // the block
	rCheck                        // the chunk again
	rUndo                         // the claim
	rUnused                       // looks at a chunk that it could seize,
	rScan                         // and at its blocks
	rSeize                        // looks at the chunk again
	rSeizeEmpty                   // an empty one
	rRetire                       // looks at a block of one in use
	rRetireBlock                  // takes it out of use
	rRetireUndo                   // puts it back, as another is in use
	rRetireChunk                  // seizes the chunk
	rRetireBody                   // empties the rest of a run
	rRetireFree                   // frees the blocks, the chunk being its own
	rRetireLost                   // or not
	rLost                         // looks who was faster
	rGiveUp                       // empties what it has seized
	rMemory                       // reserves memory
	rHeaders                      // and that of the headers
	rRefused                      // empties the chunks, for there is none
	rSlab                         // says that the chunk is a slab
	rRunHead                      // says how many bodies there will be
	rRunBody                      // makes a body
	rRunDone                      // says that it is a run
	rRoomy                        // looks whether somebody waits for room
	rRoomySignal                  // changes the word
	rRoomyWake                    // wakes all
	rWait                         // sets waited
	rSleep                        // falls asleep, or not
	rAsleep
	rRoom // looks how large the block is
	rFill // writes the message
	rPut  // into a slot
	rDrop // gives the block back
	rDone
	rTop // a consumer, where it claims a message
	rOwn
	rRelease
	rCopyRoom
	rCopy
	rFree
	rGive // looks whether a chunk has memory to give back
	rPunch
	rGiven
	rKept // empties the first chunk of a run, and keeps its memory
	rSleeping
	rHeld // the sweep: finds a block that the dead one had taken,
	rHeldHome
	rHeldSwap
	rSlots  // a slot
	rOwned  // a block that it had claimed
	rHome   // and the slot that refers to it, if one does
	rHomeIs // the block is the queue's
	rHomeNot
	rChunks // a chunk that it was at
	rBodies
	rBody
	rHead
	rSignal
	rWakeAll
)

var arenaStepNames = map[arenaStep]string{
	rAlloc: "begins to look for a block", rLook: "looks at a chunk", rBlock: "looks at a block", rClaim: "claims a block", rCheck: "looks at the chunk again",
	rUndo: "gives an outdated claim up", rUnused: "looks whether a chunk is unused", rScan: "looks whether a block is free", rSeize: "looks at a chunk to seize",
	rSeizeEmpty: "seizes an empty chunk", rRetire: "looks at a block to retire", rRetireBlock: "retires a block", rRetireUndo: "gives a retired block back",
	rRetireChunk: "seizes a retired chunk", rRetireBody: "empties a body", rRetireFree: "frees a block of its chunk", rRetireLost: "frees a block, the chunk being another's",
	rLost: "looks who was faster", rGiveUp: "empties a chunk", rMemory: "reserves memory", rHeaders: "reserves headers", rRefused: "empties a chunk, without memory",
	rSlab: "makes a slab", rRunHead: "announces bodies", rRunBody: "makes a body", rRunDone: "makes a run", rRoomy: "looks who waits for room",
	rRoomySignal: "signals roomy", rRoomyWake: "wakes all", rWait: "sets waited", rSleep: "falls asleep, or not", rAsleep: "wakes up", rRoom: "looks how large its block is",
	rFill: "writes", rPut: "puts", rDrop: "drops its block", rDone: "is done", rTop: "claims a message", rOwn: "takes the block", rRelease: "frees the slot",
	rCopyRoom: "looks how large the block is", rCopy: "copies", rFree: "frees the block", rGive: "looks for memory to give back", rPunch: "gives memory back",
	rGiven: "empties the chunk", rKept: "empties a chunk that it keeps", rSleeping: "sleeps until there is a message", rHeld: "looks for taken blocks", rHeldHome: "looks for its slot", rHeldSwap: "settles a taken block",
	rSlots: "settles a slot", rOwned: "looks for owned blocks", rHome: "looks for its slot", rHomeIs: "takes the name off a block", rHomeNot: "frees a block",
	rChunks: "looks for chunks", rBodies: "looks at a body", rBody: "empties a body", rHead: "empties the first chunk", rSignal: "signals roomy", rWakeAll: "wakes all",
}

// nextChunk goes on to look for a block; after the last chunk, for chunks to prepare.
func (m *arenaModel) nextChunk(p *arenaProc) {
	p.ci, p.seen, p.i, p.valid, p.pc = (p.ci+1)%m.chunks, p.seen+1, 0, 0, rLook
	if p.seen == m.chunks {
		p.clear, p.at, p.seen, p.w = 0, 0, 0, arenaChunk{}
		p.ci = 0
		m.prepare(p, 0)
	}
}

// prepare goes on with the chunks from ci on; when none are left, to the second
// round, and then to sleep.
func (m *arenaModel) prepare(p *arenaProc, ci uint8) {
	class := m.puts[(p.tag)/2]
	n := uint8(1)
	if class == arenaRun {
		n = 2
	}
	p.ci, p.there, p.got, p.i, p.k, p.gone, p.valid, p.w = ci, 0, 0, 0, 0, 0, 0, arenaChunk{}
	p.pc = rUnused
	if ci+n <= m.chunks {
		return
	}
	if p.ci = 0; p.clear == 0 {
		p.clear = 1
		return
	}
	p.clear, p.at = 0, 0
	if p.pc = rSleep; p.looked == 0 {
		p.pc = rWait
	}
}

// seized goes on after a chunk has become ours.
func (m *arenaModel) seized(p *arenaProc, n uint8) {
	p.i, p.k, p.valid, p.w = 0, 0, 0, arenaChunk{}
	if p.giving != 0 {
		if p.pc = rPunch; m.mutant == "a chunk is empty before its memory is given back" {
			p.pc = rGiven
		} else if p.ci < m.keep {
			p.pc = rKept
		}
		return
	}
	p.pc = rSeize
	if p.got++; p.got == n {
		p.pc, p.got = rMemory, 0
	}
}

// notSeized goes on after another was faster.
func (m *arenaModel) notSeized(w *arenaWorld, p *arenaProc) {
	p.i, p.k, p.valid, p.w = 0, 0, 0, arenaChunk{}
	if p.pc = rLost; p.giving != 0 {
		m.nextGive(w, p)
	}
}

// tell is roomier; then it goes on.
func (p *arenaProc) tell(then arenaStep) { p.pc, p.then = rRoomy, then }

// act is the next step of process i.
func (m *arenaModel) act(w *arenaWorld, i int) {
	p, self := &w.proc[i], uint8(i+1)
	class, n := uint8(0), uint8(1)
	if !m.consumer(i) {
		class, n = m.need(i)
	}
	b := 2*p.ci + p.i
	c := &w.chunk[min(p.ci+p.got, arenaChunks-1)] // of those who seize
	first := 2*(p.ci+p.got) + p.i                 // and their block
	switch p.pc {
	case rAlloc:
		p.i, p.pc = 0, rLook
		fallthrough
	case rLook:
		if p.w = w.chunk[p.ci]; p.w.state == cSlab && class != arenaRun && p.w.class == class || p.w.state == cRun && class == arenaRun && p.w.count >= n && p.w.count <= 2*n {
			p.i, p.pc = 0, rBlock
			break
		}
		p.w = arenaChunk{}
		m.nextChunk(p)
	case rBlock:
		if w.read(p, b).state == bFree {
			p.pc = rClaim
			break
		}
		m.nextBlock(p)
	case rClaim:
		if !w.swap(p, b, bOwned, self) {
			m.nextBlock(p)
			break
		}
		p.pc, p.block = rCheck, b+1
		if m.mutant == "a claim is not looked at again" {
			p.pc, p.w = rRoom, arenaChunk{}
		}
	case rCheck:
		now := w.chunk[p.ci]
		if class == arenaRun && now != p.w || class != arenaRun && (now.state != cSlab || now.class != class) {
			p.pc = rUndo
			break
		}
		p.pc, p.w = rRoom, arenaChunk{}
	case rUndo:
		w.write(p.block-1, bFree, 0)
		p.block, p.w = 0, arenaChunk{}
		if p.tell(rUndo); m.mutant == "who gives a claim up wakes nobody" {
			p.then = 0
			m.nextChunk(p)
		}
	case rUnused:
		m.unused(w, p, n)
	case rScan:
		switch h := w.read(p, 2*(p.ci+p.there)+p.i); h.state {
		case bFree:
		case bGone:
			p.gone = h.owner
		default:
			m.prepare(p, p.ci+p.there+1)
			return
		}
		p.valid = 0
		if p.i++; p.i < p.w.per() {
			break
		}
		if p.gone != 0 {
			p.at = p.gone
			m.prepare(p, p.ci+p.there+1)
			break
		}
		count := max(p.w.count, 1)
		p.i, p.w = 0, arenaChunk{}
		m.usable(p, count, n)

	case rSeize:
		p.w, p.k = *c, 0
		switch {
		case p.w.state == cEmpty:
			p.pc = rSeizeEmpty
		case p.clear+p.giving != 0 && (p.w.state == cSlab || p.w.state == cRun):
			p.i, p.pc = 0, rRetire
		default:
			m.notSeized(w, p)
		}
	case rSeizeEmpty:
		if *c != p.w {
			m.notSeized(w, p)
			break
		}
		*c = arenaChunk{state: cClearing, owner: self, headed: p.w.headed, filled: 1}
		m.seized(p, n)
	case rRetire:
		if w.read(p, first).state == bFree {
			p.pc = rRetireBlock
			break
		}
		m.undoRetire(p)
	case rRetireBlock:
		if !w.swap(p, first, bGone, self) && m.mutant != "a block in use is retired" {
			m.undoRetire(p)
			break
		}
		p.pc = rRetire
		if p.i++; p.i == p.w.per() {
			p.pc = rRetireChunk
		}
	case rRetireUndo:
		w.write(2*(p.ci+p.got)+p.k, bFree, 0)
		if p.k++; p.k == p.i {
			p.k, p.i, p.w = 0, 0, arenaChunk{}
			p.tell(rLost)
		}
	case rRetireChunk:
		p.i, p.k = 0, 0
		if *c != p.w {
			p.pc = rRetireLost
			break
		}
		*c = arenaChunk{state: cClearing, owner: self, count: max(p.w.count, 1), headed: p.w.headed, filled: p.w.filled}
		if p.pc, p.k = rRetireFree, 0; p.w.count > 1 {
			p.pc, p.k = rRetireBody, 1
		}
	case rRetireBody:
		body := &w.chunk[p.ci+p.got+p.k]
		*body = arenaChunk{filled: body.filled, headed: body.headed}
		if p.k++; p.k >= p.w.count {
			p.pc, p.k = rRetireFree, 0
		}
	case rRetireFree, rRetireLost:
		w.write(2*(p.ci+p.got)+p.k, bFree, 0)
		if p.k++; p.k < p.w.per() {
			break
		}
		if p.k = 0; p.pc == rRetireFree {
			m.seized(p, n)
			break
		}
		p.w = arenaChunk{}
		if p.tell(rLost); m.mutant == "who finds a retired chunk changed wakes nobody" {
			p.then = 0
			m.notSeized(w, p)
		}
	case rLost:
		if c.owner != 0 {
			p.at = c.owner
		}
		if p.k, p.pc = 0, rGiveUp; p.got == 0 {
			p.tell(rUnused)
		}
	case rGiveUp, rRefused:
		e := &w.chunk[p.ci+p.k]
		*e = arenaChunk{filled: e.filled, headed: e.headed}
		if p.k++; p.pc == rRefused && p.k == n {
			p.k, p.looked, p.clear, p.at, p.ci = 0, 0, 0, 0, 0
			p.tell(rDone)
		} else if p.pc == rGiveUp && p.k == p.got {
			p.k = 0
			if p.tell(rUnused); m.mutant == "who gives chunks up wakes nobody" {
				p.then = 0
				m.prepare(p, p.ci+p.got+1)
			}
		}

	case rMemory:
		for k := range n {
			w.mem[p.ci+k] = 1
		}
		p.pc = rHeaders
	case rHeaders:
		for k := range n {
			w.headers[p.ci+k] = 1
		}
		if p.pc = rSlab; class == arenaRun {
			p.pc, p.k = rRunHead, 1
			if m.mutant == "bodies are not announced" {
				p.pc = rRunBody
			}
		}
	case rSlab:
		w.chunk[p.ci] = arenaChunk{state: cSlab, class: class, filled: 1, headed: 1}
		m.established(p)
	case rRunHead:
		w.chunk[p.ci] = arenaChunk{state: cClearing, owner: self, count: n, filled: 1, headed: 1}
		p.pc = rRunBody
	case rRunBody:
		w.chunk[p.ci+p.k] = arenaChunk{state: cBody, count: p.k, filled: 1, headed: 1}
		if p.k++; p.k == n {
			p.pc, p.k = rRunDone, 0
		}
	case rRunDone:
		w.chunk[p.ci] = arenaChunk{state: cRun, count: n, filled: 1, headed: 1}
		p.ci = 0
		m.established(p)

	case rRoomy:
		if p.pc = rRoomySignal; w.waited == 0 {
			m.told(w, p)
		}
	case rRoomySignal:
		w.signalRoomy()
		p.pc = rRoomyWake
	case rRoomyWake:
		w.wakeRoomy()
		m.told(w, p)
	default:
		m.end(w, i)
	}
}
