package mpqueue

import (
	"errors"
	"fmt"

	"shmkit/shm"
	"shmkit/shm/fault"
)

// prepare makes a slab of a class, or (class == classes) a run of n chunks, out
// of chunks that are empty; if there are none, out of others whose blocks are
// all free. It returns the first chunk.
//
// It touches nothing before it has seen that all of it can be had: what it would
// have to give back might wake others that wait for room, and do the same.
func (q *core) prepare(class, n uint64) (uint64, error) {
	q.cursor.mu.Lock()
	defer q.cursor.mu.Unlock()
	at := owner(0) // another process that is at some chunk
	for _, clear := range []bool{false, true} {
		for ci := uint64(0); ci+n <= q.geo.chunks; ci++ {
			there := uint64(0)
			for there < n {
				k, o := q.unused(ci+there, clear)
				if o != 0 {
					at = o
				}
				if k == 0 {
					break
				}
				there += k
			}
			if there < n {
				ci += there // the chunk that stopped us stops every run over it
				continue
			}
			got := uint64(0)
			for got < n && q.seize(ci+got, clear) {
				got++
			}
			if got == n {
				err := q.establish(ci, class, n)
				q.roomier() // it may be enough for others, too
				return ci, err
			}
			if o := chunkOwner(q.chunk[ci+got].Load()); o != 0 { // else it is in use by now
				at = o
			}
			q.empty(ci, got)
			q.roomier()
			ci += got
		}
	}
	return 0, shortage(at)
}

// unused returns how many chunks could be seized from ci on, together: one that is
// empty or, with clear, a slab or a run whose blocks are all free. If there are none
// because another process is at it, it says who.
func (q *core) unused(ci uint64, clear bool) (n uint64, at owner) {
	w := q.chunk[ci].Load()
	n, per := uint64(1), uint64(1)
	switch st := chunkState(w); {
	case st == cEmpty:
		return 1, 0
	case st == cClearing:
		return 0, chunkOwner(w)
	case !clear:
		return 0, 0
	case st == cSlab && chunkClass(w) < classes:
		per = blocksPerChunk >> chunkClass(w)
	case st == cRun && chunkCount(w) > 0 && chunkCount(w) <= q.geo.chunks-ci:
		n = chunkCount(w)
	default:
		return 0, 0
	}
	hs := q.blocks[ci*blocksPerChunk:][:per]
	for i := range hs {
		switch bw := hs[i].word.Load(); stateOf(bw) {
		case bFree:
		case bGone:
			n, at = 0, wordOwner(bw)
		default:
			return 0, 0
		}
	}
	return n, at
}

// empty makes n chunks that this process has seized empty, from ci on.
func (q *core) empty(ci, n uint64) {
	for k := ci; k < ci+n; k++ {
		q.chunk[k].Store(q.chunk[k].Load() & cKeeps)
		if fault.Enabled {
			fault.Point("mpqueue.arena.emptied")
		}
	}
}

// seize makes chunk ci ours to prepare, if it is empty or, with clear, if all its
// blocks are free.
func (q *core) seize(ci uint64, clear bool) bool {
	c := &q.chunk[ci]
	w := c.Load()
	switch {
	case chunkState(w) == cEmpty:
		if !c.CompareAndSwap(w, chunkWord(cClearing, 0, q.self, 0)|w&cHeaded|cFilled) {
			return false
		}
		if fault.Enabled {
			fault.Point("mpqueue.arena.seized")
		}
		return true
	case clear && chunkState(w) == cSlab && chunkClass(w) < classes:
		return q.retire(ci, 1, w)
	case clear && chunkState(w) == cRun && chunkCount(w) > 0 && chunkCount(w) <= q.geo.chunks-ci:
		return q.retire(ci, chunkCount(w), w)
	}
	return false
}

// retire takes every block of a slab or run out of use, if all are free, and
// makes its first chunk ours and the others empty. A block in use stops it:
// then what it took is free again.
func (q *core) retire(ci, n, w uint64) bool {
	per := uint64(1)
	if chunkState(w) == cSlab {
		per = blocksPerChunk >> chunkClass(w)
	}
	hs := q.blocks[ci*blocksPerChunk:][:per]
	for i := range hs {
		bw := hs[i].word.Load()
		if stateOf(bw) == bFree && hs[i].word.CompareAndSwap(bw, makeWord(lapOf(bw), q.self, bGone)) {
			if fault.Enabled {
				fault.Point("mpqueue.arena.gone")
			}
			continue
		}
		for k := range i {
			q.freeBlock(&hs[k])
		}
		q.roomier()
		return false
	}
	// Says how many bodies there are, for the sweep.
	ok := q.chunk[ci].CompareAndSwap(w, chunkWord(cClearing, 0, q.self, n)|w&cKeeps)
	if ok {
		if fault.Enabled {
			fault.Point("mpqueue.arena.retired")
		}
		q.empty(ci+1, n-1)
	}
	for i := range hs {
		q.freeBlock(&hs[i])
	}
	if !ok {
		q.roomier() // of what the chunk is now, others may have found these in use
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
		q.empty(ci, n)
		if errors.Is(err, shm.ErrNoSpace) {
			return fmt.Errorf("mpqueue: %w", err)
		}
		return err
	}
	if class < classes {
		q.chunk[ci].Store(chunkWord(cSlab, class, 0, 0) | cKeeps)
		return nil
	}
	// Says how many bodies there may be, for the sweep, before there is one.
	q.chunk[ci].Store(chunkWord(cClearing, 0, q.self, n) | cKeeps)
	for k := uint64(1); k < n; k++ {
		q.chunk[ci+k].Store(chunkWord(cBody, 0, 0, k) | cKeeps)
		if fault.Enabled {
			fault.Point("mpqueue.arena.bodies")
		}
	}
	q.chunk[ci].Store(chunkWord(cRun, 0, 0, n) | cKeeps)
	return nil
}

// keepChunks is how many chunks a queue that grows keeps when it is drained.
const keepChunks uint64 = 16

// giveBack gives the memory of chunks whose blocks are all free back to the
// system. Consumers of a queue that grows call it before they sleep: the queue is
// drained then. Chunks that somebody else is at stay for the next time.
//
// A run that begins among the chunks that are kept is taken apart when the queue has
// been idle for a while: large messages that come one by one find it as it was.
func (q *core) giveBack(idle bool) {
	if q.geo.rules&ruleGrowing == 0 || !q.cursor.mu.TryLock() {
		return
	}
	defer q.cursor.mu.Unlock()
	if idle {
		for ci := range min(keepChunks, q.geo.chunks) {
			if w := q.chunk[ci].Load(); chunkState(w) == cRun && ci+chunkCount(w) > keepChunks && q.seize(ci, true) {
				q.empty(ci, 1)
				q.roomier()
			}
		}
	}
	for ci := keepChunks; ci < q.geo.chunks; ci++ {
		// The bodies of a run are empty chunks when its first one is ours.
		if w := q.chunk[ci].Load(); w&cFilled != 0 && q.seize(ci, true) {
			q.punch(ci)
		}
	}
}

// punch gives back the memory of a chunk that this process has seized.
func (q *core) punch(ci uint64) {
	if fault.Enabled {
		fault.Point("mpqueue.arena.punch")
	}
	q.seg.Punch(int(q.geo.arenaOff+ci*chunkSize), chunkSize) // if it fails, the memory stays until the chunk has been used again
	if fault.Enabled {
		fault.Point("mpqueue.arena.punched")
	}
	q.chunk[ci].Store(q.chunk[ci].Load() & cHeaded)
	q.roomier()
}
