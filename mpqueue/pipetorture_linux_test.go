package mpqueue_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
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

type pipeTortureArgs struct {
	Conn   *mpqueue.Conn
	Ledger *shm.Object[ledger]
	Line   int
	Seed   uint64
	Sizes  int
	Bug    string // planted into this process
	Hands  *shm.Object[pipeHands]
	Hand   int // of a receiver
}

// pipeHands is what receivers have in their hands, written down before they take it
// and after they have written it down in the ledger: if one is killed, this
// message, and no other, may have gone with it.
type pipeHands struct {
	hand [lines]atomic.Uint32 // name of the message, 0: none
	// The number + 1 of the newest message that was taken of each line, by whoever;
	// written under the lock of the receivers.
	newest   [lines]atomic.Uint32
	disorder atomic.Uint32 // messages taken after a newer one of their line
}

// nameOf is a name of message n of a line that is not 0.
func nameOf(line, n int) uint32 { return 1<<31 | uint32(line*perLine+n) }

// taking notes that a receiver is about to take the message that begins with b.
func (h *pipeHands) taking(hand int, b []byte) {
	w := binary.LittleEndian.Uint32(b[4:])
	line, n := int(w>>28)%lines, int(w%perLine)
	h.hand[hand].Store(nameOf(line, n))
	// The same once more is one that the receiver before was killed with, and had
	// not taken; if it had, the ledger tells that it came twice.
	if newest := &h.newest[line]; uint32(n+1) < newest.Load() {
		h.disorder.Add(1)
	} else {
		newest.Store(uint32(n + 1))
	}
}

// empty empties a hand, and returns what was in it.
func (h *pipeHands) empty(hand int) (line, n int, ok bool) {
	v := h.hand[hand].Swap(0)
	w := int(v &^ (1 << 31))
	return w / perLine, w % perLine, v != 0
}

// cutOff is what a cell counts when its message came cut off; a pipe marks no deliveries.
const cutOff = again

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
	led, hands := a.Ledger.Value(), a.Hands.Value()
	mpqueue.PipeTakes(func(m []byte) { hands.taking(a.Hand, m) })
	var b []byte
	for {
		var err error
		b, err = a.Conn.RecvBytes(ctx, b[:0])
		switch {
		case err == io.EOF:
			return nil
		case errors.Is(err, io.ErrUnexpectedEOF): // its sender was killed
			if line, n, ok := hands.empty(a.Hand); ok {
				led.Lines[line].cells[n].Add(cutOff)
			}
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
		if hands.hand[a.Hand].Swap(0) != nameOf(line, n) {
			led.disorder.Add(1) // it is not what was taken
		}
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
// it came whole, once, and in its order, or it is the one message that a killed
// receiver had in its hand, or the one that a killed sender was at. Of many kills of
// -torture it has a fifth.
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
	for _, bug := range []string{"no lock", "published before it is written", "a message passed over with the lock of the dead"} {
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
	sent, inHand, unsure, cut                  int // may be
	lost, twice, torn, disorder, wronglyCut    int // may not
	killedSenders, killedReceivers, withInHand int
	hands                                      map[uint32]bool // what killed receivers had in their hands
	err                                        error           // of a process
}

func (o *pipeOutcome) verdict() error {
	if o.err != nil || o.lost+o.twice+o.torn+o.disorder+o.wronglyCut > 0 || o.cut > o.killedSenders {
		return fmt.Errorf("%d lost that no killed receiver had in its hand, %d came twice, %d torn, %d out of order, %d cut off (of %d senders killed), %d of them whose senders lived, error %v",
			o.lost, o.twice, o.torn, o.disorder, o.cut, o.killedSenders, o.wronglyCut, o.err)
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
	hands, err := shm.New[pipeHands]()
	if err != nil {
		t.Fatal(err)
	}
	defer hands.Close()
	out := &pipeOutcome{hands: map[uint32]bool{}}
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
			if line, n, ok := hands.Value().empty(w.args.Hand); ok {
				out.withInHand++
				out.hands[nameOf(line, n)] = true
			}
		}
		return true
	}
	var all []*pipeWorker
	for i := range senders + receivers {
		w := &pipeWorker{role: pipeTortureSender, args: pipeTortureArgs{Conn: a.Keep(), Ledger: led, Line: i, Sizes: sizes, Bug: bug}}
		if i >= senders {
			w.role, w.args.Conn = pipeTortureReceiver, b.Keep()
			w.args.Hands, w.args.Hand = hands, i-senders
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
	out.count(led.Value(), hands.Value(), senders)
	if bug == "" {
		slices.Sort(recovery)
		t.Logf("%d senders and %d receivers killed, %d with a message in their hands: %d messages, %d cut, %d gone with their receiver, %d of killed senders; goes on after %v (half), %v (all)",
			out.killedSenders, out.killedReceivers, out.withInHand, out.sent, out.cut, out.inHand, out.unsure, recovery[len(recovery)/2], recovery[len(recovery)-1])
		if last := recovery[len(recovery)-1]; last > 10*time.Second {
			t.Errorf("nothing moved for %v", last)
		}
	}
	return out
}

// count holds every message against what was promised.
func (o *pipeOutcome) count(led *ledger, hands *pipeHands, senders int) {
	for p := range senders {
		l := &led.Lines[p]
		for n := range int(l.committed.Load()) {
			c := l.cells[n].Load()
			whole, cut, u := c%again, c/again%again, c/unsure
			switch {
			case whole > 1:
				o.twice++
			case cut > 0 && (u == 0 || whole+cut > 1):
				o.wronglyCut++
			case whole+cut+u > 0: // of a killed sender it may be whole, cut, or not there
			case o.hands[nameOf(p, n)]:
				o.inHand++
			default:
				o.lost++
			}
			o.unsure += int(u)
			o.cut += int(cut)
			o.sent++
		}
	}
	o.torn, o.disorder = int(led.torn.Load()), int(led.disorder.Load()+hands.disorder.Load())
}
