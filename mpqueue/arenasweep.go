package mpqueue

import "shmkit/shm/fault"

// eachHeader calls f for every block that has a header, also for those that are no
// block as their chunk is used now: who claims a block by an outdated chunk word,
// and is killed before he looks at it again, has put his name there.
func (q *core) eachHeader(f func(blockID, *block)) {
	for i := range q.leasable() {
		f(blockID(i), &q.leases[i])
	}
	base := uint64(len(q.leases))
	for ci := range q.geo.chunks {
		if q.chunk[ci].Load()&cHeaded == 0 {
			continue
		}
		for k := ci * blocksPerChunk; k < (ci+1)*blocksPerChunk; k++ {
			f(blockID(base+k), &q.blocks[k])
		}
	}
}

// sweepChunks empties the chunks that the dead one was preparing: first the bodies
// of what was a run, or was to be one, then its first chunk. Killed in between, the
// next sweeper finds the first chunk as it was. Nobody else writes these words: a
// body at that distance belongs to this first chunk, which has the name of the
// dead one, and his sweeper is the only one.
func (q *core) sweepChunks(o owner) {
	for ci := range q.geo.chunks {
		w := q.chunk[ci].Load()
		if chunkState(w) != cClearing || chunkOwner(w) != o {
			continue
		}
		for k := uint64(1); k < min(chunkCount(w), q.geo.chunks-ci); k++ {
			if b := q.chunk[ci+k].Load(); chunkState(b) == cBody && chunkCount(b) == k {
				q.sweepChunk(ci+k, b)
			}
		}
		q.sweepChunk(ci, w)
	}
}

func (q *core) sweepChunk(ci, w uint64) {
	if fault.Enabled {
		fault.Point("mpqueue.sweep.chunk")
	}
	q.chunk[ci].CompareAndSwap(w, w&cKeeps)
	if fault.Enabled {
		fault.Point("mpqueue.sweep.emptied")
	}
}

// stray says what is wrong with chunk ci, "" if nothing is: a body without its run,
// a run without its bodies, or a word that nobody could have written. Others may be
// at work meanwhile: what they have begun is not wrong, and what has changed while
// one looked is looked at again.
func (q *core) stray(ci uint64) string {
	for {
		w := q.chunk[ci].Load()
		why := ""
		switch n := chunkCount(w); chunkState(w) {
		case cEmpty, cSlab:
		case cClearing:
			if chunkOwner(w).gone(q.seg) {
				why = "it is being prepared by somebody who is gone"
			}
		case cRun:
			for k := uint64(1); k < min(n, q.geo.chunks-ci); k++ {
				if b := q.chunk[ci+k].Load(); chunkState(b) != cBody || chunkCount(b) != k {
					why = "a part of its run is something else"
				}
			}
		case cBody:
			if n == 0 || n > ci {
				why = "it is part of a run that cannot be"
			} else if h := q.chunk[ci-n].Load(); chunkState(h) != cRun && chunkState(h) != cClearing || chunkCount(h) <= n {
				why = "it is part of a run that is no more"
			}
		default:
			why = "no such state"
		}
		if why == "" || q.chunk[ci].Load() == w {
			return why
		}
	}
}
