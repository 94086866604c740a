package rival

import (
	"context"
	"errors"
	"fmt"
	"os"

	"shmkit/mpqueue"
)

// fixed are the lengths for which MPFixed has a type.
type fixed interface {
	[8]byte | [64]byte | [1024]byte
}

// MPFixed is this module's queue in its fastest form: messages of one length
// known to the compiler, stored in their slots as they are, and Get instead of
// Receive and Done. What a consumer has got is gone with it.
func MPFixed() Kind {
	return Kind{
		Name:    "mpqueue-fixed",
		About:   "this module's queue of fixed-size values, with Put and Get",
		Bounded: true,
		Batches: true,
		Modes:   []string{Hybrid, Spin, Block},
		Skip: func(s Spec) string {
			if _, err := choose(s); err != nil {
				return err.Error()
			}
			return ""
		},
		Make: func(s Spec) (*Channel, error) {
			l, err := choose(s)
			if err != nil {
				return nil, err
			}
			return l.make(s)
		},
		Sender: func(e Ends, _ []*os.File) (Sender, error) {
			l, err := choose(e.Spec)
			if err != nil {
				return nil, err
			}
			return l.sender(e), nil
		},
		Receiver: func(e Ends, _ []*os.File) (Receiver, error) {
			l, err := choose(e.Spec)
			if err != nil {
				return nil, err
			}
			return l.receiver(e), nil
		},
	}
}

// Fixed holds the queue of the one length that is used; the others are nil.
type Fixed struct {
	Q8    *mpqueue.Queue[[8]byte]
	Q64   *mpqueue.Queue[[64]byte]
	Q1024 *mpqueue.Queue[[1024]byte]
}

// length is MPFixed for one length.
type length interface {
	make(Spec) (*Channel, error)
	sender(Ends) Sender
	receiver(Ends) Receiver
}

func choose(s Spec) (length, error) {
	if s.Varied {
		return nil, errors.New("its messages all have one length")
	}
	switch s.MaxMessage {
	case 8:
		return of[[8]byte](func(f *Fixed) **mpqueue.Queue[[8]byte] { return &f.Q8 }), nil
	case 64:
		return of[[64]byte](func(f *Fixed) **mpqueue.Queue[[64]byte] { return &f.Q64 }), nil
	case 1024:
		return of[[1024]byte](func(f *Fixed) **mpqueue.Queue[[1024]byte] { return &f.Q1024 }), nil
	default:
		return nil, fmt.Errorf("no type of %d bytes", s.MaxMessage)
	}
}

// of names the field of Fixed that holds the queue of T.
type of[T fixed] func(*Fixed) **mpqueue.Queue[T]

func (field of[T]) make(s Spec) (*Channel, error) {
	q, err := mpqueue.New[T](s.Capacity, mode(s)...)
	if err != nil {
		return nil, err
	}
	c := &Channel{Ends: Ends{Spec: s}, CloseSend: atOnce(q.CloseSend), Close: q.Close}
	*field(&c.Ends.Fixed) = q
	return c, nil
}

func (field of[T]) sender(e Ends) Sender {
	return &fixedEnd[T]{q: *field(&e.Fixed), spin: e.Spec.Mode == Spin}
}

func (field of[T]) receiver(e Ends) Receiver {
	return &fixedEnd[T]{q: *field(&e.Fixed), spin: e.Spec.Mode == Spin}
}

// fixedEnd is either end.
type fixedEnd[T fixed] struct {
	plain
	q    *mpqueue.Queue[T]
	v    T
	spin bool
	batch[T]
}

func (f *fixedEnd[T]) Send(ctx context.Context, p []byte) error {
	if copy(bytesOf(&f.v), p) != len(f.v) {
		return fmt.Errorf("rival: a message of %d bytes, not %d", len(p), len(f.v))
	}
	if f.spin {
		return spin(ctx, func() error { return f.q.TryPut(f.v) })
	}
	return f.q.Put(ctx, f.v)
}

func (f *fixedEnd[T]) Recv(ctx context.Context) (_ []byte, err error) {
	if f.spin {
		err = spin(ctx, func() (err error) { f.v, err = f.q.TryGet(); return err })
	} else {
		f.v, err = f.q.Get(ctx)
	}
	return bytesOf(&f.v), err
}

func (f *fixedEnd[T]) SendBatch(ctx context.Context, ps [][]byte) error {
	if err := f.pack(ps); err != nil {
		return err
	}
	_, err := f.q.PutBatch(ctx, f.values[:len(ps)])
	return err
}

func (f *fixedEnd[T]) RecvBatch(ctx context.Context, most int) ([][]byte, error) {
	f.room(most)
	n, err := f.q.GetBatch(ctx, f.values[:most])
	return f.views[:n], err
}

func (f *fixedEnd[T]) Close() error { return f.q.Close() }
