package futexlock

import (
	"context"
	"structs"
	"sync/atomic"

	"shmkit/shm"
)

// ReaderCells is the number of processes that can read under one RWMutex at
// the same time. A reader of one process more takes the write side: it still
// reads, but alone. Each process counts up to 32,767 readers.
const ReaderCells = 32

// RWMutex is a reader/writer mutual exclusion lock that lives in shared memory
// and survives the death of its holders. All zero bytes are an unlocked
// RWMutex. It must not be copied or moved. Any goroutine of any process may use
// it; ownership, of writing and of reading, belongs to the process.
//
// It is fair to both sides: a writer that waits keeps new readers out, and
// readers that waited for one writer go before the next. So a goroutine that
// reads must not read again inside: a writer may have come between.
//
// When a writer dies inside, the next Lock and every RLock get the lock together
// with ErrOwnerDied until a writer calls Consistent; a reader can look but not
// repair. When a reader dies, or a writer that was still waiting, nobody needs
// to know, and nobody is told. A dead reader or writer keeps others out until
// its last thread is past its last access.
//
// An Unlock synchronizes before every later Lock and RLock, an RUnlock before
// every later Lock.
//
// The words: LAYOUT.md. Readers of different processes write different cache
// lines, so that they scale, and do not even read what they share until a writer
// comes; the idea is that of
// distributed (BRAVO, brlock) readers with the phases of Brandenburg and
// Anderson's phase-fair locks. An RWMutex takes 2,176 bytes.
type RWMutex struct {
	_     structs.HostLayout
	_     noCopy
	write atomic.Uint32 // lock word
	_     [60]byte
	gate  atomic.Uint32
	used  atomic.Uint32 // bit i: cell i has been claimed some time
	_     [56]byte
	cells [ReaderCells]readerCell
}

// readerCell has a cache line of its own.
type readerCell struct {
	_    structs.HostLayout
	v    atomic.Uint64
	lane atomic.Uint64 // see rwlane.go
	_    [48]byte
}

// RLock locks rw for reading, waiting while a writer holds it or waits for it.
// It returns nil, or ErrOwnerDied: rw is held for reading, but a writer died
// inside and no writer has called Consistent since. It returns nothing else.
func (rw *RWMutex) RLock() error {
	self := uint32(shm.SelfAt(&rw.gate))
	c := rw.homeLane(self)
	if v := c.Load(); laneToken(v) == self && laneIsOpen(v) && self != 0 {
		// A writer that shuts the lane from here on waits for us. Pairs with the
		// CAS in shutLane.
		if laneIsOpen(c.Add(laneReader)) {
			shm.RaceAcquire(&rw.gate)
			return nil
		}
		rw.backFromLane(c)
	}
	return mustLock("RWMutex.RLock", rw.rlockSlow(context.Background(), "RWMutex.RLock"))
}

// RLockContext is RLock that gives up when ctx is done: it returns ctx's
// error, wrapped, and rw is not held. With a ctx that is done already it tries
// once. If this process closes the segment meanwhile it returns shm.ErrClosed.
func (rw *RWMutex) RLockContext(ctx context.Context) error {
	return rw.rlockSlow(ctx, "RWMutex.RLockContext")
}

// TryRLock locks rw for reading if that is possible without waiting. It
// returns true with nil or ErrOwnerDied, as RLock does, or false and nil.
func (rw *RWMutex) TryRLock() (bool, error) {
	seg, self := attached("RWMutex.TryRLock", shm.Find(rw))
	var stay shm.Stay
	died, err := rw.readLock(doneContext, seg, &stay, self)
	stay.Leave()
	if err != nil {
		return false, nil
	}
	shm.RaceAcquire(&rw.gate)
	return true, told("RWMutex.TryRLock", died)
}

func (rw *RWMutex) rlockSlow(ctx context.Context, op string) error {
	seg, self := attached(op, shm.Find(rw))
	var stay shm.Stay
	died, err := rw.readLock(ctx, seg, &stay, self)
	stay.Leave()
	if err != nil {
		return failed(op, err)
	}
	shm.RaceAcquire(&rw.gate)
	return told(op, died)
}

