package mpqueue_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"golang.org/x/sys/unix"

	"shmkit/mpqueue"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

const (
	recorders = 6
	perRun    = 60 // operations of a process
)

// record is one operation of one process.
type record struct {
	kind, value  int32
	result       atomic.Int64
	got          int32
	call, finish atomic.Int64 // CLOCK_MONOTONIC: one clock for all processes
}

// histories is what processes write down, so that it survives them.
type histories struct {
	waiting, start atomic.Uint32
	all            [recorders]struct {
		begun atomic.Uint32
		ops   [perRun]record
	}
}

func now() int64 {
	var t unix.Timespec
	unix.ClockGettime(unix.CLOCK_MONOTONIC, &t)
	return t.Nano()
}

func yield() { unix.Syscall(unix.SYS_SCHED_YIELD, 0, 0, 0) }

type recordArgs struct {
	Queue     *mpqueue.Queue[int64]
	Histories *shm.Object[histories]
	Proc      int
	Seed      uint64
	Gets      bool
	Closes    bool // it calls CloseSend in the middle
	Lies      bool // a planted bug: it exchanges two messages that it has got
}

func codeOf(err error) result64 {
	switch {
	case err == nil:
		return fine
	case errors.Is(err, mpqueue.ErrEmpty):
		return isEmpty
	case errors.Is(err, mpqueue.ErrFull):
		return isFull
	case errors.Is(err, mpqueue.ErrBusy):
		return isBusy
	case errors.Is(err, mpqueue.ErrClosed):
		return isClosed
	}
	panic(err)
}

var recorder = procstest.Role("mpqueue-recorder", func(ctx context.Context, a recordArgs) error {
	h := a.Histories.Value()
	own := &h.all[a.Proc]
	r := rand.New(rand.NewPCG(a.Seed, 0))
	for h.waiting.Add(1); h.start.Load() == 0; {
		yield()
	}
	var last *record
	for n := range perRun {
		rec := &own.ops[n]
		rec.value = int32(1000*(a.Proc+1) + n)
		rec.kind = int32(putKind)
		if a.Gets {
			rec.kind = int32(getKind)
		}
		if a.Closes && n == perRun/2 {
			rec.kind = int32(closeKind)
		}
		rec.call.Store(now())
		own.begun.Store(uint32(n + 1))
		var err error
		switch kind(rec.kind) {
		case putKind:
			err = a.Queue.TryPut(int64(rec.value))
		case getKind:
			var v int64
			v, err = a.Queue.TryGet()
			rec.got = int32(v)
		default:
			err = a.Queue.CloseSend()
		}
		rec.result.Store(int64(codeOf(err)))
		rec.finish.Store(now())
		if a.Lies && a.Gets && err == nil {
			if last != nil {
				last.got, rec.got = rec.got, last.got
				a.Lies = false
			}
			last = rec
		}
		if r.IntN(4) == 0 { // otherwise one process is done before the next one begins
			yield()
		}
	}
	return nil
})

// run lets processes use a queue and returns what they did.
func run(t *testing.T, r *rand.Rand, producers, consumers, capacity int, closes, kills, lies bool) []porcupine.Operation {
	q := newQueue[int64](t, capacity)
	o, err := shm.New[histories]()
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	h := o.Value()
	n := producers + consumers
	procs := make([]*procstest.Proc, n)
	for i := range n {
		a := recordArgs{Queue: q, Histories: o, Proc: i, Seed: r.Uint64(), Gets: i >= producers, Closes: closes && i == 0, Lies: lies}
		var opts []procstest.Option
		if kills && r.IntN(3) == 0 {
			points := []string{"mpqueue.put.claimed", "mpqueue.put.filled", "mpqueue.put.committed"}
			if a.Gets {
				points = []string{"mpqueue.get.claimed", "mpqueue.get.copied", "mpqueue.get.released"}
			}
			opts = append(opts, procstest.KillAt(points[r.IntN(len(points))], 1+r.IntN(10)))
		}
		procs[i] = recorder.Start(t, a, opts...)
	}
	for h.waiting.Load() < uint32(n) {
		time.Sleep(50 * time.Microsecond)
	}
	h.start.Store(1)
	for _, p := range procs {
		if s := p.Wait(); s.Code != 0 && !s.Killed() {
			t.Fatal(s)
		}
	}
	return collect(h, n)
}

