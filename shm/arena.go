package shm

import (
	"fmt"
	"io/fs"
	"math/bits"
	"sync"
	"sync/atomic"

	"shmkit/shm/fault"
)

// An arena is a segment in which one process, its owner, puts its small
// anonymous objects: 10,000 mutexes cost a dozen descriptors and mappings. Its
// payload, specified in LAYOUT.md:
//
//	descs    one for each block: what lies there now, its generation
//	rows     one for each participant: the bits of the blocks that it holds
//	blocks   of one size
//
// Who holds a block sets its bit, in its own row only. So a row has a single
// writer, and what a dead process held is exactly its row. A block is free when
// no row has its bit. Only the owner takes free blocks, so two allocations never
// meet; when the owner is gone nobody allocates, and the others keep what they
// hold.
//
// A newcomer to a block sets its bit and then looks at the generation; the owner
// that reuses a block changes the generation and then looks at the bits. One of
// the two sees the other. So a handle that was kept too long finds its object
// gone, never another one in its place.
//
// A look at all rows takes a while, and a block may pass from one holder to another
// behind it. So the owner marks a block that nobody seems to hold as abandoned, and
// looks then. A newcomer to a block that is marked looks for another holder; if there
// is one it takes the mark away. The owner takes a block only if its mark is there
// still: then nobody has come, and who was there before has been seen.
type arena struct {
	core   *core
	size   uint32 // of a block in bytes
	blocks uint32
	words  uint32 // of a row

	descs []desc
	rows  []atomic.Uint64 // words for each slot
	first uint64          // offset of block 0 in the payload

	mu    sync.Mutex
	held  []heldBlock // this process's, by block
	count int         // of blocks in held that are in use
	owner *ownArena   // what the owner alone knows; nil in others
}

// heldBlock is what this process knows of a block that it holds.
type heldBlock struct {
	handles atomic.Int32
	pass    passage // shut when the last handle was closed
	pins    int
	sent    bool   // a handle was marshaled …
	sentAt  uint32 // … when the block had been opened so often
}

// shapeOf returns the offsets of rows and blocks in the payload of an arena, and
// the size of the payload.
func shapeOf(size, blocks, slots uint32) (rows, first, total uint64) {
	words := uint64(blocks+63) / 64
	rows = uint64(blocks) * descSize
	first = (rows + uint64(slots)*words*8 + 63) &^ 63
	return rows, first, first + uint64(blocks)*uint64(size)
}

// checkArena checks what the header says of an arena.
func (h *header) checkArena() error {
	bad := func(what string, got, want uint64) error {
		return &CorruptError{Offset: int64(h.dataOff), Field: what, Got: got, Want: want}
	}
	if h.elemSize < smallestBlock || h.elemSize > largestBlock || h.elemSize&(h.elemSize-1) != 0 {
		return bad("block size of an arena", h.elemSize, smallestBlock)
	}
	if h.elems == 0 || h.elems > mostBlocks {
		return bad("number of blocks of an arena", h.elems, mostBlocks)
	}
	if _, _, total := shapeOf(uint32(h.elemSize), uint32(h.elems), h.slots); total > h.dataSize {
		return bad("payload size of an arena", h.dataSize, total)
	}
	return nil
}

func newArena(c *core) *arena {
	a := &arena{core: c, size: uint32(c.hdr.elemSize), blocks: uint32(c.hdr.elems)}
	a.words = (a.blocks + 63) / 64
	a.lay()
	a.held = make([]heldBlock, a.blocks)
	return a
}

// row returns the bits of participant slot i.
func (a *arena) row(i int) []atomic.Uint64 {
	return a.rows[uint32(i-1)*a.words : uint32(i)*a.words : uint32(i)*a.words]
}

// bit returns the word of block b in the row of slot i, and its mask.
func (a *arena) bit(i int, b uint32) (*atomic.Uint64, uint64) {
	return &a.row(i)[b/64], 1 << (b % 64)
}

// offset returns where block b lies in the payload.
func (a *arena) offset(b uint32) uint64 { return a.first + uint64(b)*uint64(a.size) }

