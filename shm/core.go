package shm

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/edsrzf/mmap-go"

	"shmkit/shm/fault"
	"shmkit/shm/internal/sys"
)

// core is one segment in this process: its mapping, its file, its place in the
// participant table. However often a process opens a segment, it has one core;
// Segment, Object and the queues above are thin handles that count on it.
type core struct {
	hdr  header // private copy, checked once: a peer cannot change it under us
	name string // path of the name, "" for anonymous
	inode
	file    *os.File // our own open file description: it carries our byte locks and no child inherits it
	mem     mmap.MMap
	data    []byte
	wall    *wall
	locks   []lockEntry
	table   []slot // slot number i is table[i-1]
	visitor *slot  // slot number 0, see visit
	arena   *arena // of a segment of kind KindArena
	me      int    // our slot number
	self    Token
	index   uint32 // in the address table

	refs    int // guarded by registry.mu; 0: being closed
	slow    passage
	closed  chan struct{} // closed by Close
	ghostly bool          // a view for the end of detach: self counts as dead
	sentAt  atomic.Uint64 // wall.opens + 1 when a handle was last sent; 0: none was
	sweepMu sync.Mutex
	sleep   sleepers
}

type inode struct{ dev, ino uint64 }

// registry is what this process is attached to.
var registry = struct {
	mu    sync.Mutex
	byIno map[inode]*core
	byID  map[ID]*core
}{byIno: map[inode]*core{}, byID: map[ID]*core{}}

// expectation is what a caller wants a segment to hold; zero fields are not
// checked.
type expectation struct {
	kind     uint32
	layout   uint64
	elemSize uint64
	elems    uint64
	typed    bool // layout, elemSize are checked also when 0
}

// attach makes this process a participant of the segment in f and takes
// ownership of f. path is the name by which f was found, "" if anonymous.
func attach(f *os.File, path string, want expectation, o *options) (*core, error) {
	defer f.Close()
	c, fresh, err := attachLocked(f, path, want, o)
	if fresh {
		// Whatever died here before we came: a name that was stale comes
		// back with its locks released and its queues in order.
		c.sweepDead(0)
	}
	return c, err
}

// attachKeeping is attach for a file that may have a name, by which it was not
// opened. While it attaches nobody takes the name for unused and removes it. If
// somebody is just removing it we do not wait: the segment is what we were sent,
// and has no name then, as if we had come a moment later.
func attachKeeping(f *os.File, path string, want expectation, o *options) (*core, error) {
	guard, err := sys.Reopen(f)
	if err != nil {
		f.Close()
		return nil, err
	}
	defer guard.Close() // releases the byte
	if _, err := sys.TryLockByte(guard, createByte, true); err != nil {
		f.Close()
		return nil, err
	}
	return attach(f, path, want, o)
}

func attachLocked(f *os.File, path string, want expectation, o *options) (_ *core, fresh bool, _ error) {
	node, err := sys.Inode(f)
	if err != nil {
		return nil, false, err
	}
	if err := o.trusts(node.UID); err != nil {
		return nil, false, err
	}
	at := inode{node.Dev, node.Ino}
	if c, err := attachedTo(at, want); c != nil || err != nil {
		return c, false, err
	}
	c := &core{name: path, inode: at, refs: 1, closed: make(chan struct{})}
	if err := c.open(f, node, want, o); err != nil {
		return nil, false, err
	}
	if fault.Enabled {
		fault.Point("shm.attach.opened")
	}
	known, err := c.joinLocked()
	defer registry.mu.Unlock()
	if known != nil || err != nil {
		c.mem.Unmap()
		c.file.Close()
		if known != nil {
			known.refs++
		}
		return known, false, err
	}
	registry.byIno[at] = c
	registry.byID[c.hdr.id] = c
	addresses.add(c)
	return c, true, nil
}

// attachedTo returns the core of that inode with one more handle on it, nil if
// this process is not attached to it.
func attachedTo(at inode, want expectation) (*core, error) {
	registry.mu.Lock()
	defer registry.mu.Unlock()
	c := registry.byIno[at]
	if c == nil {
		return nil, nil
	}
	if err := want.check(&c.hdr); err != nil {
		return nil, err
	}
	c.refs++
	return c, nil
}

