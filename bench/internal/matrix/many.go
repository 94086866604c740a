package matrix

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"shmkit/bench/internal/rival"
	"shmkit/bench/internal/stage"
	"shmkit/procs"
	"shmkit/shm"
)

// many is what the two processes are told that have many channels between
// them: one sends to each in turn, the other waits at all of them at once, a
// goroutine at each.
type many struct {
	Impl  string
	Ends  []rival.Ends
	Files int // of each channel
	Count int // messages of each channel
	Board *shm.Object[board]
	Bits  *shm.Slice[uint64]
}

var (
	fanOut = procs.Register("bench.matrix.fanout", func(ctx context.Context, m many) error { return m.send(ctx) })
	fanIn  = procs.Register("bench.matrix.fanin", func(ctx context.Context, m many) error { return m.receive(ctx) })
)

func (m many) send(ctx context.Context) error {
	k, err := find(m.Impl)
	if err != nil {
		return err
	}
	files := stage.Inherited(m.Files * len(m.Ends))
	senders := make([]rival.Sender, len(m.Ends))
	for i, e := range m.Ends {
		if senders[i], err = k.Sender(e, files[i*m.Files:(i+1)*m.Files]); err != nil {
			return err
		}
	}
	p := newPattern(64)
	l, err := m.Board.Value().Workers[0].Begin(ctx, &m.Board.Value().Gate, 0)
	if err != nil {
		return err
	}
	defer l.End()
	buf := make([]byte, 64)
	for seq := range m.Count {
		for i, s := range senders {
			p.build(buf, i, seq, seq == m.Count-1)
			if err := s.Send(ctx, buf); err != nil {
				return err
			}
		}
	}
	var errs []error
	for _, s := range senders {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

func (m many) receive(ctx context.Context) error {
	k, err := find(m.Impl)
	if err != nil {
		return err
	}
	files := stage.Inherited(m.Files * len(m.Ends))
	receivers := make([]rival.Receiver, len(m.Ends))
	for i, e := range m.Ends {
		if receivers[i], err = k.Receiver(e, files[i*m.Files:(i+1)*m.Files]); err != nil {
			return err
		}
	}
	p, last := newPattern(64), make([]slot, len(m.Ends))
	b := m.Board.Value()
	l, err := b.Workers[1].Begin(ctx, &b.Gate, 0)
	if err != nil {
		return err
	}
	defer l.End()
	var group sync.WaitGroup
	errs := make([]error, len(receivers))
	for i, r := range receivers {
		group.Go(func() {
			// Each goroutine writes the words of its own channel only.
			t := newTally(m.Bits.Data(), len(m.Ends), m.Count)
			errs[i] = errors.Join(receiveAll(ctx, r, p, t, &last[i], orders{Case: Case{Batch: 1}}), r.Close())
		})
	}
	group.Wait()
	for i := range last {
		b.Workers[1].Last.Store(max(b.Workers[1].Last.Load(), last[i].Last.Load()))
	}
	return errors.Join(errs...)
}

// manyOnce sends count messages through each of n channels.
func manyOnce(ctx context.Context, k rival.Kind, n, count int) (_ sample, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, endless, fmt.Errorf("grow-queues/impl=%s: no end after %v", k.Name, endless))
	defer cancel()
	m := many{Impl: k.Name, Count: count}
	if m.Board, err = shm.New[board](shm.WithOwnSegment()); err != nil {
		return sample{}, err
	}
	defer m.Board.Close()
	if m.Bits, err = shm.NewSlice[uint64](n * tallyWords(count)); err != nil {
		return sample{}, err
	}
	defer m.Bits.Close()
	var sendFiles, receiveFiles []*os.File
	var channels []*rival.Channel
	for range n {
		ch, err := k.Make(rival.Spec{MaxMessage: 64, Capacity: 64, Producers: 1, Consumers: 1})
		if err != nil {
			return sample{}, err
		}
		defer ch.Close()
		channels = append(channels, ch)
		m.Ends = append(m.Ends, ch.Ends)
		m.Files = len(ch.SendFiles)
		sendFiles = append(sendFiles, ch.SendFiles...)
		receiveFiles = append(receiveFiles, ch.ReceiveFiles...)
	}
	crew := stage.NewCrew(ctx)
	var in, out sync.WaitGroup
	crew.Start(fanIn.Process(m, procs.Name("fan-in"), procs.Daemon(), procs.ExtraFiles(receiveFiles...)), &in)
	crew.Start(fanOut.Process(m, procs.Name("fan-out"), procs.Daemon(), procs.ExtraFiles(sendFiles...)), &out)
	w := &m.Board.Value().Workers
	begin := open(crew, orders{Board: m.Board}, &w[0].Cell, &w[1].Cell)
	out.Wait()
	for _, ch := range channels {
		crew.Fail(ch.CloseSend(crew.Context()))
	}
	in.Wait()
	if err := crew.Wait(); err != nil {
		return sample{}, fmt.Errorf("grow-queues/impl=%s: %w", k.Name, err)
	}
	if err := exactlyOnce([][]uint64{m.Bits.Data()}, n, count); err != nil {
		return sample{}, fmt.Errorf("grow-queues/impl=%s: %w", k.Name, err)
	}
	s := sample{messages: n * count, bytes: int64(n * count * 64), time: time.Duration(w[1].Last.Load() - begin)}
	s.used, s.calls = stage.Sum(&w[0].Cell, &w[1].Cell)
	return s, nil
}
