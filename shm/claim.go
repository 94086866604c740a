package shm

import (
	"cmp"
	"fmt"
	"slices"

	"shmkit/shm/fault"
	"shmkit/shm/internal/sys"
)

var _ = fault.Declare("shm.attach.byte", "shm.attach.locked", "shm.attach.claimed")

// slotSpread is how many slots a segment uses in turn although fewer would do. A
// token that somebody has kept for a long time becomes another process's after
// 2^18 claims of its slot: so the claims go round. Scans of the table stop at
// the highest slot ever used; more than this would make them longer.
const slotSpread = 16

// candidates returns the free slots in the order in which to try them: first
// those whose turn it is, the one that has been free for longest in front.
func (c *core) candidates() []int {
	window := max(int(c.wall.highSlot.Load()), slotSpread)
	var free []int
	for i := 1; i <= len(c.table); i++ {
		if statusState(c.table[i-1].status.Load()) == slotFree {
			free = append(free, i)
		}
	}
	beyond := func(i int) int {
		if i > window {
			return i
		}
		return 0
	}
	slices.SortFunc(free, func(i, j int) int {
		return cmp.Or(
			cmp.Compare(beyond(i), beyond(j)),
			cmp.Compare(c.table[i-1].freed.Load(), c.table[j-1].freed.Load()),
			cmp.Compare(i, j))
	})
	return free
}

// claim takes a free slot: byte lock first, then the status, so that whoever
// sees the claim finds the lock held.
func (c *core) claim() (int, uint32, error) {
	for round := range 2 {
		for _, i := range c.candidates() {
			s := &c.table[i-1]
			ok, err := sys.TryLockByte(c.file, lockBase+int64(i), false)
			if err != nil {
				return 0, 0, err
			}
			if !ok {
				continue // another newcomer, or one that left and still has to close its file
			}
			if fault.Enabled {
				fault.Point("shm.attach.byte")
			}
			st := s.status.Load()
			inc := nextInc(statusInc(st) & incMask)
			if statusState(st) == slotFree && s.status.CompareAndSwap(st, statusOf(inc, slotClaiming)) {
				c.wall.claims.Add(1)
				if fault.Enabled {
					fault.Point("shm.attach.locked")
				}
				return i, inc, nil
			}
			sys.UnlockByte(c.file, lockBase+int64(i))
		}
		if round == 0 {
			c.sweepDead(0)
		}
	}
	return 0, 0, fmt.Errorf("%w: all %d slots are taken by living processes", ErrTooManyParticipants, len(c.table))
}
