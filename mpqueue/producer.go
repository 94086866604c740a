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

// What control.closed says.
const (
	closedInOrder = 1
	closedByDeath = 2 // of the last registered producer
)

// Producer registers this process as a producer, until Close of what it returns,
// or until the process ends. Whoever starts several producers holds a
// registration of its own until all have theirs, or the first that is finished
// closes the queue. ErrClosed if the queue is closed already.
func (q *Queue[T]) Producer() (*Producer[T], error) {
	c := q.q
	if c.seg.Closed() {
		return nil, shm.ErrClosed
	}
	c.cell(cellProducers).Add(1)
	c.control.producers.Store(1)
	if c.control.closed.Load() != 0 {
		c.cell(cellProducers).Add(^uint32(0))
		return nil, ErrClosed
	}
	return &Producer[T]{q: q}, nil
}

// Put is Queue.Put. It panics after Close.
func (p *Producer[T]) Put(ctx context.Context, v T) error {
	if p.closed.Load() {
		panic("mpqueue: Put of a Producer that is closed")
	}
	return p.q.Put(ctx, v)
}

// Close ends the registration. If it was the last one of the queue, the queue is
// closed for everybody. It may be called again.
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
	return nil
}

// closeIfAlone closes a queue that has had producers and has none now. Whoever goes
// takes himself out of the count and then looks: of two that go at once, the one who is
// out last sees nobody. What the queue was closed by is decided once.
func (q *core) closeIfAlone(how uint32) {
	if q.control.producers.Load() == 0 {
		return
	}
	for i := 1; i <= q.seg.Slots(); i++ {
		switch q.seg.Cell(i, cellProducers).Load() {
		case 0:
		case diedRegistered:
			if how == 0 {
				how = closedByDeath
			}
		default:
			return
		}
	}
	if how == 0 {
		how = closedInOrder
	}
	q.close(how)
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
	cell.Store(0)
}
