package shm

import (
	"cmp"
	"fmt"
	"slices"

	"shmkit/shm/fault"
	"shmkit/shm/internal/sys"
)

var _ = fault.Declare("shm.attach.opened", "shm.attach.byte", "shm.attach.locked", "shm.attach.claimed")

// slotSpread is how many slots a segment uses in turn although fewer would do. A
// token that somebody has kept for a long time becomes another process's after
// 2^18 claims of its slot: so the claims go round. Scans of the table stop at
// the highest slot ever used; more than this would make them longer.
const slotSpread = 16

// errSlotMoving is for a newcomer that finds no slot, but one that is about to come
// free, or another newcomer that sweeps the full table. That takes less than a
// millisecond, unless the other process was stopped; or was killed, and is so large
// that the kernel still tears it down: the proof of a death can be had before that,
// and then the slot is free and its byte lock is not.
var errSlotMoving = fmt.Errorf("%w: no slot is to be had, as a process that comes or goes does not get on", ErrTooManyParticipants)

// claimPatience is how long a newcomer puts up with errSlotMoving.
var claimPatience = patience

// candidates returns the free slots from lo to hi, the one that has been free
// for longest in front.
func (c *core) candidates(lo, hi int) []int {
	var free []int
	for i := lo; i <= hi; i++ {
		if statusState(c.table[i-1].status.Load()) == slotFree {
			free = append(free, i)
		}
	}
	slices.SortStableFunc(free, func(i, j int) int {
		return cmp.Compare(c.table[i-1].freed.Load(), c.table[j-1].freed.Load())
	})
	return free
}

// claim takes a free slot: byte lock first, then the status, so that whoever
// sees the claim finds the lock held.
func (c *core) claim() (int, uint32, error) {
	window := min(max(c.highSlot(), slotSpread), len(c.table))
	for swept := false; ; swept = true {
		busy := false
		// First those whose turn it is, then those that were never used:
		// not to look at the latter saves page faults.
		for _, part := range [][2]int{{1, window}, {window + 1, len(c.table)}} {
			for _, i := range c.candidates(part[0], part[1]) {
				inc, err := c.claimSlot(i)
				if err != nil || inc != 0 {
					return i, inc, err
				}
				busy = true
			}
		}
		if swept && !busy {
			return 0, 0, fmt.Errorf("%w: all %d slots are taken by living processes", ErrTooManyParticipants, len(c.table))
		}
		if swept || !c.visit() || busy {
			return 0, 0, errSlotMoving
		}
	}
}

// claimSlot takes slot i and returns its new incarnation, or 0 if another was
// faster.
func (c *core) claimSlot(i int) (inc uint32, _ error) {
	ok, err := sys.TryLockByte(c.file, lockBase+int64(i), false)
	if err != nil || !ok { // a newcomer has it, or one that leaves or is being torn down
		return 0, err
	}
	if fault.Enabled {
		fault.Point("shm.attach.byte")
	}
	s := &c.table[i-1]
	st := s.status.Load()
	inc = nextInc(statusInc(st) & incMask)
	// Before the claim: killed in between, we leave a slot too many to look at,
	// not one that nobody looks at.
	for h := c.wall.highSlot.Load(); h < uint32(i); h = c.wall.highSlot.Load() {
		c.wall.highSlot.CompareAndSwap(h, uint32(i))
	}
	if statusState(st) != slotFree || !s.status.CompareAndSwap(st, statusOf(inc, slotClaiming)) {
		sys.UnlockByte(c.file, lockBase+int64(i))
		return 0, nil
	}
	c.wall.claims.Add(1)
	if fault.Enabled {
		fault.Point("shm.attach.locked")
	}
	return inc, nil
}
