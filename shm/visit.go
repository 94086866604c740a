package shm

import (
	"os"

	"shmkit/shm/fault"
	"shmkit/shm/internal/sys"
)

// A newcomer that finds every slot taken has to sweep before it can be a
// participant. Hooks take over what the dead held, in the name of their process,
// and only then release it: somebody without a name would let others in halfway.
// So slot 0, which is no participant's, is the visitor's: a process has it for the
// time of such a sweep, one process at a time.
//
//	lock     sweep lock 0 and byte lock 0: nobody else visits, and this one lives
//	claim    status free or dead → claiming, with a new incarnation
//	owed     sweep the visitors before us that died in here
//	sweep    the table
//	leave    status claiming → free: a visitor keeps nothing
//
// A visitor that was killed is found dead by its byte lock, like a participant, and
// is swept by participants, and by the next visitor, which claims the slot first:
// freed tells the oldest incarnation that nobody has swept yet.

var _ = fault.Declare("shm.visit.locked", "shm.visit.claimed", "shm.visit.owed", "shm.visit.swept")

// mostOwed bounds what a damaged word can make of the visitors that died.
const mostOwed = 64

// visit sweeps the table in the name of a visitor; false if another process is at it,
// or at a slot of it.
func (c *core) visit() bool {
	for _, b := range []int64{sweepBase, lockBase} {
		if ok, err := sys.TryLockByte(c.file, b, false); err != nil || !ok {
			return err != nil
		}
		defer sys.UnlockByte(c.file, b)
	}
	if fault.Enabled {
		fault.Point("shm.visit.locked")
	}
	s := c.visitor
	var st, inc uint32
	for claimed := false; !claimed; { // others may be noting that the last one is dead
		st = s.status.Load()
		inc = nextInc(statusInc(st) & incMask)
		if statusState(st) == slotFree {
			s.freed.Store(uint64(inc))
		}
		claimed = s.status.CompareAndSwap(st, statusOf(inc, slotClaiming))
	}
	s.pid.Store(uint32(os.Getpid()))
	writeName(s, processName.Load())
	c.self = makeToken(0, inc)
	defer func() { c.self = nobody }()
	if fault.Enabled {
		fault.Point("shm.visit.claimed")
	}
	if statusState(st) != slotFree {
		if !c.sweepVisits(statusInc(st) & incMask) {
			s.status.Store(statusOf(inc, slotDead)) // for one that has the hooks
			return true
		}
		s.freed.Store(uint64(inc))
	}
	if fault.Enabled {
		fault.Point("shm.visit.owed")
	}
	_, left := c.sweepTable(0)
	if fault.Enabled {
		fault.Point("shm.visit.swept")
	}
	s.pid.Store(0)
	s.status.Store(statusOf(inc, slotFree))
	return left == 0
}

// sweepVisits sweeps the visitors up to incarnation last that nobody has swept; it
// reports false if a hook is missing. The caller holds sweep lock 0.
func (c *core) sweepVisits(last uint32) bool {
	n := uint32(1)
	for i := uint32(c.visitor.freed.Load()) & incMask; i != last && n < mostOwed; i = nextInc(i) {
		n++
	}
	for ; n > 0; n-- {
		inc := last
		for range n - 1 {
			inc = prevInc(inc)
		}
		if !c.runHooks(makeToken(0, inc)) {
			return false
		}
	}
	return true
}

// sweepVisitor sweeps the visitor if it is dead. The caller holds sweepMu.
func (c *core) sweepVisitor() {
	s := c.visitor
	st := s.status.Load()
	if statusState(st) == slotFree || c.self.Slot() == 0 || !c.confirm(makeToken(0, statusInc(st))) {
		return
	}
	ok, err := sys.TryLockByte(c.file, sweepBase, false)
	if err != nil || !ok {
		return // another process is at it, or there is a new visitor
	}
	defer sys.UnlockByte(c.file, sweepBase)
	if st = s.status.Load(); statusState(st) == slotDead && c.sweepVisits(statusInc(st)&incMask) {
		s.pid.Store(0)
		s.status.CompareAndSwap(st, statusOf(statusInc(st), slotFree))
		c.wall.sweeps.Add(1)
	}
}
