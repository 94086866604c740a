package mpqueue

import (
	"context"
	"sync/atomic"

	"shmkit/shm"
	"shmkit/shm/fault"
)

// Producer is a registration as one of the queue's producers. When a queue has
// had registered producers and the last of them is gone, it is closed, as by
// CloseSend: receivers drain it and then see the end, which is ErrClosed if that
// last one closed its registration, ErrAbandoned if it died. Ending in order, or
// closing the queue, without Close of the Producer counts as dying: nobody has said
// that it was finished. Any number of goroutines may share a Producer.
type Producer[T any] struct {
	q      *Queue[T]
	closed atomic.Bool
}

// cellProducers counts the registrations of a participant.
const cellProducers = 2

// diedRegistered in that cell says that the participant died with registrations: they
// do not count any more, but its sweep is not over.
const diedRegistered = 1 << 31

// What control.closed says, and the low bits of control.producers when the last
// registration has ended.
const (
	closedInOrder = 1
	closedByDeath = 2 // of the last registered producer
)

// control.producers counts the registrations that were begun, above those bits. So
// who has looked at all cells, and has found no registration, decides the end by a
// compare-and-swap that fails if there has been one meanwhile. Who registers counts
// himself in his cell first, and here then: he is found there, or makes that fail, or
// sees here that the end has come before. The sweep of a dead producer counts here too,
// before it clears his cell and after: who looks at the cells meanwhile may not know of
// him, or know of nobody else.
const (
	registration = 1 << 2
	endedHow     = registration - 1
)

// Producer registers this process as a producer, until Close of what it returns,
// or until the process ends. Whoever starts several producers holds a
// registration of its own until all have theirs, or the first that is finished
// closes the queue. ErrClosed if the queue is closed already, and else it stays open
// for as long as the registration lasts, but for CloseSend. shm.ErrClosed if this
// process closes the queue.
func (q *Queue[T]) Producer() (*Producer[T], error) {
	c := q.q
	if c.seg.Closed() {
		return nil, shm.ErrClosed
	}
	c.cell(cellProducers).Add(1)
	if fault.Enabled {
		fault.Point("mpqueue.producer.counted")
	}
	if ended := c.countProducers() & endedHow; ended != 0 {
		c.close(ended) // who ended it may not have come to that
	}
	if c.control.closed.Load() != 0 {
		c.cell(cellProducers).Add(^uint32(0))
		return nil, ErrClosed
	}
	if c.seg.Detached() { // our own sweep has ended it, or what we have seen is a private page
		return nil, shm.ErrClosed
	}
	return &Producer[T]{q: q}, nil
}

// countProducers changes control.producers, and returns what it is.
func (q *core) countProducers() uint32 {
	v := q.control.producers.Add(registration)
	if v == 0 { // that says that there has never been one
		v = q.control.producers.Add(registration)
	}
	return v
}

// Put is Queue.Put. It panics after Close.
func (p *Producer[T]) Put(ctx context.Context, v T) error {
	if p.closed.Load() {
		panic("mpqueue: Put of a Producer that is closed")
	}
	return p.q.Put(ctx, v)
}

// Close ends the registration. If it was the last one of the queue, the queue is
// closed for everybody. It may be called again. shm.ErrClosed if this process has
// closed the queue, by all its handles, or does so meanwhile: that ends it like a death.
func (p *Producer[T]) Close() error {
	if p.closed.Swap(true) {
		return nil
	}
	c := p.q.q
	if c.seg.Detached() {
		return shm.ErrClosed
	}
	shm.RaceRelease(&c.control.closed)
	c.cell(cellProducers).Add(^uint32(0))
	if fault.Enabled {
		fault.Point("mpqueue.producer.left")
	}
	// Killed here, we leave a queue without producers that is not closed: the
	// sweep closes it.
	c.closeIfAlone(closedInOrder)
	if c.seg.Detached() { // perhaps that was a private page
		return shm.ErrClosed
	}
	return nil
}

// closeIfAlone closes a queue that has had producers and has none now. Whoever goes
// takes himself out of the count and then looks: of two that go at once, the one who is
// out last sees nobody. What the queue was closed by is decided once.
func (q *core) closeIfAlone(how uint32) {
	for {
		v := q.control.producers.Load()
		if v == 0 {
			return
		}
		if ended := v & endedHow; ended != 0 {
			q.close(ended) // whoever has decided that may have been killed since
			return
		}
		alone, how := q.alone(how)
		if !alone {
			return
		}
		if fault.Enabled {
			fault.Point("mpqueue.producer.alone")
			if planted.lateProducer {
				q.close(how)
				return
			}
		}
		if q.control.producers.CompareAndSwap(v, v|how) {
			if fault.Enabled {
				fault.Point("mpqueue.producer.ended")
			}
			q.close(how)
			return
		}
	}
}

// alone reports whether nobody is registered, and how that has come about if the caller
// does not know: 0.
func (q *core) alone(how uint32) (bool, uint32) {
	for i := 1; i <= q.seg.Slots(); i++ {
		registered := q.seg.Cell(i, cellProducers).Load()
		if fault.Enabled {
			fault.Point("mpqueue.producer.looked")
		}
		switch registered {
		case 0:
		case diedRegistered:
			if how == 0 {
				how = closedByDeath
			}
		default:
			return false, 0
		}
	}
	if how == 0 {
		how = closedInOrder
	}
	return true, how
}

// close closes the queue, unless it is closed already, and makes everybody look.
func (q *core) close(how uint32) {
	q.control.closed.CompareAndSwap(0, how)
	if fault.Enabled {
		fault.Point("mpqueue.close.closed")
	}
	q.signalSides()
}

// sweepProducers ends the registrations of the dead. If it was no producer, it may have
// been killed after it had taken itself out of the count, and left the closing to us.
func (q *core) sweepProducers(dead shm.Token) {
	cell := q.seg.Cell(dead.Slot(), cellProducers)
	how := uint32(0)
	if cell.Load() != 0 {
		// Who has to begin again still knows. Not Store: under the race detector
		// that is no barrier, and we are about to look at the cells of others, who
		// may be looking at this one.
		cell.Swap(diedRegistered)
		how = closedByDeath
		if fault.Enabled {
			fault.Point("mpqueue.sweep.producer")
		}
	}
	if !planted.unclosed {
		q.closeIfAlone(how)
	}
	q.stirProducers()
	cell.Swap(0)
	q.stirProducers()
}

// stirProducers makes who is about to decide the end look again.
func (q *core) stirProducers() {
	if q.control.producers.Load() != 0 { // else there have been none to end
		q.countProducers()
	}
}
