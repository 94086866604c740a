package mpqueue

import (
	"context"
	"sync/atomic"

	"shmkit/shm"
	"shmkit/shm/fault"
)

// core is a queue in this process, whatever its T: the claim and release of
// slots. Any number of goroutines share it.
type core struct {
	memory
	seg  *shm.Segment
	self owner

	// The low bits of slot words that say that this process is at it.
	writing, reading uint64

	leaseCell *atomic.Uint32 // our cellLeases

	// Lower bounds of the positions that are not claimed, and not taken, as
	// far as this process knows. Here they cost no shared line.
	_    [64]byte
	tail atomic.Uint64
	_    [56]byte
	head atomic.Uint64
	// The value of control.orphans at which a full scan found nothing, and at
	// which one of the blocks did.
	seen, clean atomic.Uint32
	// Lower bound of the positions that have not been released.
	gone atomic.Uint64
	_    [40]byte

	// Puts and reservations below this sum of their counts leave room for all
	// items out of the ring; see leasedFull.
	limit atomic.Uint64

	tasks   *tasks // of a handle of a Joinable queue
	closing atomic.Bool
	life    context.Context // ends when the handle is closed
	stop    context.CancelFunc
	letter  letterBox

	spinPut, spinGet spinner
	cursor           cursors
}

func newCore(s *shm.Segment, g geometry) *core {
	q := &core{memory: overlay(s.Data(), g), seg: s, self: ownerOf(s.Self())}
	q.tail.Store(q.control.tail.Load())
	q.head.Store(q.control.head.Load())
	q.gone.Store(g.first)
	q.limit.Store(g.first) // nobody has looked yet
	if q.seg.Self() != 0 { // not attached: who only looks has no cells
		q.leaseCell = q.cell(cellLeases)
	}
	q.writing, q.reading = makeWord(0, q.self, writing), makeWord(0, q.self, reading)
	q.life, q.stop = context.WithCancel(context.Background())
	q.spinPut.init()
	q.spinGet.init()
	return q
}

// outcome says what a claim came to.
type outcome int

const (
	claimed  outcome = iota
	full             // every place holds an item that nobody is taking
	empty            // no item is there
	busy             // an unfinished operation stands in the way
	closed           // CloseSend has been sealed at this position
	noRoom           // no block of the arena that would do is free
	roomBusy         // the same, but another process is at some of them and has not finished
	noSpare          // every lease block is in use for the moment
)

// unfinished reports whether r depends on what others have begun.
func (r outcome) unfinished() bool { return r == busy || r == roomBusy || r == noSpare }

// claim is what a producer or a consumer has claimed, or why not.
type claim struct {
	*slot
	pos   uint64
	lap   uint64
	word  uint64 // that stood, or stands, in the way
	again bool   // the item was delivered before
}

// raise moves a hint up to p. Hints may stay behind for as long as they like.
func raise(hint *atomic.Uint64, p uint64) {
	for {
		h := hint.Load()
		if int64(p-h) <= 0 || hint.CompareAndSwap(h, p) {
			return
		}
	}
}

// hintEvery is how often, in positions, the shared hints are raised: whoever
// starts from one looks at that many slots too many.
const hintEvery = 8

// hints reports whether the shared hint is raised at position p.
func (g *geometry) hints(p uint64) bool { return p%hintEvery == 0 || g.capacity < 2*hintEvery }

// searchMost is how many places a search looks at. Places only ever get ahead of
// each other by a lap or two, so a search ends after two rounds of the ring at the
// latest, but for what others claim meanwhile. Damaged words can each be ahead of
// the other, as laps are compared modulo 2^44; then it would go round for ever.
func (g *geometry) searchMost() uint64 { return 4*g.capacity + 1024 }

// claimPut claims the next place for a producer:
//
//	lap of the slot        what it means                      next
//	== L, free             nobody has this position           claim it
//	== L, sealed           closed for good                    closed
//	== L, else             claimed by another producer        look at p+1
//	>  L                   claimed and consumed long ago      look at p+1
//	<  L                   holds the item of the lap before   full, or busy
//
// Every position below one that is claimed is claimed: p only moves over
// claimed ones. That is what makes the order first in, first out.
//
// Killed before the CAS, nothing has happened; after it the slot says writing
// and whose, and the sweep gives it up for position p+capacity.
//
// With mine, room has been reserved for this claim.
func (q *core) claimPut(mine bool) (claim, outcome) {
	p := q.tail.Load()
	for probes := 1; ; probes++ {
		i, lap := q.geo.locate(p)
		s := q.slot(i)
		w := s.word.Load() // pairs with the CAS in release
		switch d := lapsAhead(w, lap); {
		case d == 0 && stateOf(w) == free:
			if q.leasing.Load() != 0 && !mine {
				if c, r := q.leasedFull(p); r != claimed {
					return c, r
				}
			}
			if !s.word.CompareAndSwap(w, makeWord(lap, q.self, writing)) {
				continue // another was faster: look again, at the same place
			}
			if fault.Enabled {
				fault.Point("mpqueue.put.claimed")
			}
			q.raceRoom(s)
			shm.StoreRelease(&q.tail, p+1)
			if q.geo.hints(p + 1) {
				raise(&q.control.tail, p+1)
			}
			return claim{slot: s, pos: p, lap: lap, word: makeWord(lap, q.self, writing)}, claimed
		case d == 0 && stateOf(w) == sealed:
			return claim{slot: s, pos: p, lap: lap, word: w}, closed
		case d < 0:
			c := claim{slot: s, pos: p, lap: lap, word: w}
			switch stateOf(w) {
			case writing, reading:
				return c, busy
			case sealed:
				return c, closed
			}
			return c, full
		case d > 1:
			// Position p + (d-1) capacity of this slot is claimed, hence
			// every position below it.
			p += uint64(d-1) * q.geo.capacity
		}
		p++
		if probes%hintEvery == 0 {
			if h := q.control.tail.Load(); int64(h-p) > 0 {
				p = h
			}
			if uint64(probes) > q.geo.searchMost() {
				return claim{slot: s, pos: p, lap: lap, word: w}, busy
			}
		}
	}
}