// RUnlock undoes one RLock. It panics if this process does not hold rw for
// reading.
func (rw *RWMutex) RUnlock() {
	shm.RaceRelease(&rw.write)
	self := uint32(shm.SelfAt(&rw.gate))
	c := rw.homeLane(self)
	if v := c.Load(); laneToken(v) == self && laneIsOpen(v-laneReader) && self != 0 {
		if n := c.Add(^(laneReader - 1)); laneIsOpen(n) || rw.leftLane(c, n) {
			return
		}
	}
	rw.runlockSlow()
}

// Lock locks rw for writing, waiting as long as a writer or readers hold it.
// It returns nil, or ErrOwnerDied: rw is held, but a writer died inside and
// nobody has called Consistent since. It returns nothing else.
func (rw *RWMutex) Lock() error {
	return mustLock("RWMutex.Lock", rw.lock(context.Background(), "RWMutex.Lock"))
}

// LockContext is Lock that gives up when ctx is done: it returns ctx's error,
// wrapped, and rw is not held; readers that waited behind it go on. With a ctx
// that is done already it tries once. If this process closes the segment
// meanwhile it returns shm.ErrClosed.
func (rw *RWMutex) LockContext(ctx context.Context) error { return rw.lock(ctx, "RWMutex.LockContext") }

func (rw *RWMutex) lock(ctx context.Context, op string) error {
	seg, self := attached(op, shm.Find(rw))
	var stay shm.Stay
	died, err := rw.writeLock(ctx, seg, &stay, self, gateWriting)
	stay.Leave()
	if err != nil {
		return failed(op, err)
	}
	shm.RaceAcquire(&rw.gate)
	shm.RaceAcquire(&rw.write)
	return told(op, died)
}

// TryLock locks rw for writing if that is possible without waiting. It returns
// true with nil or ErrOwnerDied, as Lock does, or false and nil.
func (rw *RWMutex) TryLock() (bool, error) {
	seg, self := attached("RWMutex.TryLock", shm.Find(rw))
	var stay shm.Stay
	died, err := rw.writeLock(doneContext, seg, &stay, self, gateWriting)
	stay.Leave()
	if err != nil {
		return false, nil
	}
	shm.RaceAcquire(&rw.gate)
	shm.RaceAcquire(&rw.write)
	return true, told("RWMutex.TryLock", died)
}

// Unlock unlocks rw for writing and lets in the readers that waited. It panics
// if this process does not hold rw for writing.
func (rw *RWMutex) Unlock() {
	// Readers that come in by the gate may close rw before we have let go of the
	// write side.
	var stay shm.Stay
	seg, self := entered("RWMutex.Unlock", shm.Find(rw), &stay, &rw.write)
	defer stay.Leave()
	rw.mustWrite(seg, self, "Unlock")
	shm.RaceRelease(&rw.gate)
	shm.RaceRelease(&rw.write)
	rw.openGate(left)
	rw.releaseWrite(self)
}

// Consistent declares the data that rw protects repaired: later lockers are no
// longer told ErrOwnerDied. The caller must hold rw for writing; it panics if
// this process does not.
func (rw *RWMutex) Consistent() {
	seg, self := attached("RWMutex.Consistent", shm.Find(rw))
	rw.mustWrite(seg, self, "Consistent")
	rw.changeGate(func(g uint32) uint32 { return g &^ ownerDied })
}

func (rw *RWMutex) mustWrite(seg *shm.Segment, self uint32, op string) {
	h := holderOf(rw.write.Load())
	if h != self || rw.gate.Load()&gateWriting == 0 {
		notHeld(op, "RWMutex", seg, shm.Token(h))
	}
}

// Owner returns the process that holds rw for writing, or waits for its
// readers to leave, for people; false if there is none.
func (rw *RWMutex) Owner() (Owner, bool) { return wordOwner(shm.Look(rw), &rw.write) }

func init() { register[RWMutex](kindRWMutex) }