// open maps the segment in f. Filling and touching many GiB takes seconds, in
// which others attach and children are swept: so it holds no lock.
func (c *core) open(f *os.File, node sys.Node, want expectation, o *options) (err error) {
	if c.hdr, err = readHeader(f); err != nil {
		return err
	}
	if err := want.check(&c.hdr); err != nil {
		return err
	}
	if err := c.hdr.fill(f, node, c.name); err != nil {
		return err
	}
	if c.file, err = sys.Reopen(f); err != nil {
		return err
	}
	if c.mem, err = mmap.MapRegion(c.file, int(c.hdr.size), mmap.RDWR, 0, 0); err != nil {
		c.file.Close()
		return fmt.Errorf("mmap: %w", err)
	}
	c.lay()
	if o.prefault {
		// What is not reserved has not been compared with the memory there is.
		if err := sys.Prefault(c.mem[:c.hdr.dataOff+c.hdr.reserved]); err != nil {
			c.mem.Unmap()
			c.file.Close()
			return err
		}
		if prefaulted != nil {
			prefaulted()
		}
	}
	if c.hdr.flags&flagHuge != 0 {
		sys.HugePages(c.mem) // a wish: without huge pages everything works as well
	}
	return nil
}

// prefaulted is set by a test that looks what else goes on meanwhile.
var prefaulted func()

// joinLocked makes this process a participant, unless another goroutine has been
// faster and it is known by another core. It returns with registry.mu locked, and does
// not hold it while it waits for a slot.
func (c *core) joinLocked() (known *core, err error) {
	for end := time.Now().Add(claimPatience); ; time.Sleep(time.Millisecond) {
		registry.mu.Lock()
		known, err = registry.byIno[c.inode], nil
		if known == nil {
			err = c.join()
		}
		if known != nil || err != errSlotMoving || time.Now().After(end) {
			return known, err
		}
		registry.mu.Unlock()
		if fault.Enabled {
			fault.Point("shm.join.waits")
		}
	}
}

// join makes this process a participant.
func (c *core) join() error {
	for range len(c.table) {
		i, inc, err := c.claim()
		if err != nil {
			return err
		}
		if c.settle(i, inc) {
			return nil
		}
	}
	return fmt.Errorf("the slots that this process claims are declared dead: %w", ErrCorrupt)
}

// settle fills in slot i, which this process has claimed, and makes it live. It
// reports false, and gives the slot up, if somebody has declared the claim dead:
// by the byte lock, which we hold, nobody can; by a damaged table, or with
// another idea of what proves a death, somebody may.
func (c *core) settle(i int, inc uint32) bool {
	s := &c.table[i-1]
	c.me, c.self = i, makeToken(i, inc)
	s.pid.Store(uint32(os.Getpid()))
	me := self()
	s.start.Store(me.start)
	s.pidns.Store(me.pidns)
	writeName(s, processName.Load())
	for j := range s.user {
		s.user[j].Store(0)
	}
	if tid, ok := sys.StartAnchor(); ok {
		// First the chain, then the word: the kernel marks only words that
		// hold the anchor's thread id.
		sys.AnchorAdd(&s.node)
		s.live.Store(tid)
	} else {
		s.live.Store(0)
	}
	if fault.Enabled {
		fault.Point("shm.attach.claimed")
	}
	// From here on peers take us for alive as long as the byte lock is held.
	// Publishes the fields above; pairs with the load in participant. A CAS:
	// what was declared dead must not come back to life, its locks are being
	// released.
	if s.status.CompareAndSwap(statusOf(inc, slotClaiming), statusOf(inc, slotLive)) {
		return true
	}
	sys.AnchorRemove(&s.node)
	c.me, c.self = 0, nobody
	sys.UnlockByte(c.file, lockBase+int64(i))
	return false
}

// nameStillOurs reports whether path still leads to the inode of c.
func (c *core) nameStillOurs() (bool, error) {
	f, err := sys.Open(c.name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrNotRegular) {
		return false, nil
	}
	if err != nil { // out of descriptors: that says nothing of the name
		return false, err
	}
	defer f.Close()
	node, err := sys.Inode(f)
	return err == nil && c.inode == inode{node.Dev, node.Ino}, err
}

// identity of this process, for the participant table.
type identity struct{ start, pidns uint64 }

func self() identity {
	if me := knownSelf.Load(); me != nil {
		return *me
	}
	p, err := sys.Stat(os.Getpid(), 0)
	me := identity{p.Start, sys.Namespace()}
	if err == nil { // else it is out of descriptors, perhaps: it may be told later
		knownSelf.Store(&me)
	}
	return me
}

var knownSelf atomic.Pointer[identity]

var _ = fault.Declare("shm.join.waits")

// patience is how long a name may be changing: only a process that was stopped
// between two system calls takes longer.
const patience = 5 * time.Second

// openRetry runs f again while it says that a name is changing under it.
func openRetry(end time.Time, f func() (*core, error)) (*core, error) {
	for ; ; time.Sleep(time.Millisecond) {
		c, err := f()
		if err != errNameMoved || time.Now().After(end) {
			return c, err
		}
	}
}

// It is no fs.ErrNotExist: who then made the name would wait for the same process.
var errNameMoved = errors.New("the name is being replaced by a process that has stopped")
