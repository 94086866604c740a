package rival

import (
	"context"
	"errors"
	"os"

	"shmkit/mpqueue"
	"shmkit/shm"
)

// MPQueue is this module's queue in its plain form: Put on one side, Receive
// and Done on the other, so that a message whose receiver dies is given to
// another one.
func MPQueue() Kind {
	return Kind{
		Name:    "mpqueue",
		About:   "this module's queue in shared memory, acknowledged with Done",
		Bounded: true,
		Modes:   []string{Hybrid, Spin},
		Skip:    func(Spec) string { return "" },
		Make:    makeMPQueue,
		Sender:  func(e Ends, _ []*os.File) (Sender, error) { return mpSender{e.Queue, e.Spec.Mode == Spin}, nil },
		Receiver: func(e Ends, _ []*os.File) (Receiver, error) {
			return &mpReceiver{q: e.Queue, spin: e.Spec.Mode == Spin}, nil
		},
	}
}

func makeMPQueue(s Spec) (*Channel, error) {
	q, err := mpqueue.New[[]byte](s.Capacity)
	if err != nil {
		return nil, err
	}
	return &Channel{
		Ends:      Ends{Spec: s, Queue: q},
		CloseSend: q.CloseSend,
		Close:     q.Close,
	}, nil
}

type mpSender struct {
	q    *mpqueue.Queue[[]byte]
	spin bool
}

func (s mpSender) Send(ctx context.Context, p []byte) error {
	if s.spin {
		return spin(ctx, func() error { return s.q.TryPut(p) })
	}
	return s.q.Put(ctx, p)
}

func (s mpSender) Close() error { return s.q.Close() }

type mpReceiver struct {
	q    *mpqueue.Queue[[]byte]
	item *mpqueue.Item[[]byte]
	spin bool
}

func (r *mpReceiver) Recv(ctx context.Context) (_ []byte, err error) {
	if r.spin {
		err = spin(ctx, func() (err error) { r.item, err = r.q.TryReceive(); return err })
	} else {
		r.item, err = r.q.Receive(ctx)
	}
	if err != nil {
		return nil, err
	}
	return r.item.Bytes(), nil
}

func (r *mpReceiver) Done() error { return r.item.Done() }

func (r *mpReceiver) Redelivered() bool { return r.item.Redelivered() }

func (r *mpReceiver) Close() error { return r.q.Close() }

// spin tries until it works, and never sleeps.
func spin(ctx context.Context, try func() error) error {
	for n := 1; ; n++ {
		err := try()
		if !errors.Is(err, mpqueue.ErrEmpty) && !errors.Is(err, mpqueue.ErrFull) && !errors.Is(err, mpqueue.ErrBusy) {
			return err
		}
		shm.Pause(4)
		if n%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
	}
}
