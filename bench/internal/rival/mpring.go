package rival

import (
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
