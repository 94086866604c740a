package mpqueue

import (
	"runtime"
	"sync"
	"sync/atomic"

	"shmkit/shm"
)

// ringCore is a ring in this process, whatever its items. All handles of the
// process share it, for what it knows about positions is private memory: nobody
// can corrupt it, and it costs no shared cache line.
//
// A ring is two positions that only grow. Items from read to write are there,
// places from write to read + capacity are free:
//
//	              read                 write
//	               │                     │
//	─┬──────┬──────┬──────┬──────┬──────┬──────┬──────┬─
//	 │ free │ free │ item │ item │ item │ free │ free │
//	─┴──────┴──────┴──────┴──────┴──────┴──────┴──────┴─
//	               consumer ──>          producer ──>
//
// The producer fills a place and then moves write; the consumer empties one and
// then moves read. Each is one store, so whoever is killed has put, or taken, an
// item entirely or not at all, and its successor goes on where the position is.
type ringCore struct {
	seg *shm.Segment
	ringMemory
	refs  int        // handles; guarded by rings
	roles *ringHolds // the roles of this process

	_   [64]byte
	in  ringSide // the producer's, if this process is it
	_   [64]byte
	out ringSide // the consumer's
	_   [64]byte
}

// ringSide is one side's private view. One goroutine at a time uses it.
type ringSide struct {
	next  uint64       // the position of this side
	limit uint64       // how far it may go without looking at the other side's
	until uint64       // where the last reservation, or Peek, ends; see held
	mark  uint64       // the position when it last looked at the other side's
	lag   int          // pauses before it looks, see standBack
	more  uint64       // items since then beyond the first of each step
	mine  *atomic.Bool // this process has the role; in ringHolds
	mode  atomic.Uint32

	waiting atomic.Bool    // a goroutine is in await
	late    int            // sleeps that only their backstop ended, though there was something to do
	told    uint32         // the role word whose abandonment has been reported
	role    *atomic.Uint32 // of this side
	peer    *atomic.Uint32 // of the other side
	word    *atomic.Uint32 // this side sleeps on it
	other   *atomic.Uint32 // the other side does
	why     error          // it has to wait
	spin    spinner
}

// The mode of a side in this process: the quick paths need sidePlain alone.
//
//	bit  name   meaning                                    set by    cleared by
//	0    plain  publish without a fence, see ringfence.go  goPlain   takeOver
//	1    shut   the last handle has been closed            release   nobody
const (
	sidePlain = 1 << 0
	sideShut  = 1 << 1
)

// held returns how many items the last Reserve or Peek of s has handed out that
// it has not put, or taken, since.
func (c *ringCore) held(s *ringSide) uint64 {
	if n := s.until - s.next; n <= c.geo.capacity {
		return n
	}
	return 0 // a Put or Get has gone past it
}

// rings are the ring cores of this process.
var rings = struct {
	sync.Mutex
	byID map[shm.ID]*ringCore
}{byID: map[shm.ID]*ringCore{}}

// ringIn returns the core of the ring in s, whose handle it takes over.
func ringIn(s *shm.Segment, stride uint64) (*ringCore, error) {
	g, err := readRingGeometry(s)
	if err == nil && g.stride != stride {
		err = corrupt("the stride of ring", 0, g.stride)
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	rings.Lock()
	if c := rings.byID[s.ID()]; c != nil {
		c.refs++
		rings.Unlock()
		return c, s.Close()
	}
	c := newRingCore(s, g)
	rings.byID[s.ID()] = c
	runtime.AddCleanup(c, (*ringHolds).giveUp, c.roles) // see release
	c.announceStay()
	rings.Unlock()
	c.prepareFences()
	return c, nil
}

func newRingCore(s *shm.Segment, g ringGeometry) *ringCore {
	c := &ringCore{seg: s, ringMemory: overlayRing(s.Data(), 0, g), refs: 1}
	c.in.role, c.in.peer, c.in.word, c.in.why = &c.ctl.producer, &c.ctl.consumer, &c.ctl.notFull, ErrFull
	c.out.role, c.out.peer, c.out.word, c.out.why = &c.ctl.consumer, &c.ctl.producer, &c.ctl.notEmpty, ErrEmpty
	c.in.other, c.out.other = c.out.word, c.in.word
	c.roles = &ringHolds{seg: s, ctl: c.ctl}
	c.in.mine, c.out.mine = &c.roles.in, &c.roles.out
	c.in.spin.init()
	c.out.spin.init()
	return c
}

// release lets one handle go; with the last one this process gives up its roles.
//
// If that detaches the process from the segment, its sweep frees them. But the
// segment may have other handles: of package shm, or on their way to a process that
// is being started. A call that puts or gets may be running, and has counted itself
// nowhere; to give the role to others while it is about to move the position is
// not possible. So the role is given up by who has it: a call that waits is woken,
// and one that comes, or comes back, finds the side shut, and gives it up; at the
// latest the collector does, when no goroutine can have a call of it.
func (c *ringCore) release() error {
	rings.Lock()
	if c.refs--; c.refs > 0 {
		rings.Unlock()
		return nil
	}
	delete(rings.byID, c.seg.ID())
	// The memory may stay mapped, for other handles of the segment.
	c.in.mode.Or(sideShut)
	c.out.mode.Or(sideShut)
	c.announceLeave()
	rings.Unlock()
	signalAll(&c.ctl.notEmpty) // our own sleepers; those of others look again
	signalAll(&c.ctl.notFull)
	return c.seg.Close()
}

// isShut reports whether this process has closed the ring.
func (c *ringCore) isShut(s *ringSide) bool {
	return s.mode.Load()&sideShut != 0 || c.seg.Closed()
}

// leaveShut is the end of a call of side s that has found it shut.
func (c *ringCore) leaveShut(s *ringSide) error {
	c.roles.giveUpOne(s.role, s.mine)
	return shm.ErrClosed
}

// room sees to it that n places are free for the producer, n at most capacity,
// and reports whether they are.
func (c *ringCore) room(n uint64) (bool, error) {
	if c.in.limit-c.in.next >= n {
		return true, nil
	}
	r := c.ctl.read.Load() // pairs with the store in Get: the places are empty
	used := c.in.next - r
	if used > c.geo.capacity {
		return false, c.impossible("the read position of ring", r)
	}
	shm.RaceAcquire(&c.ctl.read)
	c.in.limit = r + c.geo.capacity
	return c.geo.capacity-used >= n, nil
}

// items sees to it that the consumer knows of n items, n at most capacity, and
// reports whether they are there.
func (c *ringCore) items(n uint64) (bool, error) {
	if c.out.limit-c.out.next >= n {
		return true, nil
	}
	w := c.ctl.write.Load() // pairs with the publishing store: the items are whole
	if w-c.out.next > c.geo.capacity {
		return false, c.impossible("the write position of ring", w)
	}
	if c.ctl.sendState.Load()&ringClosed != 0 {
		w = c.beforeEnd(c.out.next, w)
	}
	shm.RaceAcquire(&c.ctl.write)
	c.out.limit = w
	return w-c.out.next >= n, nil
}

// impossible is the error for a position that cannot be. Memory that reads zero
// has been closed by this process.
func (c *ringCore) impossible(what string, got uint64) error {
	if c.ctl.sendState.Load()&ringOpen == 0 && c.seg.Closed() {
		return shm.ErrClosed
	}
	return corrupt(what, 0, got)
}

// length counts the items.
func (c *ringCore) length() int {
	r := c.ctl.read.Load()
	w := c.beforeEnd(r, c.ctl.write.Load())
	return int(min(w-r, c.geo.capacity))
}
