package mpqueue

import (
	"fmt"

	"shmkit/shm"
)

// check reports what cannot be in a queue at rest: operations of processes that
// are gone, blocks that nobody would ever free, positions out of order.
func check(s *shm.Segment) []error {
	q, err := over(s)
	if err != nil {
		return []error{err}
	}
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("mpqueue: check: "+format+": %w", append(args, ErrCorrupt)...))
	}
	used := map[blockID]uint64{}
	p, _, _ := q.unreleased(q.claimedEnd())
	behind := false // a slot that waits for a producer: nothing may be put after it
	for k := range q.geo.capacity {
		i, lap := q.geo.locate(p + k)
		sl := q.slot(i)
		w := sl.word.Load()
		d := lapsAhead(w, lap)
		switch st := stateOf(w); {
		case d < 0 || d > 1 || d == 1 && st != free:
			bad("slot %d, position %d: %d laps ahead, state %d", i, p+k, d, st)
		case st > sealed:
			bad("slot %d: state %d", i, st)
		case (st == writing || st == reading) && wordOwner(w).gone(s):
			bad("slot %d: claimed by participant %d, which is gone", i, wordOwner(w)>>incBits)
		case d == 0 && (st == free || st == sealed):
			behind = true
		case d == 0 && behind:
			bad("slot %d, position %d: claimed, though an earlier one is free", i, p+k)
		case d == 0 && st != writing:
			if b := q.geo.blockOf(sl.meta); b != noBlock {
				used[b] = p + k
				if q.block(b) == nil {
					bad("slot %d: block %d", i, b)
				}
			}
		}
	}
	q.eachHeader(func(id blockID, b *block) {
		w := b.word.Load()
		_, queued := used[id]
		switch st := stateOf(w); {
		case st == bOwned && !queued && (wordOwner(w) == 0 || wordOwner(w).gone(s)):
			bad("block %d: nobody's, and not free", id)
		case (st == bTaken || st == bLeased || st == bGone) && wordOwner(w).gone(s):
			bad("block %d: held by participant %d, which is gone", id, wordOwner(w)>>incBits)
		case st == bFree && queued:
			bad("block %d: free, but slot of position %d refers to it", id, used[id])
		case st > bGone:
			bad("block %d: state %d", id, st)
		}
	})
	for ci := range q.geo.chunks {
		if why := q.stray(ci); why != "" {
			bad("chunk %d, word %#x: %s", ci, q.chunk[ci].Load(), why)
		}
	}
	return errs
}
