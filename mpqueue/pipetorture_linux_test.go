package mpqueue_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"time"

	"shmkit/mpqueue"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

type pipeTortureArgs struct {
	Conn   *mpqueue.Conn
	Ledger *shm.Object[ledger]
	Line   int
	Seed   uint64
	Sizes  int
	Bug    string // planted into this process
}

// pipeTortureSender goes on with its line where the one before it was killed.
var pipeTortureSender = procstest.Role("pipe-torture-sender", func(ctx context.Context, a pipeTortureArgs) error {
	mpqueue.PlantInPipes(a.Bug)
	r := rand.New(rand.NewPCG(a.Seed, 1))
	l := &a.Ledger.Value().Lines[a.Line]
	if b, c := l.begun.Load(), l.committed.Load(); b != c {
		l.cells[c].Add(unsure)
		l.committed.Store(b)
	}
	for n := int(l.committed.Load()); n < perLine && a.Ledger.Value().stop.Load() == 0; n++ {
		m := message(r, a.Line, n, a.Sizes)
		l.begun.Store(uint32(n + 1))
		if err := a.Conn.SendBytes(ctx, m); err != nil {
			return err
		}
		l.committed.Store(uint32(n + 1))
	}
	return nil
})

var pipeTortureReceiver = procstest.Role("pipe-torture-receiver", func(ctx context.Context, a pipeTortureArgs) error {
	mpqueue.PlantInPipes(a.Bug)
	led := a.Ledger.Value()
	var last [lines]int
	var b []byte
	for {
		var err error
		b, err = a.Conn.RecvBytes(ctx, b[:0])
		switch {
		case err == io.EOF:
			return nil
		case errors.Is(err, io.ErrUnexpectedEOF): // its sender was killed
			led.requeued.Add(1)
			continue
		case err != nil:
			return err
		}
		line, n, ok := readMessage(b)
		if !ok {
			led.torn.Add(1)
			continue
		}
		led.Lines[line].cells[n].Add(first)
		if n+1 <= last[line] {
			led.disorder.Add(1)
		}
		last[line] = n + 1
		led.received.Add(1)
	}
})

type pipeWorker struct {
	*procstest.Proc
	role *procstest.RoleFunc[pipeTortureArgs]
	args pipeTortureArgs
}

// TestPipeTorture kills, and stops, processes that share the ends of a pipe, at
// random moments, and puts others in their place. Then every message is looked up:
// it came whole and once, or is one of those that a killed process had. Of many
// kills of -torture it has a fifth.
func TestPipeTorture(t *testing.T) {
	seed := uint64(procstest.Seed(t))
	r := rand.New(rand.NewPCG(seed, 0))
	shapes := []struct {
		senders, receivers, size int
		sizes                    int
	}{
		{1, 1, 4096, mixed}, {2, 1, 4096, small}, {1, 2, 16 << 10, mixed}, {3, 3, 4096, mixed}, {2, 2, 128 << 10, large},
	}
	per := *tortureKills
	if per > 300 {
		per = max(per/5, 300)
	}
	if testing.Short() {
		per = min(per, 50)
	}
	per = max(per/len(shapes), 1)
	for _, s := range shapes {
		t.Run(fmt.Sprintf("%dx%d/size=%d/sizes=%d", s.senders, s.receivers, s.size, s.sizes), func(t *testing.T) {
			for left := per; left > 0 && !t.Failed(); left -= 100 {
				t.Run(fmt.Sprintf("left=%d", left), func(t *testing.T) {
					o := pipeTorture(t, r, s.senders, s.receivers, s.size, s.sizes, min(left, 100), "")
					if err := o.verdict(); err != nil {
						t.Fatal(err)
					}
				})
			}
		})
	}
}

// TestPipeTortureOracle plants bugs, which the torture must see.
func TestPipeTortureOracle(t *testing.T) {
	r := rand.New(rand.NewPCG(uint64(procstest.Seed(t)), 0))
	for _, bug := range []string{"no lock", "published before it is written"} {
		t.Run(bug, func(t *testing.T) {
			for range 20 {
				o := pipeTorture(t, r, 3, 3, 4096, mixed, 10, bug)
				if err := o.verdict(); err != nil {
					t.Logf("seen: %v", err)
					return
				}
			}
			t.Error("the bug was not seen")
		})
	}
}

// pipeOutcome is what became of the messages of a run.
type pipeOutcome struct {
	sent, lost, twice, unsure, cut, torn, disorder int
	killedSenders, killedReceivers                 int
	err                                            error // of a process
}

func (o *pipeOutcome) verdict() error {
	// A receiver that is killed takes one message along: the one that it was
	// receiving, or had received and not yet written down.
	if o.err != nil || o.lost > o.killedReceivers || o.twice+o.torn+o.disorder > 0 || o.cut > o.killedSenders {
		return fmt.Errorf("%d lost (of %d receivers killed), %d came twice, %d torn, %d out of order, %d cut off (of %d senders killed), error %v",
			o.lost, o.killedReceivers, o.twice, o.torn, o.disorder, o.cut, o.killedSenders, o.err)
	}
	return nil
}