// commit makes a filled slot visible. The queue owns the message from here on,
// also if this process dies at the next instruction.
//
// It reports false if this process has closed the queue meanwhile: then the place
// has been given up.
func (q *core) commit(c claim) bool {
	shm.RaceRelease(&c.slot.word)
	if fault.Enabled {
		fault.Point("mpqueue.put.filled")
	}
	// Publishes payload, size and block. Pairs with the load in claimGet.
	// It is also the fence between the slot and the look at who sleeps.
	if !c.slot.word.CompareAndSwap(c.word, makeWord(c.lap, 0, ready)) {
		return false
	}
	if fault.Enabled {
		fault.Point("mpqueue.put.committed")
	}
	signal(&q.notEmpty)
	return !q.seg.Detached()
}

// claimGet claims the oldest item for a consumer:
//
//	lap of the slot      what it means                        next
//	== L, ready          a message                            claim it
//	== L, orphan         a message whose consumer died        claim it
//	== L, free           nobody has put here yet              empty
//	== L, writing        a producer is at it                  busy
//	== L, reading        another consumer has it              look at p+1
//	== L, sealed         the end                              closed
//	>  L                 consumed, or given up                look at p+1
//	<  L                 still being read from the lap before empty
//
// In the last case the head must stay where it is: the position is not taken.
func (q *core) claimGet() (claim, outcome) {
	p := q.head.Load()
	for probes := 1; ; probes++ {
		i, lap := q.geo.locate(p)
		s := q.slot(i)
		w := s.word.Load() // pairs with the store in commit
		c := claim{slot: s, pos: p, lap: lap, word: w}
		switch d := lapsAhead(w, lap); {
		case d < 0:
			return c, empty
		case d == 0:
			switch st := stateOf(w); st {
			case free:
				return c, empty
			case writing:
				return c, busy
			case sealed:
				return c, closed
			case ready, orphan:
				if !q.take(&c) {
					continue
				}
				shm.StoreRelease(&q.head, p+1)
				if q.geo.hints(p + 1) {
					q.raiseHead(p + 1)
				}
				return c, claimed
			}
		case d > 2:
			// A producer has been d-1 laps further: it found every slot
			// released of the lap before that.
			p += uint64(d-2) * q.geo.capacity
		}
		p++
		if probes%hintEvery == 0 {
			if h := q.control.head.Load(); int64(h-p) > 0 {
				p = h
			}
			if uint64(probes) > q.geo.searchMost() {
				return c, busy
			}
		}
	}
}

// take claims the message that c.word says is in the slot.
func (q *core) take(c *claim) bool {
	mine := makeWord(c.lap, q.self, reading)
	if !c.slot.word.CompareAndSwap(c.word, mine) {
		return false
	}
	if fault.Enabled {
		fault.Point("mpqueue.get.claimed")
	}
	shm.RaceAcquire(&c.slot.word)
	c.again = stateOf(c.word) == orphan
	c.word = mine
	return true
}

// release gives a slot whose message has been copied, or whose block has been
// taken over, to the producer of the next lap. It reports false if this process
// has closed the queue meanwhile: then the message will be delivered again.
func (q *core) release(c claim) bool {
	if fault.Enabled {
		fault.Point("mpqueue.get.copied")
	}
	// Pairs with the load in claimPut.
	q.raceDone(&c.slot.word)
	if !c.slot.word.CompareAndSwap(c.word, makeWord(c.lap+1, 0, free)) {
		return false
	}
	if fault.Enabled {
		fault.Point("mpqueue.get.released")
	}
	q.freed()
	return true
}

// freed tells that a place is free, or an item done: those who wait for room, and
// those who wait for the end.
func (q *core) freed() {
	signal(&q.notFull)
	if q.geo.rules&ruleJoinable != 0 && q.idle.Load()&waited != 0 && q.allDone() {
		signalAll(&q.idle)
	}
	if q.control.closed.Load() != 0 { // after the place: see wait.go
		signal(&q.notEmpty)
	}
}

// freedBlock is freed after a block has become free.
func (q *core) freedBlock(b blockID) {
	if uint64(b) >= uint64(len(q.leases)) {
		q.roomier()
	} else if q.spare.Load()&waited != 0 {
		signalAll(&q.spare)
	}
	q.freed()
}

// roomier tells that there may be room in the arena. Who waits for it may need more
// than there is: so all look, and nobody has to pass it on.
func (q *core) roomier() {
	if q.roomy.Load()&waited != 0 {
		signalAll(&q.roomy)
	}
}

// seal closes the queue at the position of c, which is free and the head, unless
// a producer claims it first. Everything that was put lies before it.
func (q *core) seal(c claim) bool {
	return c.slot.word.CompareAndSwap(c.word, makeWord(c.lap, 0, sealed))
}