// heldByAny reports whether any participant holds block b.
func (a *arena) heldByAny(b uint32) bool {
	for i := 1; i <= a.core.highSlot(); i++ {
		if w, m := a.bit(i, b); w.Load()&m != 0 {
			return true
		}
	}
	return false
}

// blockOf returns the block that offset off of the payload lies in; false if it
// lies in none.
func (a *arena) blockOf(off uint64) (uint32, bool) {
	if off < a.first {
		return 0, false
	}
	b := (off - a.first) >> bits.TrailingZeros32(a.size)
	return uint32(b), b < uint64(a.blocks)
}

// open makes this process hold block b, if it still is of generation gen and
// what want asks for.
func (a *arena) open(b, gen uint32, want expectation) error {
	if b >= a.blocks {
		return &CorruptError{Field: "block number in a handle", Got: uint64(b), Want: uint64(a.blocks)}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	h, d := &a.held[b], &a.descs[b]
	w, m := a.bit(a.core.me, b)
	mine := w.Load()&m != 0
	if !mine {
		w.Or(m)
		if fault.Enabled {
			fault.Point("shm.arena.opening")
		}
	}
	if !a.lives(b, gen, mine) {
		if !mine {
			w.And(^m)
		}
		return fmt.Errorf("it was closed by everybody who had it: %w", fs.ErrNotExist)
	}
	err := want.checkDesc(d)
	if err == nil && want.elemSize > uint64(a.size) {
		err = &CorruptError{Field: "element size of a block", Got: want.elemSize, Want: uint64(a.size)}
	}
	if err != nil {
		if !mine {
			w.And(^m)
		}
		return err
	}
	if !mine {
		a.count++
	}
	// Ends pins, also if we had it already: who pins what it sent to us must learn
	// that it has arrived.
	d.opens.Add(1)
	if h.handles.Load() == 0 {
		h.pass.reopen()
	}
	h.handles.Add(1)
	return nil
}

// lives reports whether block b still is the object of generation gen. mine: this
// process held it before, else it has just set its bit.
func (a *arena) lives(b, gen uint32, mine bool) bool {
	d := &a.descs[b]
	if gen&genMarks != 0 { // no handle has that
		return false
	}
	for {
		// After our bit: pairs with take, which changes gen and then looks at bits.
		now := d.gen.Load()
		switch {
		case now == gen:
			return true
		case now != gen|abandoned:
			return false
		case mine || a.heldByOther(b):
			// Two who come too late may take each other for a holder. They then
			// have the old object together. A CAS: the owner takes the block if
			// it is faster.
			if d.gen.CompareAndSwap(now, gen) {
				return true
			}
		case d.gen.Load() == now: // else the holder gave it to another behind our look
			return false
		}
	}
}

// heldByOther reports whether any other participant holds block b.
func (a *arena) heldByOther(b uint32) bool {
	for i := 1; i <= a.core.highSlot(); i++ {
		if w, m := a.bit(i, b); i != a.core.me && w.Load()&m != 0 {
			return true
		}
	}
	return false
}

// checkDesc compares a block with what was asked for.
func (e expectation) checkDesc(d *desc) error {
	return e.check(&header{kind: d.kind, elemSize: d.elemSize, elems: d.elems, layout: d.layout, typeName: d.longName()})
}

// again adds a handle to block b if this process has it open, and it is of
// generation gen.
func (a *arena) again(b, gen uint32) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.has(b, gen) {
		return false
	}
	a.held[b].handles.Add(1)
	return true
}

// has reports whether this process has block b open as the object of generation gen.
// The caller holds mu.
func (a *arena) has(b, gen uint32) bool {
	return a.held[b].handles.Load() > 0 && a.descs[b].gen.Load()&^genMarks == gen
}

// close lets one handle of block b go. It reports whether the block is kept by a
// pin: then the handle on the core stays with the pin.
func (a *arena) close(b uint32) (pinned bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	h := &a.held[b]
	if h.handles.Add(-1) > 0 {
		return false
	}
	a.quit(b)
	if h.sent && a.descs[b].opens.Load() == h.sentAt {
		h.pins++
		at := h.sentAt
		pinUntil(&pin{
			opened: func() bool { return a.descs[b].opens.Load() != at },
			drop:   func() { a.unpin(b) },
		})
		return true
	}
	if h.pins == 0 {
		a.letGo(b)
	}
	return false
}

