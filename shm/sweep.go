package shm

import (
	"shmkit/shm/fault"
	"shmkit/shm/internal/sys"
)

// A sweep releases what a dead process held in a segment, and frees its slot:
//
//	prove    the byte lock is free (or every thread has entered exit): dead
//	elect    take the slot's sweep lock; the kernel frees it if we die
//	release  run the hook of the segment's kind and of each embedded lock
//	free     status dead → free, with the same incarnation: old tokens stay dead
//
// Every step may be the last of its process; the next sweeper starts again at
// the first. A process that lacks a hook leaves the slot to those that have it.

var _ = fault.Declare("shm.sweep.elected", "shm.sweep.lock", "shm.sweep.released", "shm.sweep.cleared", "shm.sweep.freed")

// sweepDead looks at every participant (pid 0) or at those of one pid, and
// sweeps the dead. It returns how many slots it freed. With those of one pid go
// those that have none yet, as they died while they attached, and those that a
// sweeper has left half swept, which may have been the one of that pid: nobody
// else would be told of them.
func (c *core) sweepDead(pid int) (freed int) {
	freed, _ = c.sweepTable(pid)
	return freed
}

// sweepTable is sweepDead; left is how many of the dead it has left to other
// processes, which were at it.
func (c *core) sweepTable(pid int) (freed, left int) {
	// One goroutine of a process at a time: byte locks do not exclude the
	// goroutines of one process from each other.
	c.sweepMu.Lock()
	defer c.sweepMu.Unlock()
	c.sweepVisitor()
	for i := 1; i <= c.highSlot(); i++ {
		s := &c.table[i-1]
		st := s.status.Load()
		state := statusState(st)
		if i == c.me || state == slotFree || pid != 0 && state == slotLive && s.pid.Load() != uint32(pid) {
			continue
		}
		if !c.confirm(makeToken(i, statusInc(st))) {
			continue
		}
		switch swept, elsewhere := c.sweepSlot(i); {
		case swept:
			freed++
		case elsewhere:
			left++
		}
	}
	return freed, left
}

// sweepSlot sweeps slot i if it is dead; elsewhere says that another process is at
// it. The caller holds sweepMu.
func (c *core) sweepSlot(i int) (swept, elsewhere bool) {
	ok, err := sys.TryLockByte(c.file, sweepBase+int64(i), false)
	if err != nil || !ok {
		return false, err == nil
	}
	defer sys.UnlockByte(c.file, sweepBase+int64(i))
	s := &c.table[i-1]
	st := s.status.Load()
	if statusState(st) != slotDead {
		return false, false // done by another
	}
	if fault.Enabled {
		fault.Point("shm.sweep.elected")
	}
	dead := makeToken(i, statusInc(st))
	if !c.runHooks(dead) {
		return false, false
	}
	if fault.Enabled {
		fault.Point("shm.sweep.released")
	}
	c.freeSlot(s, st)
	return true, false
}

// freeSlot gives s, whose status st is dead, to newcomers. Nothing is left in it
// that tells of the dead one: its bell must not wake the waiters of the next, and
// the end of its process is not the next one's. The caller holds the slot's sweep
// lock.
func (c *core) freeSlot(s *slot, st uint32) {
	s.live.Store(0)
	s.pid.Store(0)
	s.start.Store(0)
	s.pidns.Store(0)
	for j := range s.user {
		s.user[j].Store(0)
	}
	if fault.Enabled {
		fault.Point("shm.sweep.cleared")
	}
	s.freed.Store(c.wall.claims.Load())
	// Gives the slot to newcomers. Pairs with the load in claim.
	s.status.CompareAndSwap(st, statusOf(statusInc(st), slotFree))
	if fault.Enabled {
		fault.Point("shm.sweep.freed")
	}
	c.wall.sweeps.Add(1)
}

// forgetHooks is set by a test that shows that a sweep without hooks is noticed.
var forgetHooks bool

// runHooks calls every hook that this segment needs; false if one is missing.
func (c *core) runHooks(dead Token) bool {
	if forgetHooks {
		return true
	}
	seg := &Segment{core: c}
	own := c.ownKind()
	if own == nil {
		return false
	}
	entries := c.sweptLocks(dead.Slot())
	for _, e := range entries {
		if k := kindByID(e.kind); k == nil || k.Sweep == nil {
			return false
		}
	}
	if own.Sweep != nil {
		own.Sweep(seg, 0, 0, 1, dead)
	}
	hooks := func(entries []lockAt) {
		for _, e := range entries {
			if fault.Enabled {
				fault.Point("shm.sweep.lock")
			}
			if k := kindByID(e.kind); k != nil && k.Sweep != nil {
				k.Sweep(seg, e.off, e.stride, e.count, dead)
			}
		}
	}
	if c.arena != nil && dead.Slot() == 0 && c.me != 0 {
		hooks(c.lockEntries())
		c.arena.eachHeld(hooks)
		return true
	}
	hooks(entries)
	if c.arena != nil && dead.Slot() != 0 {
		c.arena.clearRow(dead.Slot())
	}
	return true
}

// SweepDead looks at every segment that this process is attached to, proves
// dead participants of that pid dead (0: of any) and releases what they held.
// Whoever waits for the end of a process, as package procs does for its
// children, calls it then: recovery takes a millisecond instead of the 100 ms
// that sleepers take to look by themselves. It returns how many participants it
// freed.
func SweepDead(pid int) (freed int) {
	registry.mu.Lock()
	all := make([]*core, 0, len(registry.byIno))
	for _, c := range registry.byIno {
		all = append(all, c)
	}
	registry.mu.Unlock()
	for _, c := range all {
		if c.enter() {
			freed += c.sweepDead(pid)
			c.leave()
		}
	}
	return freed
}