func pipeTorture(t *testing.T, r *rand.Rand, senders, receivers, size, sizes, kills int, bug string) *pipeOutcome {
	procstest.Watchdog(t, 2*time.Minute)
	led, err := shm.New[ledger]()
	if err != nil {
		t.Fatal(err)
	}
	defer led.Close()
	a, b, err := mpqueue.Pipe(mpqueue.WithPipeSize(size))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	out := &pipeOutcome{}
	start := func(w *pipeWorker, faults bool) {
		w.args.Seed = r.Uint64()
		var opts []procstest.Option
		if faults && r.IntN(2) == 0 {
			p := mpqueue.PipeFaultPoints[r.IntN(len(mpqueue.PipeFaultPoints))]
			opts = append(opts, procstest.KillAt(p, 1+r.IntN(60)))
		}
		w.Proc = w.role.Start(t, w.args, opts...)
	}
	// ended notes how a process ended. If it was not killed there must be no error.
	ended := func(w *pipeWorker) (killed bool) {
		s := w.Wait()
		switch {
		case !s.Killed():
			if s.Err != nil && out.err == nil {
				out.err = s.Err
			}
			return false
		case w.role == pipeTortureSender:
			out.killedSenders++
		default:
			out.killedReceivers++
		}
		return true
	}
	var all []*pipeWorker
	for i := range senders + receivers {
		w := &pipeWorker{role: pipeTortureSender, args: pipeTortureArgs{Conn: a.Keep(), Ledger: led, Line: i, Sizes: sizes, Bug: bug}}
		if i >= senders {
			w.role, w.args.Conn = pipeTortureReceiver, b.Keep()
		}
		start(w, true)
		all = append(all, w)
	}
	// replace starts another one for each who was killed: at a fault point, where
	// the others miss it. It reports whether all of part have ended by themselves.
	replace := func(part []*pipeWorker) bool {
		over := true
		for _, w := range all {
			switch {
			case w.Alive():
				over = over && !slices.Contains(part, w)
			case ended(w):
				start(w, false)
				over = false
			}
		}
		return over
	}
	// finish waits for part. Meanwhile the others must not stay dead: a sender
	// cannot end if nobody receives.
	finish := func(part []*pipeWorker) {
		for begin := time.Now(); !replace(part); time.Sleep(50 * time.Microsecond) {
			if time.Since(begin) > 20*time.Second {
				for _, w := range part {
					w.Wait() // says where it hangs
				}
			}
		}
	}
	var recovery []time.Duration
	received := &led.Value().received
	for range kills {
		w := all[r.IntN(len(all))]
		begin, target := time.Now(), received.Load()+uint32(r.IntN(200))
		for received.Load() < target && time.Since(begin) < 20*time.Millisecond {
			time.Sleep(100 * time.Microsecond)
		}
		if r.IntN(8) == 0 {
			w.Signal(syscall.SIGSTOP)
			time.Sleep(time.Duration(r.IntN(3000)) * time.Microsecond)
			w.Signal(syscall.SIGCONT)
		}
		w.Kill()
		if !ended(w) && out.err != nil {
			break
		}
		start(w, true)
		begin, target = time.Now(), received.Load()+1
		for received.Load() < target && time.Since(begin) < 10*time.Second {
			replace(nil)
			time.Sleep(50 * time.Microsecond)
		}
		recovery = append(recovery, time.Since(begin))
	}
	led.Value().stop.Store(1)
	if out.err == nil {
		finish(all[:senders])
		a.Close()
		finish(all[senders:])
		s := b.Segment()
		s.Sweep()
		for _, err := range shm.Check(s) {
			t.Error(err)
		}
	} else {
		for _, w := range all {
			w.Kill()
		}
		a.Close()
	}
	out.count(led.Value(), senders)
	if bug == "" {
		slices.Sort(recovery)
		t.Logf("%d senders and %d receivers killed: %d messages, %d cut, %d lost with their receiver, %d of killed senders; goes on after %v (half), %v (all)",
			out.killedSenders, out.killedReceivers, out.sent, out.cut, out.lost, out.unsure, recovery[len(recovery)/2], recovery[len(recovery)-1])
		if last := recovery[len(recovery)-1]; last > 10*time.Second {
			t.Errorf("nothing moved for %v", last)
		}
	}
	return out
}

// count holds every message against what was promised.
func (o *pipeOutcome) count(led *ledger, senders int) {
	for p := range senders {
		l := &led.Lines[p]
		for n := range int(l.committed.Load()) {
			c := l.cells[n].Load()
			f, u := c&0xff, c>>16
			if f == 0 && u == 0 {
				o.lost++
			}
			if f > 1 {
				o.twice++
			}
			o.unsure += int(u)
			o.sent++
		}
	}
	o.torn, o.disorder = int(led.torn.Load()), int(led.disorder.Load())
	o.cut = int(led.requeued.Load())
}
