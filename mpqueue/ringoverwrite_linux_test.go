package mpqueue_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"shmkit/mpqueue"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

type ringSiegeArgs struct {
	Ring  *mpqueue.Ring[message64]
	Bytes *mpqueue.ByteRing
	Siege *shm.Object[ringSiege]
	Side  int
	Seed  uint64
	Plant string
}

// ringSiege is what the workers under a vandal write down, one for each side.
type ringSiege struct {
	stop                atomic.Uint32
	fine, corrupt, rest [2]atomic.Uint64
	longest             [2]atomic.Int64 // beyond the context, in ns
}

// besiegedRing uses one side of rings whose memory somebody else overwrites.
// Whatever it gets, every call must come back in time.
var besiegedRing = procstest.Role("ring-besieged", func(_ context.Context, a ringSiegeArgs) error {
	r := rand.New(rand.NewPCG(a.Seed, 0))
	s := a.Siege.Value()
	call := func(f func(ctx context.Context) error) {
		const patience = time.Millisecond
		ctx, cancel := context.WithTimeout(background, patience)
		defer cancel()
		begin := time.Now()
		switch err := f(ctx); {
		case err == nil:
			s.fine[a.Side].Add(1)
		case errors.Is(err, mpqueue.ErrCorrupt):
			s.corrupt[a.Side].Add(1)
		default:
			s.rest[a.Side].Add(1)
		}
		if late := int64(time.Since(begin) - patience); late > s.longest[a.Side].Load() {
			s.longest[a.Side].Store(late)
		}
	}
	ms, buf := make([]message64, 30), make([]byte, 300)
	for n := 0; s.stop.Load() == 0; n++ {
		if n == 10 && a.Plant == "panic" {
			_ = buf[len(buf)+n]
		}
		if n == 10 && a.Plant == "late" {
			call(func(context.Context) error { time.Sleep(1500 * time.Millisecond); return nil })
		}
		k := 1 + r.IntN(len(ms))
		call(func(ctx context.Context) (err error) {
			switch r.IntN(5) + 5*a.Side {
			case 0:
				err = a.Ring.Put(ctx, ms[0])
			case 1:
				_, err = a.Ring.PutBatch(ctx, ms[:k])
			case 2:
				var m []message64
				if m, err = a.Ring.Reserve(ctx, k); err == nil {
					copy(m, ms)
					err = a.Ring.Commit(len(m))
				}
			case 3:
				_, err = a.Bytes.WriteContext(ctx, buf[:10*k])
			case 4:
				var b []byte
				if b, err = a.Bytes.Reserve(ctx, k); err == nil {
					copy(b, buf)
					err = a.Bytes.Commit(len(b))
				}
			case 5:
				_, err = a.Ring.Get(ctx)
			case 6:
				_, err = a.Ring.GetBatch(ctx, ms[:k])
			case 7:
				var m []message64
				if m, err = a.Ring.Peek(ctx, k); err == nil {
					copy(ms, m)
					err = a.Ring.Discard(len(m))
				}
			case 8:
				_, err = a.Bytes.ReadContext(ctx, buf[:10*k])
			case 9:
				var b []byte
				if b, err = a.Bytes.Peek(ctx, k); err == nil {
					copy(buf, b)
					err = a.Bytes.Discard(len(b))
				}
			}
			return err
		})
		if n%100 == 0 {
			shm.Check(a.Ring.Segment())
			shm.Check(a.Bytes.Segment())
		}
	}
	return nil
})