// collect makes a history of the records of n processes.
func collect(h *histories, n int) (ops []porcupine.Operation) {
	end := now()
	for i := range n {
		p := &h.all[i]
		for k := range int(p.begun.Load()) {
			rec := &p.ops[k]
			o := porcupine.Operation{
				ClientId: i,
				Input:    linInput{kind(rec.kind), int(rec.value), i},
				Output:   linOutput{result64(rec.result.Load()), int(rec.got)},
				Call:     rec.call.Load(), Return: rec.finish.Load(),
			}
			if o.Return == 0 { // killed: nothing is known, and the message may come back
				o.Output, o.Return = linOutput{}, end
				back := porcupine.Operation{ClientId: recorders + i, Input: linInput{backKind, 0, i}, Output: linOutput{}, Call: o.Call, Return: end}
				ops = append(ops, back)
			}
			ops = append(ops, o)
		}
	}
	slices.SortFunc(ops, func(a, b porcupine.Operation) int { return int(a.Call - b.Call) })
	begin := ops[0].Call
	for i := range ops {
		ops[i].Call -= begin
		ops[i].Return -= begin
	}
	return ops
}

// TestLinearizable records what several processes do with one queue, with closes
// and kills, and asks porcupine whether a queue can do that.
func TestLinearizable(t *testing.T) {
	rounds := 20
	if testing.Short() {
		rounds = 2
	}
	linearizable(t, rounds)
}

func linearizable(t *testing.T, rounds int) {
	seed := uint64(procstest.Seed(t))
	r := rand.New(rand.NewPCG(seed, 0))
	for _, shape := range []int{2, 3} {
		for _, kills := range []bool{false, true} {
			t.Run(fmt.Sprintf("%dx%d/kills=%v", shape, shape, kills), func(t *testing.T) {
				procstest.Watchdog(t, time.Minute)
				var all, overlap, busy, dead int
				for k := range rounds {
					capacity := 1 + r.IntN(4)
					ops := run(t, r, shape, shape, capacity, k%2 == 1, kills, false)
					if got := porcupine.CheckOperationsTimeout(queueMachine(capacity), ops, 20*time.Second); got != porcupine.Ok {
						t.Fatalf("capacity %d: porcupine says %v of\n%s", capacity, got, describeHistory(ops))
					}
					all += len(ops)
					last := int64(0)
					for _, o := range ops {
						if o.Call < last {
							overlap++
						}
						last = max(last, o.Return)
						switch o.Output.(linOutput).result {
						case isBusy:
							busy++
						case unknown:
							dead++
						}
					}
				}
				t.Logf("%d histories, %d operations, %d overlapping, %d busy, %d of killed processes", rounds, all, overlap, busy, dead)
			})
		}
	}
}

// TestLinearizableOracle plants bugs, which porcupine must see: a consumer that
// exchanges two messages, and histories in which a message was got twice, or lost,
// or the end was reported too early.
func TestLinearizableOracle(t *testing.T) {
	r := rand.New(rand.NewPCG(uint64(procstest.Seed(t)), 0))
	bad := func(t *testing.T, name string, ops []porcupine.Operation, capacity int) {
		if got := porcupine.CheckOperationsTimeout(queueMachine(capacity), ops, 20*time.Second); got != porcupine.Illegal {
			t.Errorf("%s: porcupine says %v of\n%s", name, got, describeHistory(ops))
		}
	}
	// useful runs until the first consumer has got two messages, one after the
	// other, and returns where.
	useful := func(producers, consumers int, lies bool) (ops []porcupine.Operation, gets []int) {
		for len(gets) < 2 {
			ops, gets = run(t, r, producers, consumers, 3, false, false, lies), nil
			for i, o := range ops {
				if o.ClientId == producers && o.Output.(linOutput).result == fine {
					gets = append(gets, i)
				}
			}
		}
		return ops, gets
	}
	procstest.Watchdog(t, time.Minute)
	lied, _ := useful(1, 1, true)
	bad(t, "a consumer that lies", lied, 3)

	good, gets := useful(2, 2, false)
	change := func(f func(first, last *linOutput)) []porcupine.Operation {
		ops := slices.Clone(good)
		first, last := ops[gets[0]].Output.(linOutput), ops[gets[len(gets)-1]].Output.(linOutput)
		f(&first, &last)
		ops[gets[0]].Output, ops[gets[len(gets)-1]].Output = first, last
		return ops
	}
	bad(t, "two messages exchanged", change(func(first, last *linOutput) { *first, *last = *last, *first }), 3)
	bad(t, "a message twice", change(func(first, last *linOutput) { *last = *first }), 3)
	bad(t, "a message lost", change(func(first, last *linOutput) { *last = linOutput{result: isEmpty} }), 3)
	bad(t, "the end before the end", change(func(first, last *linOutput) { *first = linOutput{result: isClosed} }), 3)
	full := slices.IndexFunc(good, func(o porcupine.Operation) bool { return o.Output.(linOutput).result == isFull })
	if full >= 0 {
		bad(t, "full too early", good, 100)
	}
}
