package mpqueue_test

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"

	"shmkit/mpqueue"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

var tortureKills = flag.Int("torture", 300, "how many processes the torture test kills")

const (
	lines   = 8       // numbers of producers: a killed one's successor goes on with its line
	perLine = 1 << 19 // messages of a line, at most
)

// ledger is what the processes of a torture run write down, in shared memory, so
// that it survives them. Every message has a cell of its own: a sum would not see
// one message lost and another one delivered twice.
type ledger struct {
	stop  atomic.Uint32
	Lines [lines]struct {
		begun     atomic.Uint32 // messages whose Put has been called
		committed atomic.Uint32 // messages whose Put has returned
		cells     [perLine]atomic.Uint32
	}
	torn, disorder, received atomic.Uint32
}

// A cell counts in three fields what has happened to a message.
const (
	first  = 1       // deliveries not marked
	again  = 1 << 8  // deliveries marked as redelivered
	unsure = 1 << 16 // its producer was killed in Put
)

type tortureArgs struct {
	Queue  *mpqueue.Queue[[]byte]
	Ledger *shm.Object[ledger]
	Line   int
	Seed   uint64
	Small  bool
}

// message is a line, a number, random bytes of a random length, and a checksum.
func message(r *rand.Rand, line, n int, small bool) []byte {
	size := 24 + r.IntN(64)
	if !small && r.IntN(4) == 0 {
		size = 24 + r.IntN(1<<(6+r.IntN(12)))
	}
	b := make([]byte, size)
	binary.LittleEndian.PutUint64(b[8:], uint64(line))
	binary.LittleEndian.PutUint64(b[16:], uint64(n))
	for i := 24; i < size; i++ {
		b[i] = byte(r.Uint32())
	}
	binary.LittleEndian.PutUint64(b, xxhash.Sum64(b[8:]))
	return b
}

var tortureProducer = procstest.Role("torture-producer", func(ctx context.Context, a tortureArgs) error {
	r := rand.New(rand.NewPCG(a.Seed, 1))
	l := &a.Ledger.Value().Lines[a.Line]
	if b, c := l.begun.Load(), l.committed.Load(); b != c {
		// The predecessor died in Put: the message may be there or not.
		l.cells[c].Add(unsure)
		l.committed.Store(b)
	}
	for n := int(l.committed.Load()); n < perLine && a.Ledger.Value().stop.Load() == 0; n++ {
		m := message(r, a.Line, n, a.Small)
		l.begun.Store(uint32(n + 1))
		if err := a.Queue.Put(ctx, m); err != nil {
			return err
		}
		l.committed.Store(uint32(n + 1))
	}
	return nil
})

