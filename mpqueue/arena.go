package mpqueue

import (
	"fmt"
	"math/bits"
	"sync"
	"sync/atomic"

	"shmkit/shm/fault"
)

// The arena holds messages that do not fit their slot. It is cut into chunks of
// 64 KiB, and a chunk, when first needed, becomes
//
//	a slab   blocks of one size, 512 bytes to 64 KiB, or
//	a run    together with the chunks after it, one block of up to the whole arena
//
// A chunk word says which; every block has a header outside the chunk (block
// word, position, size), so that data never lies where a header may be looked
// for. Claims put the claimer's name where they claim, as slots do:
//
//	bits    field   meaning
//	63..32  count   run, and clearing what was or will be one: number of chunks; body: distance to its run
//	26      filled  it may have memory; set by who seizes it, cleared when the memory has been given back
//	25      headed  its 128 block headers have memory; once set it stays
//	24..8   owner   clearing: who is at it
//	7..3    class   slab: size of the blocks is 512 << class
//	2..0    state
//
//	state      meaning                       set by
//	cEmpty     nothing is in it              creation; who seized it; sweep
//	cClearing  being prepared by owner       CAS from cEmpty, cSlab, cRun
//	cSlab      blocks of one class           owner
//	cRun       first chunk of a run          owner
//	cBody      another chunk of a run        owner
//
// Bodies have no name of their own: they are whoever's has their first chunk. It
// says cClearing, whose, and how many, before the first of them becomes a body, and
// until the last of them is none any more. So only the process named there, or the
// one sweeper of that process, ever writes the word of a body, and nothing is left
// when the first chunk is free for others.
//
// Who may be killed where:
//
//	a block is claimed, its chunk not looked at again   the block is owned by the dead, maybe outside
//	                                                    of what its chunk is now: the sweep looks at
//	                                                    every header there is
//	blocks are marked bGone, the chunk is as it was     the sweep frees them
//	the chunk is seized, bodies remain                  the sweep empties them, then the chunk
//	some bodies are empty, others are not               the same
//	bodies are made, the run is not                     the same
//	the chunk is seized, its memory not given back yet  the sweep empties it; it stays filled, and the
//	                                                    next drained consumer gives its memory back
const (
	cEmpty    = 0
	cClearing = 1
	cSlab     = 2
	cRun      = 3
	cBody     = 4

	cHeaded = 1 << 25
	cFilled = 1 << 26
	cKeeps  = cHeaded | cFilled // what stays, whatever the chunk is put to

	classes = 8 // 512 << 7 is a whole chunk
)

func chunkWord(state, class uint64, o owner, count uint64) uint64 {
	return count<<32 | uint64(o)<<8 | class<<3 | state
}
func chunkState(w uint64) uint64 { return w & 7 }
func chunkClass(w uint64) uint64 { return w >> 3 & 31 }
func chunkOwner(w uint64) owner  { return owner(w >> 8 & ownerMask) }
func chunkCount(w uint64) uint64 { return w >> 32 }

// blockID numbers blocks: first the lease blocks, then 128 for each chunk.
type blockID uint64

// cursors say where this process found room last: for each class, and for leases.
type cursors struct {
	lease atomic.Uint64 // the very block: one that was not used is likely to be free still
	class [classes]atomic.Uint64
	mu    sync.Mutex // one goroutine of this process prepares chunks at a time
	// Who waits for a block of a class lines up here: one of this process sleeps.
	lines [classes]atomic.Uint32
}

// block returns the header of b, nil if there is no such block.
func (q *core) block(b blockID) *block {
	n := uint64(len(q.leases))
	switch {
	case uint64(b) < n:
		return &q.leases[b]
	case uint64(b)-n < uint64(len(q.blocks)):
		return &q.blocks[uint64(b)-n]
	}
	return nil
}

// room returns the memory of block b: all that it has.
func (q *core) room(b blockID) ([]byte, error) {
	n := uint64(len(q.leases))
	if uint64(b) < n {
		return q.leaseDataAt(uint64(b)), nil
	}
	k := uint64(b) - n
	ci, bi := k/blocksPerChunk, k%blocksPerChunk
	if ci >= q.geo.chunks {
		return nil, corrupt("the number of a block,", uint64(b), k)
	}
	w := q.chunk[ci].Load()
	switch {
	case chunkState(w) == cSlab && chunkClass(w) < classes && bi < blocksPerChunk>>chunkClass(w):
		size := uint64(minBlock) << chunkClass(w)
		return q.arenaData(ci*chunkSize+bi*size, size), nil
	case chunkState(w) == cRun && bi == 0 && chunkCount(w) > 0 && chunkCount(w) <= q.geo.chunks-ci:
		return q.arenaData(ci*chunkSize, chunkCount(w)*chunkSize), nil
	}
	return nil, corrupt("the word of chunk", ci, w)
}

// claimBlock takes block b if its word is still w, which is free.
func (q *core) claimBlock(h *block, w uint64) bool {
	return h.word.CompareAndSwap(w, makeWord(lapOf(w), q.self, bOwned))
}

