package rival

import (
	"context"
	"fmt"
	"os"

	"shmkit/mpqueue"
)

// MPRing is this module's ring: one producer, one consumer, values of one
// length, in the same lengths as MPFixed. Put and Get; what a consumer has got
// is gone with it.
func MPRing() Kind {
	k := Kind{
		Name:    "ring",
		About:   "this module's ring of fixed-size values, for one producer and one consumer",
		Bounded: true,
		Batches: true,
		Modes:   []string{Hybrid, Spin},
		Skip: func(s Spec) string {
			if s.Producers > 1 || s.Consumers > 1 {
				return "a ring has one producer and one consumer"
			}
			if _, err := chooseRing(s); err != nil {
				return err.Error()
			}
			return ""
		},
	}
	k.Make = func(s Spec) (*Channel, error) {
		l, err := chooseRing(s)
		if err != nil {
			return nil, err
		}
		return l.make(s)
	}
	k.Sender = func(e Ends, _ []*os.File) (Sender, error) {
		l, err := chooseRing(e.Spec)
		if err != nil {
			return nil, err
		}
		return l.sender(e), nil
	}
	k.Receiver = func(e Ends, _ []*os.File) (Receiver, error) {
		l, err := chooseRing(e.Spec)
		if err != nil {
			return nil, err
		}
		return l.receiver(e), nil
	}
	return k
}

// Rings holds the ring of the one length that is used; the others are nil.
type Rings struct {
	R8    *mpqueue.Ring[[8]byte]
	R64   *mpqueue.Ring[[64]byte]
	R1024 *mpqueue.Ring[[1024]byte]
}

func chooseRing(s Spec) (length, error) {
	if _, err := choose(s); err != nil { // The lengths are those of MPFixed.
		return nil, err
	}
	switch s.MaxMessage {
	case 8:
		return ringOf[[8]byte](func(f *Rings) **mpqueue.Ring[[8]byte] { return &f.R8 }), nil
	case 64:
		return ringOf[[64]byte](func(f *Rings) **mpqueue.Ring[[64]byte] { return &f.R64 }), nil
	default:
		return ringOf[[1024]byte](func(f *Rings) **mpqueue.Ring[[1024]byte] { return &f.R1024 }), nil
	}
}

// ringOf names the field of Rings that holds the ring of T.
type ringOf[T fixed] func(*Rings) **mpqueue.Ring[T]

func (field ringOf[T]) make(s Spec) (*Channel, error) {
	q, err := mpqueue.NewRing[T](s.Capacity)
	if err != nil {
		return nil, err
	}
	c := &Channel{Ends: Ends{Spec: s}, CloseSend: atOnce(q.CloseSend), Close: q.Close}
	*field(&c.Ends.Rings) = q
	return c, nil
}

func (field ringOf[T]) sender(e Ends) Sender { return field.end(e) }

func (field ringOf[T]) receiver(e Ends) Receiver { return field.end(e) }

func (field ringOf[T]) end(e Ends) *ringEnd[T] {
	return &ringEnd[T]{q: *field(&e.Rings), spin: e.Spec.Mode == Spin}
}

// ringEnd is either end.
type ringEnd[T fixed] struct {
	plain
	q    *mpqueue.Ring[T]
	v    T
	spin bool
	batch[T]
	glances uint
}

// glance reports whether a look at the length will do. TryPut and TryGet, when
// they fail, make sure of it by a system call that disturbs the other side; but
// only they see that the ring is closed.
func (f *ringEnd[T]) glance() bool {
	f.glances++
	return f.glances%256 != 0
}

func (f *ringEnd[T]) Send(ctx context.Context, p []byte) error {
	if copy(bytesOf(&f.v), p) != len(f.v) {
		return fmt.Errorf("rival: a message of %d bytes, not %d", len(p), len(f.v))
	}
	if f.spin {
		return spin(ctx, func() error {
			if f.q.Len() == f.q.Cap() && f.glance() {
				return mpqueue.ErrFull
			}
			return f.q.TryPut(f.v)
		})
	}
	return f.q.Put(ctx, f.v)
}

func (f *ringEnd[T]) Recv(ctx context.Context) (_ []byte, err error) {
	if f.spin {
		err = spin(ctx, func() (err error) {
			if f.q.Len() == 0 && f.glance() {
				return mpqueue.ErrEmpty
			}
			f.v, err = f.q.TryGet()
			return err
		})
	} else {
		f.v, err = f.q.Get(ctx)
	}
	return bytesOf(&f.v), err
}

func (f *ringEnd[T]) SendBatch(ctx context.Context, ps [][]byte) error {
	if err := f.pack(ps); err != nil {
		return err
	}
	_, err := f.q.PutBatch(ctx, f.values[:len(ps)])
	return err
}

func (f *ringEnd[T]) RecvBatch(ctx context.Context, most int) ([][]byte, error) {
	f.room(most)
	n, err := f.q.GetBatch(ctx, f.values[:most])
	return f.views[:n], err
}

func (f *ringEnd[T]) Close() error { return f.q.Close() }
