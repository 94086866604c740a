package mpqueue

import (
	"shmkit/shm"
	"shmkit/shm/fault"
)

// KindQueue is the kind of a segment that holds a queue.
const KindQueue uint32 = 128

func init() {
	shm.RegisterKind(shm.Kind{
		ID:       KindQueue,
		Name:     "mpqueue.Queue",
		Sweep:    func(s *shm.Segment, _, _, _ uint64, dead shm.Token) { sweep(s, dead) },
		Check:    func(s *shm.Segment, _, _, _ uint64) []error { return check(s) },
		Describe: func(s *shm.Segment, _ uint64) string { return describe(s) },
		Counters: func(s *shm.Segment, _ uint64) []shm.Counter { return counters(s) },
	})
}

// over looks at the queue in s without being one of its users.
func over(s *shm.Segment) (*core, error) {
	g, err := readGeometry(s)
	if err != nil {
		return nil, err
	}
	return newCore(s, g), nil
}

// sweep puts what the dead participant was at in order:
//
//	1  its leases and takes: a block whose slot it was still reading is no lease
//	   yet; any other lease is to be delivered again
//	2  its slots: writing → given up, reading → to be delivered again
//	3  its other blocks: freed, unless a slot refers to them
//	4  chunks that it was preparing: empty
//	5  everybody who sleeps looks again
//
// The order is such that another sweeper can begin again at 1 after a kill
// anywhere: step 2 destroys what step 1 looks at, so step 1 is complete before.
func sweep(s *shm.Segment, dead shm.Token) {
	q, err := over(s)
	if err != nil || planted.noSweep {
		return // nothing here can be trusted
	}
	o := ownerOf(dead)
	q.eachBlock(func(id blockID, b *block) { q.sweepHeld(o, id, b) })
	if fault.Enabled {
		fault.Point("mpqueue.sweep.leases")
	}
	for i := range q.geo.capacity {
		q.sweepSlot(o, q.slot(i))
	}
	if fault.Enabled {
		fault.Point("mpqueue.sweep.slots")
	}
	q.eachHeader(func(id blockID, b *block) { q.sweepOwned(o, id, b) })
	q.sweepChunks(o)
	q.changed()
	s.Cell(dead.Slot(), cellReserved).Store(0)
	q.sweepProducers(dead)
	// The last who wait for its leases look when they are no longer counted.
	s.Cell(dead.Slot(), cellLeases).Store(0)
	q.signalSides()
	signalAll(&q.idle)
}

// home returns the word of the slot that b's message was put into, and whether
// that slot still is on the lap of the message and refers to b.
func (q *core) home(id blockID, b *block) (s *slot, w uint64, same, refers bool) {
	i, lap := q.geo.locate(b.pos.Load())
	s = q.slot(i)
	w = s.word.Load()
	same = lapsAhead(w, lap) == 0
	return s, w, same, same && q.geo.blockOf(s.meta) == id
}

func (q *core) sweepHeld(o owner, id blockID, b *block) {
	w := b.word.Load()
	if wordOwner(w) != o || stateOf(w) != bTaken && stateOf(w) != bLeased {
		return
	}
	_, sw, same, refers := q.home(id, b)
	switch reads := same && stateOf(sw) == reading && wordOwner(sw) == o; {
	case reads && refers && q.geo.rules&ruleAtMostOnce != 0 && !planted.redeliver: // see sweepDropped
	case reads && refers: // the slot still has it: queued again
		b.word.CompareAndSwap(w, makeWord(lapOf(w), 0, bOwned))
	case reads: // a copy of what the slot still has
		b.word.CompareAndSwap(w, makeWord(lapOf(w)+1, 0, bFree))
	case stateOf(w) == bTaken: // it went with its process
		b.word.CompareAndSwap(w, makeWord(lapOf(w)+1, 0, bFree))
	case planted.dropped:
		b.word.CompareAndSwap(w, makeWord(lapOf(w)+1, 0, bFree))
	default:
		if !planted.immortal {
			b.tries |= diedWith // not counted: another sweeper may come to this again
		}
		if fault.Enabled {
			fault.Point("mpqueue.sweep.orphan")
		}
		b.word.CompareAndSwap(w, makeWord(lapOf(w), 0, bOrphan))
	}
}

func (q *core) sweepSlot(o owner, s *slot) {
	w := s.word.Load()
	if wordOwner(w) != o {
		return
	}
	switch stateOf(w) {
	case writing:
		if planted.torn {
			s.word.CompareAndSwap(w, makeWord(lapOf(w), 0, ready))
			return
		}
		if s.word.CompareAndSwap(w, makeWord(lapOf(w)+1, 0, free)) {
			q.aborted.Add(1)
		}
	case reading:
		if q.geo.rules&ruleAtMostOnce != 0 && !planted.redeliver {
			q.sweepDropped(o, s, w)
			return
		}
		if fault.Enabled {
			fault.Point("mpqueue.sweep.orphan")
		}
		s.word.CompareAndSwap(w, makeWord(lapOf(w), 0, orphan))
	}
}

// sweepDropped lets the message that the dead one was reading go with it: its
// block, if it has one, is marked as taken by the dead before the slot is free,
// so that whoever has to begin again finds it by its owner.
func (q *core) sweepDropped(o owner, s *slot, w uint64) {
	b := q.block(q.geo.blockOf(s.meta)) // nil, if it is in the slot
	if b != nil {
		if bw := b.word.Load(); stateOf(bw) == bOwned && b.pos.Load() == q.positionOf(s, w) {
			b.word.CompareAndSwap(bw, makeWord(lapOf(bw), o, bTaken))
		}
	}
	if !s.word.CompareAndSwap(w, makeWord(lapOf(w)+1, 0, free)) || b == nil {
		return
	}
	if bw := b.word.Load(); stateOf(bw) == bTaken && wordOwner(bw) == o {
		b.word.CompareAndSwap(bw, makeWord(lapOf(bw)+1, 0, bFree))
	}
}

// positionOf returns the position that slot word w of s stands for, near the head.
func (q *core) positionOf(s *slot, w uint64) uint64 {
	h := q.control.head.Load()
	_, lap := q.geo.locate(h)
	return (lap+uint64(lapsAhead(w, lap)))*q.geo.capacity + q.indexOf(s)
}

func (q *core) sweepOwned(o owner, id blockID, b *block) {
	w := b.word.Load()
	if wordOwner(w) != o || stateOf(w) != bOwned && stateOf(w) != bGone || planted.leak {
		return
	}
	_, sw, _, refers := q.home(id, b)
	if st := stateOf(sw); stateOf(w) == bOwned && refers && (st == ready || st == orphan || st == reading) {
		// Committed: the message is the queue's. The name is taken off, so
		// that it cannot be confused with a later owner's.
		b.word.CompareAndSwap(w, makeWord(lapOf(w), 0, bOwned))
		return
	}
	b.word.CompareAndSwap(w, makeWord(lapOf(w)+1, 0, bFree))
}
