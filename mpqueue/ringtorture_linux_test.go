package mpqueue_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"shmkit/mpqueue"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

// ringLedger is what producers and consumers of a ring write down, in shared
// memory, so that it survives them. As a ring is strictly first in, first out, the
// next number to come is known: whatever else comes is an entry.
type ringLedger struct {
	stop              atomic.Uint32
	begun, committed  atomic.Uint64 // numbers whose Put was called, and has returned
	next              atomic.Uint64 // number that the consumer is to get
	twice, torn       atomic.Uint64
	resume            [2]atomic.Uint64 // positions of producer and consumer when the last one died
	jumped            atomic.Uint32    // successors that began elsewhere
	unsures, gapCount atomic.Uint32
	unsure, gaps      [1024]span64 // Puts cut off by a kill; numbers that did not come
}

// span64 is the numbers from from to before to.
type span64 struct{ from, to uint64 }

type ringTortureArgs struct {
	Ring    *mpqueue.Ring[message64]
	Ledger  *shm.Object[ringLedger]
	Batch   int
	Without bool // membarrier
	Plant   string
}

func (a *ringTortureArgs) begin() *ringLedger {
	mpqueue.ForbidMembarrier(a.Without)
	mpqueue.Plant(a.Plant)
	return a.Ledger.Value()
}

var ringTortureProducer = procstest.Role("ring-torture-producer", func(ctx context.Context, a ringTortureArgs) error {
	l := a.begin()
	if b, c := l.begun.Load(), l.committed.Load(); b != c {
		// The predecessor died in Put: these are there or not.
		l.unsure[l.unsures.Add(1)-1] = span64{c, b}
		l.committed.Store(b)
	}
	ms := make([]message64, a.Batch)
	first := true
	for n := l.committed.Load(); l.stop.Load() == 0; n += uint64(a.Batch) {
		for i := range ms {
			ms[i].fill(0, n+uint64(i))
		}
		l.begun.Store(n + uint64(a.Batch))
		for done := 0; done < a.Batch; {
			k, err := 1, error(nil)
			if a.Batch == 1 {
				err = a.Ring.Put(ctx, ms[0])
			} else {
				k, err = a.Ring.PutBatch(ctx, ms[done:])
			}
			if err == nil || a.Batch > 1 {
				done += k
				if _, in := mpqueue.RingNext(a.Ring); first && k > 0 {
					l.begins(0, in-uint64(k))
					first = false
				}
			}
			if err != nil && !errors.Is(err, mpqueue.ErrAbandoned) {
				return err
			}
		}
		l.committed.Store(n + uint64(a.Batch))
	}
	return nil
})

var ringTortureConsumer = procstest.Role("ring-torture-consumer", func(ctx context.Context, a ringTortureArgs) error {
	l := a.begin()
	ms := make([]message64, a.Batch)
	for first := true; ; {
		k, err := 1, error(nil)
		if a.Batch == 1 {
			ms[0], err = a.Ring.Get(ctx)
		} else {
			k, err = a.Ring.GetBatch(ctx, ms)
		}
		switch {
		case errors.Is(err, mpqueue.ErrAbandoned):
			k = 0
		case errors.Is(err, mpqueue.ErrClosed):
			return nil
		case err != nil:
			return err
		}
		if out, _ := mpqueue.RingNext(a.Ring); first && k > 0 {
			l.begins(1, out-uint64(k))
			first = false
		}
		for _, m := range ms[:k] {
			l.note(m)
		}
	}
})

// begins notes where a successor begins.
func (l *ringLedger) begins(side int, p uint64) {
	if p != l.resume[side].Load() {
		l.jumped.Add(1)
	}
}

func (l *ringLedger) note(m message64) {
	_, n, ok := m.check()
	next := l.next.Load()
	switch {
	case !ok:
		l.torn.Add(1)
		return
	case n < next:
		l.twice.Add(1)
		return
	case n > next:
		l.gaps[l.gapCount.Add(1)-1] = span64{next, n}
	}
	l.next.Store(n + 1)
}

