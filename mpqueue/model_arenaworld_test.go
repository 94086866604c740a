package mpqueue

import "fmt"

// The model of the arena: a few chunks of two units each. A block of class 0 is a
// unit, one of class 1 a chunk, and a message of class 2 needs a run of 2 chunks.
// Each access to a word of the arena is a step: chunk words, block words, the flag
// of those who wait for room, and the memory behind. What puts a block into a slot
// of the queue, or claims it there, is one step each: model_test.go has more of that.
//
// A generation of a block word is a bit of who has read it, which every write takes
// away. So a compare-and-swap sees each change, however many there were. Chunk words
// have no generation: they are compared as they are.

const (
	arenaChunks = 3
	arenaUnits  = 2 * arenaChunks
	arenaProcs  = 3
	arenaRun    = 2 // the class of messages that need a run
)

// arenaWorld is a state: bytes without gaps, and without pointers.
type arenaWorld struct {
	chunk   [arenaChunks]arenaChunk
	block   [arenaUnits]arenaBlock // the headers
	mem     [arenaChunks]uint8     // there is memory behind the chunk
	headers [arenaChunks]uint8     // and behind its headers
	unit    [arenaUnits]uint8      // the message that was written there last
	slot    [2]arenaSlot
	waited  uint8 // of roomy
	live    uint8 // messages that must not be lost: bit 1 << tag
	kills   uint8
	cancels uint8
	full    uint8 // times that the machine had no memory
	bad     arenaFault
	proc    [arenaProcs]arenaProc
}

// arenaChunk is a chunk word.
type arenaChunk struct{ state, class, owner, count, filled, headed uint8 }

// arenaBlock is a block word; owner is that of the process plus 1.
type arenaBlock struct{ state, owner uint8 }

type arenaSlot struct{ state, owner, block, tag uint8 } // free, ready, reading

// arenaProc is a process. When it is dead it is its sweep.
type arenaProc struct {
	pc, then arenaStep
	dead     uint8      // 1: and being swept, 2: swept
	left     uint8      // messages to put
	w        arenaChunk // as read
	ci, i, k uint8      // where it looks: chunk, block, and how far it has got
	there    uint8
	got      uint8
	seen     uint8 // chunks in which it has looked for a block
	at       uint8 // who else is at a chunk
	gone     uint8 // who is taking blocks of the chunk out of use
	clear    uint8 // second round of prepare
	giving   uint8 // in giveBack; 2: and nobody else does anything
	idle     uint8 // has slept for a slice
	valid    uint8 // the block word is as it was read
	looked   uint8 // has looked for room since it set waited
	armed    uint8 // the word to sleep on is as it left it
	asleep   uint8
	block    uint8 // that it has, plus 1
	slot     uint8 // that it reads, plus 1
	tag      uint8
}

type arenaFault uint8

const (
	arenaTwice arenaFault = iota + 1
	arenaTorn
	arenaCorrupt
	arenaNoMemory
	arenaNoHeader
	arenaPunched
	arenaKept
)

var arenaFaults = [...]string{
	0: "", arenaTwice: "a block was given to two", arenaTorn: "a message is not what was put",
	arenaCorrupt: "a block or a chunk is not what its owner takes it for", arenaNoMemory: "a block without memory is used",
	arenaNoHeader: "a header without memory is used", arenaPunched: "memory was given back that is in use",
	arenaKept: "a drained queue has kept memory",
}

// arenaModel is what is to be explored.
type arenaModel struct {
	chunks   uint8   // of the arena
	puts     []uint8 // the classes of the messages of each producer, one each
	twice    bool    // each producer puts two
	slots    uint8
	receives bool // the consumers lease what they get
	single   bool // there is one consumer, whatever room there is for more
	growing  bool // consumers give memory back, all but the first keep chunks
	keep     uint8
	kills    uint8
	cancels  uint8 // contexts that end, reservations that are aborted
	full     uint8 // the machine may be out of memory so often
	slab     bool  // at first chunk 0 is a slab of class 0, of which nothing is in use
	run      bool  // or chunks 0 and 1 are a run
	slabs    bool  // or all are slabs of class 0
	cursors  bool  // producers may begin to look at any chunk
	mutant   string
}