// freeBlock gives back a block that this process holds.
func (q *core) freeBlock(h *block) {
	h.word.Store(makeWord(lapOf(h.word.Load())+1, 0, bFree))
}

// shortage says that no block is free now. It names a process, or nobody, that may
// have some for a moment: as it clears chunks, or has a lease block in hand.
type shortage owner

func (shortage) Error() string { return "no room" }

// blocking is the word of a slot that this process would be at, see operation.try;
// 0 if there is none.
func (s shortage) blocking() uint64 {
	if s == 0 {
		return 0
	}
	return makeWord(0, owner(s), writing)
}

// inArena is what a shortage of the arena's blocks comes to.
func (s shortage) inArena() outcome {
	if s == 0 {
		return noRoom
	}
	return roomBusy
}

// alloc takes a block for n bytes. shortage: wait until one is freed;
// ErrTooLarge: there will never be one; shm.ErrNoSpace: the machine is out of
// memory. Killed at any point, the process leaves a block that is owned by the
// dead and queued nowhere, which the sweep frees.
func (q *core) alloc(n int) (blockID, error) {
	if err := q.fits(n); err != nil {
		return 0, err
	}
	if n > chunkSize {
		return q.allocRun((uint64(n) + chunkSize - 1) / chunkSize)
	}
	class := classOf(n)
	for {
		if b, ok := q.allocIn(class); ok {
			return b, nil
		}
		got, err := q.prepare(class, 1)
		if err != nil {
			return 0, err
		}
		q.cursor.class[class].Store(got * blocksPerChunk)
	}
}

// fits returns an error if there will never be room for n bytes.
func (q *core) fits(n int) error {
	if uint64(n) <= q.geo.inline || uint64(n) <= q.geo.chunks*chunkSize && uint64(n) <= 1<<32-1 {
		return nil
	}
	return fmt.Errorf("%w: %d bytes, the arena has %d", ErrTooLarge, n, q.geo.chunks*chunkSize)
}

// classOf returns the class of the blocks that messages of n bytes lie in; classes
// if that is a run.
func classOf(n int) uint64 {
	if n > chunkSize {
		return classes
	}
	return uint64(bits.Len64(uint64(max(n, 1)-1) / minBlock))
}

// allocIn looks through the slabs of a class, from where it found a block last.
func (q *core) allocIn(class uint64) (blockID, bool) {
	cur := &q.cursor.class[class]
	at := cur.Load()
	per := uint64(blocksPerChunk >> class)
	for k := range q.geo.chunks {
		ci := (at/blocksPerChunk + k) % q.geo.chunks
		if w := q.chunk[ci].Load(); chunkState(w) != cSlab || chunkClass(w) != class {
			continue
		}
		from := uint64(0)
		if k == 0 {
			from = at % blocksPerChunk % per
		}
		if fault.Enabled {
			fault.Point("mpqueue.alloc.found")
		}
		for j := range per {
			bi := (from + j) % per
			id := ci*blocksPerChunk + bi
			h := &q.blocks[id]
			w := h.word.Load()
			if stateOf(w) != bFree || !q.claimBlock(h, w) {
				continue
			}
			if fault.Enabled {
				fault.Point("mpqueue.alloc.unchecked")
			}
			// The chunk may have been put to another use before the claim;
			// then the block's state was bGone, or it is free again for
			// another class: look again.
			if cw := q.chunk[ci].Load(); chunkState(cw) != cSlab || chunkClass(cw) != class {
				q.freeBlock(h)
				q.roomier() // it may have been in another's way
				break
			}
			if fault.Enabled {
				fault.Point("mpqueue.alloc.claimed")
			}
			cur.Store(ci*blocksPerChunk + bi + 1)
			return blockID(uint64(len(q.leases)) + id), true
		}
	}
	return 0, false
}

// allocRun takes n chunks in a row as one block: a run that is free already and
// not more than twice as long, or a new one.
func (q *core) allocRun(n uint64) (blockID, error) {
	for {
		for ci := uint64(0); ci < q.geo.chunks; ci++ {
			w := q.chunk[ci].Load()
			if chunkState(w) != cRun || chunkCount(w) < n || chunkCount(w) > 2*n {
				continue
			}
			if fault.Enabled {
				fault.Point("mpqueue.alloc.found")
			}
			h := &q.blocks[ci*blocksPerChunk]
			bw := h.word.Load()
			if stateOf(bw) != bFree || !q.claimBlock(h, bw) {
				continue
			}
			if fault.Enabled {
				fault.Point("mpqueue.alloc.unchecked")
			}
			if q.chunk[ci].Load() != w {
				q.freeBlock(h)
				q.roomier()
				continue
			}
			if fault.Enabled {
				fault.Point("mpqueue.alloc.claimed")
			}
			return blockID(uint64(len(q.leases)) + ci*blocksPerChunk), nil
		}
		if _, err := q.prepare(classes, n); err != nil {
			return 0, err
		}
	}
}