// audit says what is wrong: consumers died so many times, with a batch each that
// they had got and not written down.
func (l *ringLedger) audit(consumersDead, batch int) (string, error) {
	var lost, cut uint64
	unsure := l.unsure[:l.unsures.Load()]
	gaps := slices.Clone(l.gaps[:l.gapCount.Load()])
	if n, c := l.next.Load(), l.committed.Load(); n < c {
		gaps = append(gaps, span64{n, c})
	} else if n > c {
		return "", fmt.Errorf("%d came, which was not sent", n-1)
	}
	for _, g := range gaps {
		lost += g.to - g.from
		for _, u := range unsure {
			if lo, hi := max(u.from, g.from), min(u.to, g.to); lo < hi {
				cut += hi - lo
			}
		}
	}
	lost -= cut
	report := fmt.Sprintf("%d messages; %d Puts cut off, of whose messages %d never were; %d went with %d consumers",
		l.committed.Load(), len(unsure), cut, lost, consumersDead)
	t, w, j := l.torn.Load(), l.twice.Load(), l.jumped.Load()
	if t+w+uint64(j) > 0 || lost > uint64(consumersDead*batch) {
		return report, fmt.Errorf("%d torn, %d twice or out of order, %d lost; %d began where they should not", t, w, lost, j)
	}
	return report, nil
}

// ringOrdeal is one torture run.
type ringOrdeal struct {
	capacity, batch int
	without         bool
	first           uint64
	plant           string
	patience        time.Duration
}

// TestTortureRing kills the producer and the consumer of a ring at random moments
// and named points, puts successors in their place, and accounts for every message.
// It has a third of the kills of -torture.
func TestTortureRing(t *testing.T) {
	r := rand.New(rand.NewPCG(uint64(procstest.Seed(t)), 0))
	all := []ringOrdeal{
		{capacity: 1, batch: 1}, {capacity: 3, batch: 1, first: math.MaxUint64 - 499}, {capacity: 1024, batch: 1, first: 1<<63 - 500},
		{capacity: 64, batch: 10}, {capacity: 2, batch: 1, without: true},
	}
	kills := max(*tortureKills/3/len(all), 1)
	if testing.Short() {
		kills = min(kills, 4)
	}
	for _, o := range all {
		o.patience = 20 * time.Second
		t.Run(fmt.Sprintf("capacity=%d/batch=%d/membarrier=%v", o.capacity, o.batch, !o.without), func(t *testing.T) {
			for left := kills; left > 0; left -= 200 {
				report, err := tortureRing(t, r, o, min(left, 200))
				if err != nil {
					t.Fatalf("%v (%s)", err, report)
				}
				t.Logf("%d kills: %s", min(left, 200), report)
			}
		})
	}
}

// TestTortureRingOracles plants bugs: the oracles must notice.
func TestTortureRingOracles(t *testing.T) {
	r := rand.New(rand.NewPCG(uint64(procstest.Seed(t)), 0))
	for _, plant := range []string{"ring: rewind", "ring: skip", "ring: stay"} {
		t.Run(plant, func(t *testing.T) {
			// 8 places: a consumer's successor finds items there.
			for range 10 {
				report, err := tortureRing(t, r, ringOrdeal{capacity: 8, batch: 1, plant: plant, patience: time.Second}, 40)
				if err != nil {
					t.Logf("noticed: %v (%s)", err, report)
					return
				}
				t.Logf("not noticed: %s", report)
			}
			t.Error("not noticed at all")
		})
	}
}

