package shm

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/edsrzf/mmap-go"

	"shmkit/shm/fault"
	"shmkit/shm/internal/sys"
)

var _ = fault.Declare("shm.detach.blanked", "shm.detach.dead", "shm.detach.swept")

// release lets one handle go; the last one detaches this process.
func (c *core) release() error {
	registry.mu.Lock()
	if c.refs--; c.refs > 0 {
		registry.mu.Unlock()
		return nil
	}
	delete(registry.byIno, c.inode)
	delete(registry.byID, c.hdr.id)
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
//	dead    our token is dead, for everybody to see
//	sweep   through a second mapping: what we held is released
//	close   the file, and with it our byte locks
//
// Killed in between, we are swept by the others as after any death.
func (c *core) detach() error {
	c.sleep.wakeAll()
	c.slow.wait()
	claims := c.wall.claims.Load()
	addresses.remove(c)
	sys.AnchorRemove(&c.table[c.me-1].node)

	g, err := c.ghost()
	if err != nil || blankLate > 0 {
		// No memory for a second mapping: sweep through the first one. Who
		// uses pointers into a segment that is being closed may then write
		// a moment too long.
		err = c.leaveTable()
		time.Sleep(blankLate)
		err = errors.Join(err, sys.Blank(c.mem))
	} else {
		err = sys.Blank(c.mem)
		if fault.Enabled {
			fault.Point("shm.detach.blanked")
		}
		err = errors.Join(err, g.leaveTable(), g.mem.Unmap())
	}
	if fault.Enabled {
		fault.Point("shm.detach.swept")
	}
	if c.sentAt.Load() == claims+1 {
		// Nobody has opened what we sent. Our lock goes, the file stays.
		err = errors.Join(err, sys.UnlockByte(c.file, lockBase+int64(c.me)))
		file := c.file
		pinUntil(&pin{
			opened: func() bool { return claimsIn(file) != claims },
			drop:   func() { file.Close() },
		})
	} else {
		err = errors.Join(err, c.file.Close()) // releases the byte locks
	}
	// Users may still hold pointers into the range. It now is private zero
	// pages; the range itself goes when nobody can reach c any more.
	mem := c.mem
	runtime.AddCleanup(c, func(m mmap.MMap) { m.Unmap() }, mem)
	return err
}

// blankLate is set by a test that shows that the order of detach matters.
var blankLate time.Duration

// ghost returns a second view of the segment, known to nobody else: the way in
// for the last steps of a process whose own view is blank.
func (c *core) ghost() (*core, error) {
	g := &core{hdr: c.hdr, name: c.name, inode: c.inode, file: c.file, me: c.me, self: c.self, closed: make(chan struct{})}
	var err error
	if g.mem, err = mmap.MapRegion(c.file, int(c.hdr.size), mmap.RDWR, 0, 0); err != nil {
		return nil, fmt.Errorf("mmap: %w", err)
	}
	g.lay()
	return g, nil
}

// leaveTable declares this process dead and sweeps what it held.
func (c *core) leaveTable() error {
	s := &c.table[c.me-1]
	live := s.live.Swap(0)
	// From this store on our token is dead. Pairs with the load in dead.
	s.status.Store(statusOf(c.self.Incarnation(), slotDead))
	if live&liveWaited != 0 {
		Wake(&s.live, -1)
	}
	if fault.Enabled {
		fault.Point("shm.detach.dead")
	}
	c.sweepMu.Lock()
	defer c.sweepMu.Unlock()
	c.sweepSlot(c.me)
	return nil
}

// enter marks the begin of a slow path, which Close waits for; it reports
// false if the segment is closed.
func (c *core) enter() bool { return c.slow.enter() }

func (c *core) leave() { c.slow.leave() }

// again returns one more handle on what s is a handle of; ErrClosed if that is
// being closed.
func (s *Segment) again() (*Segment, error) {
	c := s.core
	if s.block != 0 && !c.arena.again(s.block-1) {
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
