package rival

import (
	"context"
	"os"

	"shmkit/mpqueue"
)

// MPQueue is this module's queue in its plain form: Put on one side, Receive
// and Done on the other, so that a message whose receiver dies is given to
// another one. Batches are its PutBatch and GetBatch: what GetBatch returned is
// gone with its consumer. Zero copy is ReserveSize and Commit on one side, and
// Receive's Bytes on the other; a message that fits its slot is copied into it
// by Commit, longer ones are not copied at all.
func MPQueue() Kind {
	return Kind{
		Name:     "mpqueue",
		About:    "this module's queue in shared memory, acknowledged with Done",
		Bounded:  true,
		Batches:  true,
		ZeroCopy: true,
		Modes:    []string{Hybrid, Spin, Block},
		Skip:     func(Spec) string { return "" },
		Make:     makeMPQueue,
		Sender: func(e Ends, _ []*os.File) (Sender, error) {
			return &mpSender{q: e.Queue, spin: e.Spec.Mode == Spin}, nil
		},
		Receiver: func(e Ends, _ []*os.File) (Receiver, error) {
			return &mpReceiver{q: e.Queue, spin: e.Spec.Mode == Spin}, nil
		},
	}
}

func makeMPQueue(s Spec) (*Channel, error) {
	q, err := mpqueue.New[[]byte](s.Capacity, mode(s)...)
	if err != nil {
		return nil, err
	}
	return &Channel{
		Ends:      Ends{Spec: s, Queue: q},
		CloseSend: atOnce(q.CloseSend),
		Close:     q.Close,
	}, nil
}

// mode is the option for a way to wait. Spinning is no option of the queue: who
// spins calls Try.
func mode(s Spec) []mpqueue.Option {
	if s.Mode == Block {
		return []mpqueue.Option{mpqueue.WithoutSpin()}
	}
	return nil
}

type mpSender struct {
	q    *mpqueue.Queue[[]byte]
	slot *mpqueue.Slot[[]byte] // between Reserve and Commit
	spin bool
}

func (s *mpSender) Send(ctx context.Context, p []byte) error {
	if s.spin {
		return spin(ctx, func() error { return s.q.TryPut(p) })
	}
	return s.q.Put(ctx, p)
}

func (s *mpSender) SendBatch(ctx context.Context, ps [][]byte) error {
	_, err := s.q.PutBatch(ctx, ps)
	return err
}

func (s *mpSender) Reserve(ctx context.Context, n int) (_ []byte, err error) {
	if s.slot, err = s.q.ReserveSize(ctx, n); err != nil {
		return nil, err
	}
	return s.slot.Bytes(), nil
}

func (s *mpSender) Commit() error { return s.slot.Commit() }

func (s *mpSender) Close() error { return s.q.Close() }

type mpReceiver struct {
	q     *mpqueue.Queue[[]byte]
	item  mpqueue.Item[[]byte] // kept by value: then Receive needs no memory of its own
	held  bool                 // not after RecvBatch
	batch [][]byte
	spin  bool
}

func (r *mpReceiver) Recv(ctx context.Context) ([]byte, error) {
	if r.spin {
		return r.recvSpin(ctx)
	}
	i, err := r.q.Receive(ctx)
	if err != nil {
		return nil, err
	}
	r.item, r.held = *i, true
	return r.item.Bytes(), nil
}

func (r *mpReceiver) recvSpin(ctx context.Context) ([]byte, error) {
	err := spin(ctx, func() error {
		i, err := r.q.TryReceive()
		if err == nil {
			r.item, r.held = *i, true
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return r.item.Bytes(), nil
}

func (r *mpReceiver) RecvBatch(ctx context.Context, most int) ([][]byte, error) {
	r.held = false
	if len(r.batch) < most {
		r.batch = make([][]byte, most)
	}
	n, err := r.q.GetBatch(ctx, r.batch[:most])
	return r.batch[:n], err
}

func (r *mpReceiver) Done() error {
	if !r.held {
		return nil
	}
	return r.item.Done()
}

func (r *mpReceiver) Redelivered() bool { return r.held && r.item.Redelivered() }

func (r *mpReceiver) Close() error { return r.q.Close() }
