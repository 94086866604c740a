package shm

import (
	"errors"
	"runtime"
	"time"

	"github.com/edsrzf/mmap-go"

	"shmkit/shm/fault"
	"shmkit/shm/internal/sys"
)

var _ = fault.Declare("shm.detach.blanked", "shm.detach.released", "shm.detach.dead", "shm.detach.swept")

// release lets one handle go; the last one detaches this process.
func (c *core) release() error {
	registry.mu.Lock()
	if c.refs--; c.refs > 0 {
		registry.mu.Unlock()
		return nil
	}
	delete(registry.byIno, c.inode)
	if registry.byID[c.hdr.id] == c { // else of a copy of the file
		delete(registry.byID, c.hdr.id)
	}
	c.slow.shut()
	close(c.closed)
	registry.mu.Unlock()
	return c.detach()
}

// detach ends the participation of this process. What it still holds is treated
// as if it had died, and as with a death nobody may get in before we have
// stopped writing: some goroutine may still be using a pointer. So the order is
//
//	blank   our mapping shows private pages from here on: we have stopped
//	sweep   through a second mapping: what we held is released
//	dead    our token is dead, for everybody to see; the slot is free
//	close   our byte lock and the file
//
// The sweep comes before dead: to recover a lock a hook takes it over in the name
// of its own process, and of a dead one others would take it over at once, in the
// middle. Killed in between, we are swept by the others as after any death, and so
// are we when the system has no second mapping for us.
func (c *core) detach() error {
	c.sleep.wakeAll()
	c.slow.wait()
	opens := c.wall.opens()
	addresses.remove(c)
	sys.AnchorRemove(&c.table[c.me-1].node)

	mem, err := mmap.MapRegion(c.file, int(c.hdr.size), mmap.RDWR, 0, 0)
	switch {
	case err != nil:
		// No second mapping is to be had: leave the sweep to the others, who
		// will find our byte lock gone.
		err = sys.Blank(c.mem)
	case blankLate > 0:
		c.ghost(mem).leaveTable()
		time.Sleep(blankLate)
		err = errors.Join(sys.Blank(c.mem), mem.Unmap())
	default:
		err = sys.Blank(c.mem)
		if fault.Enabled {
			fault.Point("shm.detach.blanked")
		}
		c.ghost(mem).leaveTable()
		err = errors.Join(err, mem.Unmap())
	}
	if fault.Enabled {
		fault.Point("shm.detach.swept")
	}
	// Not left to the end of the file: a pin keeps it, and so does a mapping that
	// could not be replaced.
	err = errors.Join(err, sys.UnlockByte(c.file, lockBase+int64(c.me)))
	if c.sentAt.Load() == opens+1 { // nobody has opened what we sent
		file := c.file
		pinUntil(&pin{
			opened: func() bool { return opensIn(file) != opens },
			drop:   func() { file.Close() },
		})
	} else {
		err = errors.Join(err, c.file.Close())
	}
	c.unmapLater()
	return err
}

// unmapLater is for the end of a core, whose range shows private zero pages. Users
// may still hold pointers into it: the range itself goes when nobody can reach c
// any more.
func (c *core) unmapLater() {
	runtime.AddCleanup(c, func(m mmap.MMap) { m.Unmap() }, c.mem)
}

// blankLate is set by a test that shows that the order of detach matters.
var blankLate time.Duration

// ghost returns a view of the segment by way of mem, known to nobody else: the way
// in for the last steps of a process whose own view is blank. Seen through it, this
// process is dead already.
func (c *core) ghost(mem mmap.MMap) *core {
	g := &core{hdr: c.hdr, name: c.name, inode: c.inode, file: c.file, mem: mem, me: c.me, self: c.self, closed: make(chan struct{}), ghostly: true}
	g.lay()
	return g
}

// leaveTable releases what this process holds, and then declares it dead. c is a
// ghost.
func (c *core) leaveTable() {
	// Nobody sweeps a living participant: the lock is for what comes after the
	// death. If another has it (the last sweeper of this slot was stopped as
	// it left), the slot is for others to free.
	elected, err := sys.TryLockByte(c.file, sweepBase+int64(c.me), false)
	if elected = elected && err == nil; elected {
		defer sys.UnlockByte(c.file, sweepBase+int64(c.me))
	}
	swept := c.runHooks(c.self)
	if fault.Enabled {
		fault.Point("shm.detach.released")
	}
	s := &c.table[c.me-1]
	st := statusOf(c.self.Incarnation(), slotDead)
	// From this store on our token is dead. Pairs with the load in dead.
	s.status.Store(st)
	if s.live.Swap(0)&liveWaited != 0 {
		Wake(&s.live, -1)
	}
	if fault.Enabled {
		fault.Point("shm.detach.dead")
	}
	if swept && elected {
		c.freeSlot(s, st)
	}
}

// enter marks the begin of a slow path, which Close waits for; it reports
// false if the segment is closed.
func (c *core) enter() bool {
	return c.slow.enter()
}

func (c *core) leave() { c.slow.leave() }

// again returns one more handle on what s is a handle of; ErrClosed if that is
// being closed.
func (s *Segment) again() (*Segment, error) {
	c := s.core
	if s.block != 0 && !c.arena.again(s.block-1, s.gen) {
		return nil, ErrClosed
	}
	registry.mu.Lock()
	defer registry.mu.Unlock()
	if c.refs == 0 {
		return nil, ErrClosed
	}
	c.refs++
	return &Segment{core: c, block: s.block, gen: s.gen}, nil
}