func siegeRing(t *testing.T, d time.Duration, plant string) error {
	procstest.Watchdog(t, time.Minute)
	ring, err := mpqueue.NewRing[message64](20)
	if err != nil {
		t.Fatal(err)
	}
	defer ring.Close()
	b, err := mpqueue.NewByteRing(200)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	o, err := shm.New[ringSiege]()
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	s := o.Value()
	seed := uint64(procstest.Seed(t))
	var workers []*procstest.Proc
	for side := range 2 {
		workers = append(workers, besiegedRing.Start(t, ringSiegeArgs{ring, b, o, side, seed + uint64(side), plant}))
	}
	// One that is to panic may do so before the other has had a chance.
	both := func() bool { return s.fine[0].Load() != 0 && s.fine[1].Load() != 0 }
	for begin := time.Now(); !both() && workers[0].Alive() && workers[1].Alive(); time.Sleep(time.Millisecond) {
		if time.Since(begin) > 20*time.Second {
			t.Fatal("the workers do not begin")
		}
	}
	r := rand.New(rand.NewPCG(seed, 9))
	turned := 0
	for begin := time.Now(); time.Since(begin) < d; turned++ {
		data := ring.Segment().Data()
		if r.IntN(2) == 0 {
			data = b.Segment().Data()
		}
		// The words that change, mostly, and for a while.
		at := []int{r.IntN(40), 128 + r.IntN(16), 256 + r.IntN(8), 384 + r.IntN(8), 512 + r.IntN(8), 640 + r.IntN(8), 4096 + r.IntN(256)}[r.IntN(7)]
		flip := []byte{1 << r.IntN(8), 0xff, byte(r.Uint32())}[r.IntN(3)]
		was := data[at]
		data[at] ^= flip
		time.Sleep(time.Duration(r.IntN(1500)) * time.Microsecond)
		if data[at] == was^flip { // else its owner has written it again
			data[at] = was
		}
		ring.Len()
		shm.Check(ring.Segment())
	}
	s.stop.Store(1)
	for _, w := range workers {
		if e := w.Wait(); e.Err != nil {
			err = errors.Join(err, e.Err)
		}
	}
	for side, what := range []string{"producer", "consumer"} {
		late := time.Duration(s.longest[side].Load())
		t.Logf("%s: %d bytes turned over; %d calls fine, %d ErrCorrupt, %d other errors; at most %v beyond the context",
			what, turned, s.fine[side].Load(), s.corrupt[side].Load(), s.rest[side].Load(), late)
		if late > time.Second {
			err = errors.Join(err, fmt.Errorf("a call of the %s was %v late", what, late))
		}
	}
	return err
}

// TestOverwriteRing turns over bytes of rings under those who use them.
func TestOverwriteRing(t *testing.T) {
	d := 2 * time.Second
	if testing.Short() {
		d /= 5
	}
	if err := siegeRing(t, d, ""); err != nil {
		t.Error(err)
	}
}

// TestOverwriteRingOracles plants what TestOverwriteRing must notice.
func TestOverwriteRingOracles(t *testing.T) {
	for _, plant := range []string{"panic", "late"} {
		t.Run(plant, func(t *testing.T) {
			err := siegeRing(t, 300*time.Millisecond, plant)
			if err == nil {
				t.Fatal("not noticed")
			}
			t.Logf("noticed: %.200v", err)
		})
	}
}

// TestRingDamaged opens rings whose geometry has been damaged: they are refused.
func TestRingDamaged(t *testing.T) {
	name := fmt.Sprintf("ring-damaged-%d", time.Now().UnixNano())
	r, err := mpqueue.CreateRing[message64](name, 5)
	if err != nil {
		t.Fatal(err)
	}
	defer shm.Remove(name)
	defer r.Close()
	data := r.Segment().Data()
	for at := range 32 { // first may be any number
		for _, flip := range []byte{1, 0x80, 0xff} {
			data[at] ^= flip
			got, err := mpqueue.OpenRing[message64](name)
			if !errors.Is(err, mpqueue.ErrCorrupt) {
				// 6, 7 and 8 items need 8 places, too.
				if err != nil || got.Cap() != 5 {
					t.Errorf("byte %d turned over by %#x: %v", at, flip, err)
				}
			}
			if err == nil {
				got.Close()
			}
			data[at] ^= flip
		}
	}
}

// TestRingDescribed: what shmctl shows of a ring.
func TestRingDescribed(t *testing.T) {
	r := newRing[message64](t, 5)
	r.Put(background, message64{})
	r.Put(background, message64{})
	r.CloseSend()
	want := fmt.Sprintf("2 of 5 items, producer pid %d, consumer nobody, closed", os.Getpid())
	if s := mpqueue.DescribeRing(r); s != want {
		t.Errorf("%q, want %q", s, want)
	}
}