func (m *arenaModel) start() arenaWorld {
	var w arenaWorld
	for i := range m.puts {
		w.proc[i].pc, w.proc[i].left = rAlloc, 1
		if m.twice {
			w.proc[i].left = 2
		}
		w.proc[i].tag = uint8(2 * i)
	}
	for i := len(m.puts); i < arenaProcs; i++ {
		if w.proc[i].pc = rTop; m.single && i < arenaProcs-1 {
			w.proc[i].pc = rDone
		}
	}
	ready := func(ci int, c arenaChunk) {
		c.filled, c.headed = 1, 1
		w.chunk[ci], w.mem[ci], w.headers[ci] = c, 1, 1
	}
	if m.slab || m.slabs {
		ready(0, arenaChunk{state: cSlab})
	}
	for ci := 1; m.slabs && ci < int(m.chunks); ci++ {
		ready(ci, arenaChunk{state: cSlab})
	}
	if m.run {
		ready(0, arenaChunk{state: cRun, count: 2})
		ready(1, arenaChunk{state: cBody, count: 1})
	}
	return w
}

func (m *arenaModel) consumer(i int) bool { return i >= len(m.puts) }

// class of the messages of process i, and how many chunks they need.
func (m *arenaModel) need(i int) (class, chunks uint8) {
	if class = m.puts[i]; class == arenaRun {
		return class, 2
	}
	return class, 1
}

// per is how many blocks a chunk of this word has.
func (c arenaChunk) per() uint8 {
	if c.state == cSlab {
		return 2 >> c.class
	}
	return 1
}

// room returns the units of block b, by the word of its chunk; none if it is no block.
func (c arenaChunk) room(b uint8) (from, to uint8) {
	switch i := b % 2; {
	case c.state == cSlab && i < c.per():
		return b, b + 1<<c.class
	case c.state == cRun && i == 0:
		return b, b + 2*c.count
	}
	return 0, 0
}

func (w *arenaWorld) fail(f arenaFault) {
	if w.bad == 0 {
		w.bad = f
	}
}

// write changes a block word: whoever has read it does not know it any more.
func (w *arenaWorld) write(b, state, owner uint8) {
	w.block[b] = arenaBlock{state, owner}
	for i := range w.proc {
		p := &w.proc[i]
		if p.valid == b+1 {
			p.valid = 0
		}
	}
}

// read returns the state of block b, and remembers the word for a compare-and-swap.
func (w *arenaWorld) read(p *arenaProc, b uint8) arenaBlock {
	if w.headers[b/2] == 0 {
		w.fail(arenaNoHeader)
	}
	p.valid = b + 1
	return w.block[b]
}

// swap is the compare-and-swap of a word that was read.
func (w *arenaWorld) swap(p *arenaProc, b, state, owner uint8) bool {
	if p.valid != b+1 {
		return false
	}
	w.write(b, state, owner)
	return true
}

// take returns a slot that holds a message, or a block that holds one that is to be
// delivered again.
func (w *arenaWorld) take() (slot int, orphan int) {
	slot, orphan = -1, -1
	for k := len(w.slot) - 1; k >= 0; k-- {
		if w.slot[k].state == ready {
			slot = k
		}
	}
	for b := len(w.block) - 1; b >= 0; b-- {
		if w.block[b].state == bOrphan {
			orphan = b
		}
	}
	return slot, orphan
}

// quiet reports whether every message has been put and taken, and nobody but process
// i does anything.
func (m *arenaModel) quiet(w *arenaWorld, i int) bool {
	for k := range w.proc {
		p := &w.proc[k]
		switch {
		case k == i:
		case p.dead == 1, p.dead == 2 && m.consumer(k):
			return false
		case p.dead == 0 && p.pc != rDone && p.pc != rSleeping && (m.growing || p.pc != rTop):
			return false
		}
	}
	slot, orphan := w.take()
	return slot < 0 && orphan < 0
}

// parked reports whether all but process i sleep, or do what the caller says: they
// fill what they have reserved, or work on a message.
func (m *arenaModel) parked(w *arenaWorld, i int) bool {
	for k := range w.proc {
		switch p := &w.proc[k]; {
		case k == i, p.dead == 2:
		case p.dead == 1:
			return false
		default:
			switch p.pc {
			case rFill, rPut, rDone, rTop, rCopy, rAsleep, rSleeping:
			default:
				return false
			}
		}
	}
	return true
}

