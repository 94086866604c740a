package mpqueue_test

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"

	"shmkit/mpqueue"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

const (
	lines   = 8       // numbers of producers: a killed one's successor goes on with its line
	perLine = 1 << 19 // messages of a line, at most

	poisonous  = 1 << 27 // in the word that says which message it is
	poisonMost = 1 << 12
)

// ledger is what the processes of a torture run write down, in shared memory, so
// that it survives them. Every message has a cell of its own: a sum would not see
// one message lost and another one delivered twice.
type ledger struct {
	stop  atomic.Uint32
	Lines [lines]struct {
		begun     atomic.Uint32 // messages whose Put has been called
		committed atomic.Uint32 // messages whose Put has returned
		cuts      atomic.Uint32 // Puts cut off by a death
		cells     [perLine]atomic.Uint32
	}
	torn, disorder, received, requeued, sweeps atomic.Uint32

	// Messages whose consumers kill themselves: how many there may be, how many there
	// are, and which.
	mayPoison, poisoned atomic.Uint32
	poison              [poisonMost]atomic.Uint32

	// Of the end, see TestTortureEnd: producers that have registered, consumers that have
	// met the end, and those that met it by a death; what came after it.
	registered, ended, abandoned, late atomic.Uint32
}

// A cell counts in three fields what has happened to a message.
const (
	first  = 1       // deliveries not marked
	again  = 1 << 8  // deliveries marked as redelivered
	unsure = 1 << 16 // its producer was killed in Put; twice that for every other such Put
)

// How long messages are.
const (
	small = iota // all fit their slots
	mixed        // 8 bytes to 64 KiB
	large        // 8 bytes to 1 MiB
)

type tortureArgs struct {
	Queue  *mpqueue.Queue[[]byte]
	Coded  *mpqueue.Queue[parcel] // instead of Queue, if not nil
	Ledger *shm.Object[ledger]
	Line   int
	Seed   uint64
	Sizes  int
	Gets   bool   // the consumer uses Get, not Receive
	Once   bool   // or both, one at a time
	Writes bool   // the producer also reserves places
	Poison bool   // some messages kill their consumers
	Plant  string // the bug that is to be noticed
}

// message is a checksum, a line and a number, and words of no meaning.
func message(r *rand.Rand, line, n, sizes int) []byte {
	size := 8
	switch k := r.IntN(100); {
	case sizes == small || k < 50:
		size += r.IntN(105)
	case k < 80:
		size += r.IntN(4 << 10)
	case k < 98 || sizes == mixed:
		size += r.IntN(64<<10 - 7)
	default:
		size += r.IntN(1<<20 - 7)
	}
	b := make([]byte, size)
	binary.LittleEndian.PutUint32(b[4:], uint32(line)<<28|uint32(n))
	for i := 8; i+8 <= size; i += 8 {
		binary.LittleEndian.PutUint64(b[i:], r.Uint64())
	}
	return sealed(b)
}

// sealed is message b with its checksum.
func sealed(b []byte) []byte {
	binary.LittleEndian.PutUint32(b, uint32(xxhash.Sum64(b[4:])))
	return b
}

// isPoison reports whether who receives message b kills itself.
func isPoison(b []byte) bool { return binary.LittleEndian.Uint32(b[4:])&poisonous != 0 }

// poisonedMessage makes message b kill its consumers.
func (l *ledger) poisonedMessage(b []byte) []byte {
	i := l.poisoned.Add(1) - 1
	w := binary.LittleEndian.Uint32(b[4:])
	l.poison[i%poisonMost].Store(w | poisonous)
	binary.LittleEndian.PutUint32(b[4:], w|poisonous)
	return sealed(b)
}

// readMessage returns line and number of a message, if it is whole.
func readMessage(b []byte) (line, n int, ok bool) {
	if len(b) < 8 || binary.LittleEndian.Uint32(b) != uint32(xxhash.Sum64(b[4:])) {
		return 0, 0, false
	}
	w := binary.LittleEndian.Uint32(b[4:])
	line, n = int(w>>28), int(w&(poisonous-1))
	return line, n, line < lines && n < perLine
}

var tortureProducer = procstest.Role("torture-producer", func(ctx context.Context, a tortureArgs) error {
	mpqueue.Plant(a.Plant)
	r := rand.New(rand.NewPCG(a.Seed, 1))
	led := a.Ledger.Value()
	l := &led.Lines[a.Line]
	if b, c := l.begun.Load(), l.committed.Load(); b != c {
		// The predecessor died in Put: the messages may be there or not.
		mark := unsure << (l.cuts.Add(1) % 2)
		for n := c; n < b; n++ {
			l.cells[n].Add(uint32(mark))
		}
		l.committed.Store(b)
	}
	out := a.post(r)
	for n := int(l.committed.Load()); n < perLine && led.stop.Load() == 0; {
		k := 1
		if r.IntN(3) == 0 {
			k = min(1+r.IntN([]int{40, 8, 3}[a.Sizes]), perLine-n)
		}
		var ms [][]byte
		for i := range k {
			ms = append(ms, message(r, a.Line, n+i, a.Sizes))
		}
		l.begun.Store(uint32(n + k))
		if k == 1 && a.Poison && led.poisoned.Load() < led.mayPoison.Load() {
			ms[0] = led.poisonedMessage(ms[0])
		}
		if err := out.put(ctx, ms); err != nil {
			return err
		}
		n += k
		l.committed.Store(uint32(n))
	}
	return nil
})

// getMost is how many messages a consumer gets at a time, at most, and loses with
// its life, if it uses Get.
const getMost = 8

var tortureConsumer = procstest.Role("torture-consumer", func(ctx context.Context, a tortureArgs) error {
	mpqueue.Plant(a.Plant)
	r := rand.New(rand.NewPCG(a.Seed, 2))
	led := a.Ledger.Value()
	var last [lines]int
	in := a.post(r)
	note := func(b []byte, i parcelItem) {
		line, n, ok := readMessage(b)
		switch {
		case !ok:
			led.torn.Add(1)
		case i != nil && i.Redelivered():
			led.Lines[line].cells[n].Add(again)
		default:
			led.Lines[line].cells[n].Add(first)
			if n+1 <= last[line] {
				led.disorder.Add(1)
			}
			last[line] = n + 1
		}
		led.received.Add(1)
		if ok && a.Poison && isPoison(b) {
			die()
		}
	}
	for {
		var err error
		switch k := 1 + r.IntN(getMost); {
		case a.Gets:
			var ms [][]byte
			ms, err = in.get(ctx, k)
			for _, m := range ms {
				note(m, nil)
			}
		case a.Once && k%2 == 0:
			var ms [][]byte
			if ms, err = in.get(ctx, 1); err == nil {
				note(ms[0], nil)
			}
		default:
			var i parcelItem
			if i, err = in.receive(ctx); err != nil {
				break
			}
			note(i.Bytes(), i)
			if r.IntN(200) == 0 {
				led.requeued.Add(1)
				err = i.Requeue()
			} else {
				err = i.Done()
			}
		}
		if errors.Is(err, mpqueue.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
	}
})

// tortureRecoverer looks all of the time for somebody who has died, to be in the
// middle of the recovery when it is killed itself.
var tortureRecoverer = procstest.Role("torture-recoverer", func(ctx context.Context, a tortureArgs) error {
	mpqueue.Plant(a.Plant)
	s := a.segment()
	for a.Ledger.Value().stop.Load() == 0 {
		if s.Sweep() > 0 {
			a.Ledger.Value().sweeps.Add(1)
		}
		time.Sleep(100 * time.Microsecond)
	}
	return nil
})
