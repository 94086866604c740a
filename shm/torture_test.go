package shm_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"shmkit/mpqueue"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

// parcel is a handle on its way: the object that it leads to says who it is.
type parcel struct {
	Trader uint64 // who sent it
	Number uint64
	Handle [40]byte
}

// ware is a small object that can tell whether it is the one that was meant.
type ware struct{ ID, Not uint64 }

// ledgers are what the traders count; each trader has a line of its own.
type ledgers struct {
	Sent, Got, Gone, Wrong [256]uint64
	Stop                   uint64
}

type traderArgs struct {
	Queue *mpqueue.Queue[parcel]
	Books *shm.Object[ledgers]
	Index uint64
	Seed  uint64
}

// trader makes objects, sends their handles and lets go of them at once, and
// opens what others have sent.
var trader = procstest.Role("trader", func(ctx context.Context, a traderArgs) error {
	r := rand.New(rand.NewPCG(a.Seed, a.Index))
	l := a.Books.Value()
	add := func(line *[256]uint64, of uint64) { shm.AddUint64(&line[of], 1) }
	for n := uint64(1); shm.LoadUint64(&l.Stop) == 0; n++ {
		if r.IntN(2) == 0 {
			var opts []shm.Option
			if r.IntN(8) == 0 {
				opts = []shm.Option{shm.WithOwnSegment()}
			}
			o, err := shm.New[ware](opts...)
			if err != nil {
				return err
			}
			if v := o.Value(); v.ID != 0 || v.Not != 0 {
				add(&l.Wrong, a.Index)
			}
			o.Value().ID = a.Index<<32 | n
			o.Value().Not = ^o.Value().ID
			b, err := o.MarshalBinary()
			if err != nil {
				return err
			}
			p := parcel{Trader: a.Index, Number: n}
			copy(p.Handle[:], b)
			err = a.Queue.TryPut(p)
			o.Close()
			if err == nil {
				add(&l.Sent, a.Index)
			}
			continue
		}
		p, err := a.Queue.TryGet()
		if err != nil {
			continue // empty, or somebody is at it
		}
		var o shm.Object[ware]
		err = o.UnmarshalBinary(p.Handle[:])
		var he *shm.HandleError
		switch {
		case err == nil:
			v := *o.Value()
			if v.ID != p.Trader<<32|p.Number || v.Not != ^v.ID {
				add(&l.Wrong, p.Trader)
			}
			add(&l.Got, p.Trader)
			o.Close()
		case errors.As(err, &he):
			if shm.LoadUint64(&l.Stop) == 0 { // else its sender may have ended well
				add(&l.Gone, p.Trader)
			}
		default:
			return err
		}
	}
	return nil
})

// Traders send each other objects that they let go of at once, and are killed at
// random. Every handle of a living sender leads to its own object, never to
// another one; those of the dead may lead nowhere.
func TestHandleTorture(t *testing.T) {
	procstest.Watchdog(t, 2*time.Minute)
	kills := 25
	if testing.Short() {
		kills = 5
	}
	seed := uint64(procstest.Seed(t))
	r := rand.New(rand.NewPCG(seed, 1<<40))
	q := must[*mpqueue.Queue[parcel]](t)(mpqueue.New[parcel](16))
	defer q.Close()
	books := must[*shm.Object[ledgers]](t)(shm.New[ledgers]())
	defer books.Close()
	l := books.Value()
	killed := map[uint64]bool{}
	next := uint64(0)
	start := func() *procstest.Proc {
		next++
		return trader.Start(t, traderArgs{q, books, next, seed})
	}
	total := func(line *[256]uint64) (n uint64) {
		for i := range line {
			n += shm.LoadUint64(&line[i])
		}
		return n
	}
	type seat struct {
		p     *procstest.Proc
		index uint64
	}
	var seats [3]seat
	for i := range seats {
		seats[i] = seat{start(), next}
	}
	for range kills {
		at := total(&l.Got)
		waitFor(t, "trade goes on", func() bool { return total(&l.Got) > at+uint64(r.IntN(100)) })
		i := r.IntN(len(seats))
		killed[seats[i].index] = true
		seats[i].p.Kill()
		seats[i] = seat{start(), next}
	}
	shm.StoreUint64(&l.Stop, 1)
	for _, s := range seats {
		if st := s.p.Wait(); st.Err != nil {
			t.Error(st)
		}
	}
	t.Logf("%d sent, %d arrived, %d of killed senders led nowhere, %d kills", total(&l.Sent), total(&l.Got), total(&l.Gone), kills)
	for i := range l.Wrong {
		if l.Wrong[i] > 0 {
			t.Errorf("trader %d: %d handles led to another object, or new objects were not zero", i, l.Wrong[i])
		}
		if l.Gone[i] > 0 && !killed[uint64(i)] {
			t.Errorf("trader %d: %d handles of a living sender led nowhere", i, l.Gone[i])
		}
	}
}