// quit ends what this process does in block b: whoever waits there is told and
// comes out, and what is held there is released as if we had died. Then nobody
// touches it any more by way of this process. The caller holds mu, which those
// inside do not need; handles of b is 0.
func (a *arena) quit(b uint32) {
	if h := &a.held[b]; h.pass.shut() {
		lo, hi := a.offset(b), a.offset(b+1)
		a.core.sleep.wakeWithin(a.core, lo, hi)
		dismiss(a.core, lo, hi)
		h.pass.wait()
	}
	for _, l := range a.locks(b) {
		if k := kindByID(l.kind); k != nil && k.Sweep != nil {
			k.Sweep(&Segment{core: a.core}, l.off, l.stride, l.count, a.core.self)
		}
	}
}

// unpin lets go of a block that a pin held.
func (a *arena) unpin(b uint32) {
	a.mu.Lock()
	h := &a.held[b]
	if h.pins--; h.pins == 0 && h.handles.Load() == 0 { // else it has been opened here again
		a.letGo(b)
	}
	a.mu.Unlock()
	a.core.release()
}

// letGo ends this process's hold of block b, which it has quit. The caller holds
// mu; handles of b is 0.
func (a *arena) letGo(b uint32) {
	a.held[b].sent = false
	a.count--
	if fault.Enabled {
		fault.Point("shm.arena.closing")
	}
	w, m := a.bit(a.core.me, b)
	w.And(^m)
	if a.owner != nil {
		a.owner.closed(a, b)
	}
}

// noteSent notes that a handle of block b travels; false if another goroutine has
// closed the block meanwhile, and nothing would be there for the receiver.
func (a *arena) noteSent(b, gen uint32) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.has(b, gen) {
		return false
	}
	a.held[b].sent, a.held[b].sentAt = true, a.descs[b].opens.Load()
	return true
}

// locks returns the locks in block b, as its descriptor tells; what does not
// lie within the block is left out.
func (a *arena) locks(b uint32) []lockAt {
	d := &a.descs[b]
	var all []lockAt
	for i := range min(d.nlocks, uint32(len(d.locks))) {
		e := d.locks[i]
		l := lockAt{kind: e.kind, off: uint64(e.off), stride: uint64(e.stride), count: uint64(e.count)}
		if l.sound(uint64(a.size)) {
			l.off += a.offset(b)
			all = append(all, l)
		}
	}
	return all
}

// each calls f for every block whose bit is set in the row of slot i.
func (a *arena) each(i int, f func(b uint32)) {
	for k := range a.row(i) {
		for w := a.row(i)[k].Load(); w != 0; w &= w - 1 {
			if b := uint32(k*64 + trailingZeros(w)); b < a.blocks {
				f(b)
			}
		}
	}
}

// check reports blocks that nobody can ever free or find.
func (a *arena) check() (errs []error) {
	for i := 1; i <= len(a.core.table); i++ {
		state := statusState(a.core.table[i-1].status.Load())
		a.each(i, func(b uint32) {
			d := &a.descs[b]
			switch {
			case state == slotFree:
				errs = append(errs, fmt.Errorf("shm: block %d of arena %v is held by participant slot %d, which is free: %w", b, a.core.hdr.id, i, ErrCorrupt))
			case d.kind != KindObject && d.kind != KindSlice || d.nlocks > descLocks || d.elemSize != 0 && d.elems > uint64(a.size)/d.elemSize:
				errs = append(errs, &CorruptError{int64(a.core.hdr.dataOff) + int64(b)*descSize, "descriptor of a block", uint64(d.kind), uint64(KindObject)})
			}
		})
	}
	return errs
}

// union returns the bits of all rows.
func (a *arena) union() []uint64 {
	u := make([]uint64, a.words)
	for i := 1; i <= a.core.highSlot(); i++ {
		for k := range a.row(i) {
			u[k] |= a.row(i)[k].Load()
		}
	}
	return u
}