var tortureConsumer = procstest.Role("torture-consumer", func(ctx context.Context, a tortureArgs) error {
	led := a.Ledger.Value()
	var last [lines]int
	for {
		i, err := a.Queue.Receive(ctx)
		if errors.Is(err, mpqueue.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		b := i.Bytes()
		if len(b) < 24 || xxhash.Sum64(b[8:]) != binary.LittleEndian.Uint64(b) {
			led.torn.Add(1)
			i.Done()
			continue
		}
		line, n := int(binary.LittleEndian.Uint64(b[8:])), int(binary.LittleEndian.Uint64(b[16:]))
		if i.Redelivered() {
			led.Lines[line].cells[n].Add(again)
		} else {
			led.Lines[line].cells[n].Add(first)
			if n+1 <= last[line] {
				led.disorder.Add(1)
			}
			last[line] = n + 1
		}
		led.received.Add(1)
		if err := i.Done(); err != nil {
			return err
		}
	}
})

// TestTorture kills producers and consumers at random moments and puts others in
// their place, then lets them finish, and looks every single message up.
func TestTorture(t *testing.T) { tortureAll(t, *tortureKills) }

func tortureAll(t *testing.T, kills int) {
	seed := uint64(procstest.Seed(t))
	r := rand.New(rand.NewPCG(seed, 0))
	shapes := []struct {
		producers, consumers, capacity int
		small                          bool
	}{
		{1, 1, 1, true}, {1, 1, 1024, false}, {2, 2, 2, false}, {2, 2, 1024, true}, {4, 4, 3, false}, {4, 4, 64, false},
	}
	per := max(kills/len(shapes), 1)
	for _, s := range shapes {
		t.Run(fmt.Sprintf("%dx%d/capacity=%d/small=%v", s.producers, s.consumers, s.capacity, s.small), func(t *testing.T) {
			for left := per; left > 0; left -= 100 { // a line has room for so many messages only
				torture(t, r, s.producers, s.consumers, s.capacity, s.small, min(left, 100))
			}
		})
	}
}

// worker is a role in the run: a process, and after its death another.
type worker struct {
	*procstest.Proc
	role *procstest.RoleFunc[tortureArgs]
	args tortureArgs
}

func torture(t *testing.T, r *rand.Rand, producers, consumers, capacity int, small bool, kills int) {
	procstest.Watchdog(t, 2*time.Minute)
	q := newQueue[[]byte](t, capacity, mpqueue.WithMaxBytes(8<<20))
	o, err := shm.New[ledger]()
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	led := o.Value()
	start := func(w *worker) {
		w.args.Seed = r.Uint64()
		var opts []procstest.Option
		if r.IntN(2) == 0 {
			p := mpqueue.FaultPoints[r.IntN(len(mpqueue.FaultPoints))]
			opts = append(opts, procstest.KillAt(p, 1+r.IntN(30)))
		}
		w.Proc = w.role.Start(t, w.args, opts...)
	}
	var all []*worker
	for i := range producers + consumers {
		w := &worker{role: tortureProducer, args: tortureArgs{Queue: q, Ledger: o, Line: i, Small: small}}
		if i >= producers {
			w.role = tortureConsumer
		}
		start(w)
		all = append(all, w)
	}
	for range kills {
		w := all[r.IntN(len(all))]
		// When, not whether: any moment will do, but one with traffic.
		begin, target := time.Now(), led.received.Load()+uint32(r.IntN(300))
		for led.received.Load() < target && time.Since(begin) < 20*time.Millisecond {
			time.Sleep(100 * time.Microsecond)
		}
		if r.IntN(8) == 0 {
			w.Signal(syscall.SIGSTOP)
			time.Sleep(time.Duration(r.IntN(3000)) * time.Microsecond)
			w.Signal(syscall.SIGCONT)
		}
		w.Kill()
		w.Wait()
		start(w)
	}
	// No more kills from here on: who dies at a fault point is replaced, the
	// producers finish, then the consumers.
	led.stop.Store(1)
	finish := func(part []*worker) {
		for _, w := range part {
			for w.Wait().Killed() {
				w.Proc = w.role.Start(t, w.args)
			}
			if s := w.Wait(); s.Err != nil {
				t.Fatalf("%v", s)
			}
		}
	}
	finish(all[:producers])
	if err := q.CloseSend(); err != nil {
		t.Fatal(err)
	}
	finish(all[producers:])
	q.Segment().Sweep()
	audit(t, led, producers, kills)
	if n := q.Len(); n != 0 {
		t.Errorf("%d items left", n)
	}
}

// audit holds every message against what was promised.
func audit(t *testing.T, led *ledger, producers, kills int) {
	var sent, lost, twice, redelivered, cut int
	for p := range producers {
		l := &led.Lines[p]
		for n := range int(l.committed.Load()) {
			c := l.cells[n].Load()
			f, a, u := c&0xff, c>>8&0xff, c>>16
			switch {
			case f+a == 0 && u == 0:
				lost++
			case f > 1 || int(a) > 2*kills: // a kill at a fault point may come on top of each
				twice++
			}
			sent++
			redelivered += int(min(a, 1))
			cut += int(u)
		}
	}
	t.Logf("%d kills: %d messages, %d deliveries, %d redelivered, %d cut off in Put", kills, sent, led.received.Load(), redelivered, cut)
	if lost+twice != 0 || led.torn.Load() != 0 || led.disorder.Load() != 0 {
		t.Fatalf("%d lost, %d delivered twice unmarked, %d torn, %d out of order", lost, twice, led.torn.Load(), led.disorder.Load())
	}
}
