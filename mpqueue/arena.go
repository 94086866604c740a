package mpqueue

import (
	"errors"
	"fmt"
	"math/bits"
	"sync"
	"sync/atomic"

	"shmkit/shm"
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
//	63..32  count   run: number of chunks; body: distance to its run
//	24..8   owner   clearing: who is at it
//	7..3    class   slab: size of the blocks is 512 << class
//	2..0    state
//
//	state      meaning                       set by
//	cEmpty     no memory behind it           creation; give-back
//	cClearing  being prepared by owner       CAS from cEmpty, cSlab, cRun
//	cSlab      blocks of one class           owner
//	cRun       first chunk of a run          owner
//	cBody      another chunk of a run        owner
const (
	cEmpty    = 0
	cClearing = 1
	cSlab     = 2
	cRun      = 3
	cBody     = 4

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

// errNoRoom says that no block is free now.
var errNoRoom = errors.New("no room")

// alloc takes a block for n bytes. errNoRoom: wait until one is freed;
// ErrTooLarge: there will never be one; shm.ErrNoSpace: the machine is out of
// memory. Killed at any point, the process leaves a block that is owned by the
// dead and queued nowhere, which the sweep frees.
func (q *core) alloc(n int) (blockID, error) {
	if uint64(n) > q.geo.chunks*chunkSize || uint64(n) > 1<<32-1 {
		return 0, fmt.Errorf("%w: %d bytes, the arena has %d", ErrTooLarge, n, q.geo.chunks*chunkSize)
	}
	if n > chunkSize {
		return q.allocRun((uint64(n) + chunkSize - 1) / chunkSize)
	}
	class := uint64(max(bits.Len64(uint64(max(n, 1)-1)/minBlock), 0))
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
		for j := range per {
			bi := (from + j) % per
			id := ci*blocksPerChunk + bi
			h := &q.blocks[id]
			w := h.word.Load()
			if stateOf(w) != bFree || !q.claimBlock(h, w) {
				continue
			}
			// The chunk may have been put to another use before the claim;
			// then the block's state was bGone, or it is free again for
			// another class: look again.
			if cw := q.chunk[ci].Load(); chunkState(cw) != cSlab || chunkClass(cw) != class {
				q.freeBlock(h)
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
			h := &q.blocks[ci*blocksPerChunk]
			bw := h.word.Load()
			if stateOf(bw) != bFree || !q.claimBlock(h, bw) {
				continue
			}
			if q.chunk[ci].Load() != w {
				q.freeBlock(h)
				continue
			}
			return blockID(uint64(len(q.leases)) + ci*blocksPerChunk), nil
		}
		if _, err := q.prepare(classes, n); err != nil {
			return 0, err
		}
	}
}

// prepare makes a slab of a class, or (class == classes) a run of n chunks, out
// of chunks that are empty; if there are none, out of others whose blocks are
// all free. It returns the first chunk.
func (q *core) prepare(class, n uint64) (uint64, error) {
	q.cursor.mu.Lock()
	defer q.cursor.mu.Unlock()
	for _, clear := range []bool{false, true} {
		for ci := uint64(0); ci+n <= q.geo.chunks; ci++ {
			got := uint64(0)
			for got < n && q.seize(ci+got, clear) {
				got++
			}
			if got == n {
				return ci, q.establish(ci, class, n)
			}
			for k := range got {
				q.chunk[ci+k].Store(chunkWord(cEmpty, 0, 0, 0))
			}
			ci += got // the chunk that stopped us stops every run over it
		}
	}
	return 0, errNoRoom
}

// seize makes chunk ci ours to prepare, if it is empty or, with clear, if all its
// blocks are free.
func (q *core) seize(ci uint64, clear bool) bool {
	c := &q.chunk[ci]
	w := c.Load()
	mine := chunkWord(cClearing, 0, q.self, 0)
	switch {
	case chunkState(w) == cEmpty:
		if !c.CompareAndSwap(w, mine) {
			return false
		}
		if fault.Enabled {
			fault.Point("mpqueue.arena.seized")
		}
		return true
	case clear && chunkState(w) == cSlab && chunkClass(w) < classes:
		return q.retire(ci, 1, w, mine)
	case clear && chunkState(w) == cRun && chunkCount(w) > 0 && chunkCount(w) <= q.geo.chunks-ci:
		if !q.retire(ci, chunkCount(w), w, mine) {
			return false
		}
		return true
	}
	return false
}

// retire takes every block of a slab or run out of use, if all are free, and
// makes its first chunk ours and the others empty. A block in use stops it:
// then what it took is free again.
func (q *core) retire(ci, n, w, mine uint64) bool {
	per := uint64(1)
	if chunkState(w) == cSlab {
		per = blocksPerChunk >> chunkClass(w)
	}
	hs := q.blocks[ci*blocksPerChunk:][:per]
	for i := range hs {
		bw := hs[i].word.Load()
		if stateOf(bw) == bFree && hs[i].word.CompareAndSwap(bw, makeWord(lapOf(bw), q.self, bGone)) {
			continue
		}
		for k := range i {
			q.freeBlock(&hs[k])
		}
		return false
	}
	ok := q.chunk[ci].CompareAndSwap(w, mine)
	if ok {
		for k := uint64(1); k < n; k++ {
			q.chunk[ci+k].Store(chunkWord(cEmpty, 0, 0, 0))
		}
	}
	for i := range hs {
		q.freeBlock(&hs[i])
	}
	return ok
}

// establish makes the chunks that this process has seized into what they are to be,
// with memory behind them.
func (q *core) establish(ci, class, n uint64) error {
	err := q.seg.Reserve(int(q.geo.arenaOff+ci*chunkSize), int(n*chunkSize))
	if err == nil {
		err = q.seg.Reserve(int(q.geo.blockOff+ci*blocksPerChunk*blockHeader), int(n*blocksPerChunk*blockHeader))
	}
	if fault.Enabled {
		fault.Point("mpqueue.arena.reserved")
	}
	if err != nil {
		for k := range n {
			q.chunk[ci+k].Store(chunkWord(cEmpty, 0, 0, 0))
		}
		if errors.Is(err, shm.ErrNoSpace) {
			return fmt.Errorf("mpqueue: %w", err)
		}
		return err
	}
	for k := uint64(1); k < n; k++ {
		q.chunk[ci+k].Store(chunkWord(cBody, 0, 0, k))
	}
	if class < classes {
		q.chunk[ci].Store(chunkWord(cSlab, class, 0, 0))
	} else {
		q.chunk[ci].Store(chunkWord(cRun, 0, 0, n))
	}
	return nil
}

// allocLease takes a lease block, for an item that is inline in its slot.
func (q *core) allocLease() (blockID, error) {
	for {
		n := q.leasable()
		for k, at := uint64(0), q.cursor.lease.Load(); k < n; k++ {
			i := (at + k) % n
			h := &q.leases[i]
			if w := h.word.Load(); stateOf(w) == bFree && q.claimBlock(h, w) {
				q.cursor.lease.Store(i)
				return blockID(i), nil
			}
		}
		if err := q.growLeases(n); err != nil {
			return 0, err
		}
	}
}

// leasable returns how many lease blocks have memory, and may be in use.
func (q *core) leasable() uint64 { return min(uint64(q.leasing.Load()), uint64(len(q.leases))) }

// startLeasing gives the first lease blocks memory.
func (q *core) startLeasing() error {
	if q.leasing.Load() == 0 {
		return q.growLeases(0)
	}
	return nil
}

// leasesAtFirst is how many lease blocks get memory with the first Receive. A queue
// for a million items, of which ten are leased at a time, needs no more.
const leasesAtFirst = 256

// growLeases gives more lease blocks memory: as many again as have it. errNoRoom:
// all have. First the memory, then the number: who sees the number can use them.
func (q *core) growLeases(have uint64) error {
	want := min(max(2*have, leasesAtFirst), uint64(len(q.leases)))
	if want <= have {
		return errNoRoom
	}
	from, to := q.geo.leaseOff+have*blockHeader, q.geo.leaseData+want*q.geo.leaseStride()
	if want < uint64(len(q.leases)) || have > 0 { // headers and data on their own
		if err := q.seg.Reserve(int(from), int((want-have)*blockHeader)); err != nil {
			return fmt.Errorf("mpqueue: %w", err)
		}
		from = q.geo.leaseData + have*q.geo.leaseStride()
	}
	if err := q.seg.Reserve(int(from), int(to-from)); err != nil {
		return fmt.Errorf("mpqueue: %w", err)
	}
	for v := q.leasing.Load(); uint64(v) < want && !q.leasing.CompareAndSwap(v, uint32(want)); v = q.leasing.Load() {
	}
	return nil
}

// keepChunks is how many chunks a queue that grows keeps when it is drained.
const keepChunks = 16

// giveBack gives the memory of chunks whose blocks are all free back to the
// system. Consumers of a queue that grows call it before they sleep: the queue is
// drained then. Chunks that somebody else is at stay for the next time.
func (q *core) giveBack() {
	if q.geo.rules&ruleGrowing == 0 || !q.cursor.mu.TryLock() {
		return
	}
	defer q.cursor.mu.Unlock()
	for ci := uint64(keepChunks); ci < q.geo.chunks; ci++ {
		w := q.chunk[ci].Load()
		n := uint64(1)
		if chunkState(w) == cRun {
			n = chunkCount(w)
		}
		if chunkState(w) != cSlab && chunkState(w) != cRun || !q.seize(ci, true) {
			continue
		}
		for k := uint64(1); k < n && k < q.geo.chunks-ci; k++ {
			if q.chunk[ci+k].Load() == chunkWord(cEmpty, 0, 0, 0) && q.seize(ci+k, false) {
				q.punch(ci + k)
			}
		}
		q.punch(ci)
	}
}

// punch gives back the memory of a chunk that this process has seized.
func (q *core) punch(ci uint64) {
	q.seg.Punch(int(q.geo.arenaOff+ci*chunkSize), chunkSize) // if it fails, the memory stays with us
	q.chunk[ci].Store(chunkWord(cEmpty, 0, 0, 0))
}
