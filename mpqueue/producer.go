package mpqueue

import (
	"context"
	"sync/atomic"

	"shmkit/shm"
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
	// Killed here, we leave a queue without producers that is not closed: the
	// sweep closes it.
	c.closeIfAlone(0)
	return nil
}

// closeIfAlone closes a queue that has had producers and has none now, not
// counting those of participant slot but.
func (q *core) closeIfAlone(but int) bool {
	if q.control.producers.Load() == 0 {
		return false
	}
	for i := 1; i <= q.seg.Slots(); i++ {
		if i != but && q.seg.Cell(i, cellProducers).Load() != 0 {
			return false
		}
	}
	q.control.closed.Store(1)
	q.signalSides()
	return true
}

// sweepProducers ends the registrations of the dead.
func (q *core) sweepProducers(dead shm.Token) {
	cell := q.seg.Cell(dead.Slot(), cellProducers)
	had := cell.Load() != 0
	if had && q.control.closed.Load() == 0 {
		alone := true
		for i := 1; i <= q.seg.Slots(); i++ {
			alone = alone && (i == dead.Slot() || q.seg.Cell(i, cellProducers).Load() == 0)
		}
		if alone {
			q.abandoned.Store(1) // before the close, so that nobody sees another end
		}
	}
	q.closeIfAlone(dead.Slot())
	cell.Store(0)
}