// hasRoom reports whether process i would find a block.
func (m *arenaModel) hasRoom(w *arenaWorld, i int) bool {
	class, n := m.need(i)
	there := uint8(0) // unused chunks in a row
	for ci := range m.chunks {
		c := w.chunk[ci]
		used := uint8(0)
		for b := range c.per() {
			if w.block[2*ci+b].state != bFree {
				used++
			}
		}
		if c.state == cSlab && c.class == class && used < c.per() {
			return true
		}
		if c.state == cRun && class == arenaRun && used == 0 {
			return true
		}
		switch {
		case c.state == cBody: // as its first chunk
			if there > 0 {
				there++
			}
		case c.state == cEmpty, used == 0 && (c.state == cSlab || c.state == cRun):
			there++
		default:
			there = 0
		}
		if there == n {
			return true
		}
	}
	return false
}

func (m *arenaModel) finished(w *arenaWorld) bool { return m.quiet(w, -1) }

// idle is asked where nobody can move: whoever sleeps then is not woken any more.
// After a kill the sweep has woken everybody, so that is no excuse.
func (m *arenaModel) idle(*arenaWorld) bool { return false }

func (m *arenaModel) wrong(w *arenaWorld) string {
	if w.bad != 0 {
		return arenaFaults[w.bad]
	}
	for i := range w.proc {
		if w.proc[i].pc == rAsleep && w.proc[i].asleep != 0 && m.parked(w, i) && m.hasRoom(w, i) {
			return "a lost wake: somebody waits for room although there is some"
		}
	}
	done := m.finished(w)
	for ci := range m.chunks {
		c := w.chunk[ci]
		if w.mem[ci] != 0 && c.filled == 0 {
			return "a chunk has memory that nobody will give back"
		}
		if c.headed > w.headers[ci] {
			return "headers are said to have memory that have none"
		}
		switch c.state {
		case cClearing:
			if o := c.owner; o == 0 || done || w.proc[o-1].dead == 2 {
				return "a chunk is being prepared by nobody"
			}
		case cRun:
			for k := uint8(1); k < c.count; k++ {
				if b := w.chunk[ci+k]; b.state != cBody || b.count != k {
					return "a part of a run is something else"
				}
			}
		case cBody:
			if h := w.chunk[ci-c.count]; h.state != cRun && h.state != cClearing || h.count <= c.count {
				return "a chunk is part of a run that is no more"
			}
		}
	}
	if !done {
		return ""
	}
	for b := range 2 * m.chunks {
		if w.block[b].state != bFree {
			return "a block has leaked"
		}
	}
	if w.live != 0 {
		return "a message was lost"
	}
	return ""
}

var arenaStates = map[uint8]string{cEmpty: "empty", cClearing: "clearing", cSlab: "slab", cRun: "run", cBody: "body"}

func (m *arenaModel) show(w *arenaWorld) string {
	s := fmt.Sprintf("waited %d, live %b", w.waited, w.live)
	for ci := range m.chunks {
		c := w.chunk[ci]
		s += fmt.Sprintf("\n\t  chunk %d: %s class %d owner %d count %d filled %d memory %d, blocks %v, units %v", ci,
			arenaStates[c.state], c.class, c.owner, c.count, c.filled, w.mem[ci], w.block[2*ci:2*ci+2], w.unit[2*ci:2*ci+2])
	}
	s += fmt.Sprintf("\n\t  slots %v", w.slot[:m.slots])
	for i := range w.proc {
		p := &w.proc[i]
		s += fmt.Sprintf("\n\t  %d: %s, %+v", i, arenaStepNames[p.pc], *p)
	}
	return s
}

func (m *arenaModel) name(w, n *arenaWorld, who int) string {
	p := &w.proc[who]
	s := fmt.Sprintf("%s [chunk %d, block %d, %d]", arenaStepNames[p.pc], p.ci, p.i, p.got)
	if p.dead == 1 {
		s = "is dead, the sweep " + s
	}
	return s
}
