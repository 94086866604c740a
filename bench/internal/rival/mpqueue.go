package rival

import (
	"context"
	"os"

	"shmkit/mpqueue"
)

// MPQueue is this module's queue in its plain form: Put on one side, Receive
// and Done on the other, so that a message whose receiver dies is given to
// another one.
func MPQueue() Kind {
	return Kind{
		Name:     "mpqueue",
		About:    "this module's queue in shared memory, acknowledged with Done",
		Skip:     func(Spec) string { return "" },
		Make:     makeMPQueue,
		Sender:   func(e Ends, _ []*os.File) (Sender, error) { return mpSender{e.Queue}, nil },
		Receiver: func(e Ends, _ []*os.File) (Receiver, error) { return &mpReceiver{q: e.Queue}, nil },
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

type mpSender struct{ q *mpqueue.Queue[[]byte] }

func (s mpSender) Send(ctx context.Context, p []byte) error { return s.q.Put(ctx, p) }

func (s mpSender) Close() error { return s.q.Close() }

type mpReceiver struct {
	q    *mpqueue.Queue[[]byte]
	item *mpqueue.Item[[]byte]
}

func (r *mpReceiver) Recv(ctx context.Context) ([]byte, error) {
	item, err := r.q.Receive(ctx)
	if err != nil {
		return nil, err
	}
	r.item = item
	return item.Bytes(), nil
}

func (r *mpReceiver) Done() error { return r.item.Done() }

func (r *mpReceiver) Redelivered() bool { return r.item.Redelivered() }

func (r *mpReceiver) Close() error { return r.q.Close() }