func tortureRing(t *testing.T, r *rand.Rand, o ringOrdeal, kills int) (string, error) {
	procstest.Watchdog(t, 2*time.Minute+time.Duration(*tortureKills)*100*time.Millisecond)
	ring, err := mpqueue.NewRing[message64](o.capacity, mpqueue.RingFirst(o.first))
	if err != nil {
		t.Fatal(err)
	}
	defer ring.Close()
	led, err := shm.New[ringLedger]()
	if err != nil {
		t.Fatal(err)
	}
	defer led.Close()
	l := led.Value()
	l.resume[0].Store(o.first)
	l.resume[1].Store(o.first)
	mpqueue.Plant(o.plant) // this process recovers what its children leave
	defer mpqueue.Plant("")
	a := ringTortureArgs{Ring: ring, Ledger: led, Batch: o.batch, Without: o.without, Plant: o.plant}
	roles := []*procstest.RoleFunc[ringTortureArgs]{ringTortureProducer, ringTortureConsumer}
	consumersDead := 0
	start := func(side int, calm bool) *procstest.Proc {
		var opts []procstest.Option
		if !calm && r.IntN(2) == 0 {
			p := mpqueue.RingFaultPoints[r.IntN(len(mpqueue.RingFaultPoints))]
			opts = append(opts, procstest.KillAt(p, 1+r.IntN(10)))
		}
		return roles[side].Start(t, a, opts...)
	}
	procs := []*procstest.Proc{start(0, false), start(1, false)}
	defer func() {
		for _, p := range procs {
			p.Kill()
		}
	}()
	dead := func(side int) error {
		s := procs[side].Wait()
		if !s.Killed() {
			return fmt.Errorf("side %d: %v", side, s)
		}
		consumersDead += side
		read, write := mpqueue.RingPositions(ring)
		l.resume[side].Store([]uint64{write, read}[side])
		return nil
	}
	progress := func(atLeast uint64, within time.Duration) {
		for begin, from := time.Now(), l.next.Load(); l.next.Load()-from < atLeast && time.Since(begin) < within; {
			time.Sleep(50 * time.Microsecond)
		}
	}
	within := 5 * time.Millisecond
	if o.plant != "" {
		within *= 6 // A bug shows in traffic, however slow a start is here.
	}
	for range kills {
		progress(uint64(r.IntN(2000)), within)
		side := r.IntN(2)
		if r.IntN(4) == 0 { // the other one only stands still meanwhile
			other := procs[1-side]
			other.Signal(syscall.SIGSTOP)
			time.Sleep(time.Duration(r.IntN(1000)) * time.Microsecond)
			defer other.Signal(syscall.SIGCONT)
			procs[side].Kill()
			time.Sleep(time.Duration(r.IntN(1000)) * time.Microsecond)
			other.Signal(syscall.SIGCONT)
		}
		procs[side].Kill()
		if err := dead(side); err != nil {
			return "", err
		}
		procs[side] = start(side, false)
		if o := 1 - side; !procs[o].Alive() { // at a fault point
			if err := dead(o); err != nil {
				return "", err
			}
			procs[o] = start(o, false)
		}
	}
	// No more kills. Who dies at a fault point has a successor: the other side
	// too, or the one that is to end would wait for it for ever.
	finish := func(side int) error {
		for begin := time.Now(); ; time.Sleep(50 * time.Microsecond) {
			for i, p := range procs {
				switch {
				case p.Alive():
					continue
				case p.Wait().Err == nil:
					if i == side {
						return nil
					}
					continue
				}
				if err := dead(i); err != nil {
					return err
				}
				procs[i] = start(i, true)
				begin = time.Now()
			}
			if time.Since(begin) > o.patience {
				return fmt.Errorf("side %d hangs", side)
			}
		}
	}
	l.stop.Store(1)
	if err := finish(0); err != nil {
		return "", err
	}
	if err := ring.CloseSend(); err != nil {
		return "", err
	}
	if err := finish(1); err != nil {
		return "", err
	}
	ring.Segment().Sweep()
	report, err := l.audit(consumersDead, o.batch)
	return report, errors.Join(append(shm.Check(ring.Segment()), err)...)
}
