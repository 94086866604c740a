package matrix

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"shmkit/bench/internal/machine"
	"shmkit/bench/internal/rival"
	"shmkit/bench/internal/stage"
	"shmkit/procs"
	"shmkit/shm"
)

// orders is what a worker is told.
type orders struct {
	Case   Case
	Count  int // messages of each producer
	Number int // of the producer, or of the consumer
	Ends   rival.Ends
	Files  int
	Board  *shm.Object[board]
	Bits   *shm.Slice[uint64]
	Trace  machine.Tracepoint
}

var (
	sender   = procs.Register("bench.matrix.send", func(ctx context.Context, o orders) error { return send(ctx, o) })
	receiver = procs.Register("bench.matrix.receive", func(ctx context.Context, o orders) error { return receive(ctx, o) })
	inside   = procs.Register("bench.matrix.inside", func(ctx context.Context, o orders) error { return within(ctx, o) })
)

// find looks up a kind by its name. Tests add kinds that are broken on purpose.
var find = rival.Find

// slot is the worker's own.
func (o *orders) slot(consumer bool) *slot {
	n := o.Number
	if consumer {
		n += maxProducers
	}
	return &o.Board.Value().Workers[n]
}

// tally is the list of consumer Number.
func (o *orders) tally() *tally {
	n := o.Case.Producers * tallyWords(o.Count)
	return newTally(o.Bits.Data()[o.Number*n:(o.Number+1)*n], o.Case.Producers, o.Count)
}

// marks is how many messages at the end of each producer carry the mark.
func (o *orders) marks() int { return min(1024, o.Count/50+1) }

func send(ctx context.Context, o orders) error {
	k, err := find(o.Case.Impl)
	if err != nil {
		return err
	}
	s, err := k.Sender(o.Ends, stage.Inherited(o.Files))
	if err != nil {
		return err
	}
	p := newPattern(o.Case.Size)
	l, err := o.slot(false).Begin(ctx, &o.Board.Value().Gate, o.Trace)
	if err != nil {
		return err
	}
	defer l.End()
	if err := sendAll(ctx, s, p, o); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	return s.Close()
}

// sendAll sends Count messages in the way that the case asks for.
func sendAll(ctx context.Context, s rival.Sender, p *pattern, o orders) error {
	from := o.Count - o.marks()
	switch {
	case o.Case.ZeroCopy:
		z := s.(rival.Reserver)
		for seq := range o.Count {
			m, err := z.Reserve(ctx, p.size(seq))
			if err != nil {
				return err
			}
			p.build(m, o.Number, seq, seq >= from)
			if err := z.Commit(); err != nil {
				return err
			}
		}
	case o.Case.Batch > 1:
		b := s.(rival.BatchSender)
		room := make([]byte, o.Case.Batch*p.max)
		batch := make([][]byte, 0, o.Case.Batch)
		for seq := 0; seq < o.Count; {
			batch = batch[:0]
			for ; seq < o.Count && len(batch) < o.Case.Batch; seq++ {
				at := len(batch) * p.max
				m := room[at : at+p.size(seq)]
				p.build(m, o.Number, seq, seq >= from)
				batch = append(batch, m)
			}
			if err := b.SendBatch(ctx, batch); err != nil {
				return err
			}
		}
	default:
		buf := make([]byte, p.max)
		for seq := range o.Count {
			m := buf[:p.size(seq)]
			p.build(m, o.Number, seq, seq >= from)
			if err := s.Send(ctx, m); err != nil {
				return err
			}
		}
	}
	return nil
}

func receive(ctx context.Context, o orders) error {
	k, err := find(o.Case.Impl)
	if err != nil {
		return err
	}
	r, err := k.Receiver(o.Ends, stage.Inherited(o.Files))
	if err != nil {
		return err
	}
	p, t, sl := newPattern(o.Case.Size), o.tally(), o.slot(true)
	l, err := sl.Begin(ctx, &o.Board.Value().Gate, o.Trace)
	if err != nil {
		return err
	}
	defer l.End()
	err = receiveAll(ctx, r, p, t, sl, o)
	sl.Count.Store(int64(t.n))
	return errors.Join(err, r.Close())
}

// receiveAll receives and checks until the end.
func receiveAll(ctx context.Context, r rival.Receiver, p *pattern, t *tally, sl *slot, o orders) error {
	take := func(m []byte) error {
		producer, seq, mark, err := p.check(m)
		if err != nil {
			return err
		}
		if mark {
			sl.Last.Store(machine.Now())
		}
		return t.add(producer, seq)
	}
	b, _ := r.(rival.BatchReceiver)
	for {
		var err error
		if o.Case.Batch > 1 {
			var batch [][]byte
			if batch, err = b.RecvBatch(ctx, o.Case.Batch); err == nil {
				for _, m := range batch {
					if err := take(m); err != nil {
						return err
					}
				}
			}
		} else {
			var m []byte
			if m, err = r.Recv(ctx); err == nil {
				if err := take(m); err != nil {
					return err
				}
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("receive: %w", err)
		}
		if err := r.Done(); err != nil {
			return fmt.Errorf("done: %w", err)
		}
	}
}

// within plays all parts of a kind that cannot leave its process.
func within(ctx context.Context, o orders) error {
	k, err := find(o.Case.Impl)
	if err != nil {
		return err
	}
	p := newPattern(o.Case.Size)
	c, err := k.Make(o.Case.spec(p.max))
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	l, err := o.slot(false).Begin(ctx, &o.Board.Value().Gate, o.Trace)
	if err != nil {
		return err
	}
	defer l.End()
	var senders, receivers sync.WaitGroup
	part := func(group *sync.WaitGroup, number int, f func(o orders) error) {
		mine := o
		mine.Number = number
		group.Go(func() {
			if err := f(mine); err != nil {
				cancel(err)
			}
		})
	}
	for i := range o.Case.Consumers {
		part(&receivers, i, func(o orders) error {
			r, err := k.Receiver(c.Ends, nil)
			if err != nil {
				return err
			}
			t, sl := o.tally(), o.slot(true)
			err = receiveAll(ctx, r, p, t, sl, o)
			sl.Count.Store(int64(t.n))
			return err
		})
	}
	for i := range o.Case.Producers {
		part(&senders, i, func(o orders) error {
			s, err := k.Sender(c.Ends, nil)
			if err != nil {
				return err
			}
			return sendAll(ctx, s, p, o)
		})
	}
	senders.Wait()
	if err := c.CloseSend(ctx); err != nil {
		return err
	}
	receivers.Wait()
	return context.Cause(ctx)
}
