package mpqueue_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"shmkit/mpqueue"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

// Rounds in which the deadlines of some calls end at the moment when the message, or
// the room, comes that they wait for. Three processes share one end, each with one
// patient goroutine and two hasty ones; the other end is the test's. In each round the
// patient must get one message through, whatever the hasty do, and after that nothing
// moves until the next round: whoever is left asleep then stays so until the backstop.
const (
	meetProcs  = 3
	meetRounds = 1 << 16
	meetSize   = 900 // four fit the pipe
)

type meeting struct {
	round, stop atomic.Uint32
	at          atomic.Int64 // moment of the round, ns of the wall clock
	patient     atomic.Uint32
	hasty       atomic.Uint32 // what hasty ones got through
	back        atomic.Uint32 // goroutines that are through with the round
	// What became of sleeps, and what should not be.
	sleeps [4]atomic.Uint32
	number atomic.Uint32
	came   [1 << 20]atomic.Uint32 // how often the message of that number came
	sent   [1 << 20]atomic.Uint32 // 1: its Send said nil; 2: it said that it has not
	wrong  atomic.Uint32
}

type meetArgs struct {
	Conn    *mpqueue.Conn
	Meeting *shm.Object[meeting]
	Sends   bool
	Seed    uint64
	Bug     string
}

var pipeMeeter = procstest.Role("pipe-meeter", func(ctx context.Context, a meetArgs) error {
	m := a.Meeting.Value()
	mpqueue.PlantInPipes("no spin")
	if a.Bug != "" {
		mpqueue.PlantInPipes(a.Bug)
	}
	mpqueue.PipeSleeps(func(s mpqueue.PipeSleep) { m.sleeps[s].Add(1) })
	errs := make(chan error, 3)
	for k := range 3 {
		r := rand.New(rand.NewPCG(a.Seed, uint64(k)))
		go func() { errs <- meet(ctx, a, r, k > 0) }()
	}
	return errors.Join(<-errs, <-errs, <-errs)
})

// meet takes part in all rounds.
func meet(ctx context.Context, a meetArgs, r *rand.Rand, hasty bool) error {
	m := a.Meeting.Value()
	buf := make([]byte, meetSize)
	for round := uint32(1); ; round++ {
		for m.round.Load() < round {
			if m.stop.Load() != 0 {
				return nil
			}
			time.Sleep(20 * time.Microsecond)
		}
		call, cancel := ctx, context.CancelFunc(func() {})
		if hasty {
			off := time.Duration(r.IntN(120)-60) * time.Microsecond
			call, cancel = context.WithDeadline(ctx, time.Unix(0, m.at.Load()).Add(off))
		}
		err := m.call(call, a, buf)
		cancel()
		switch {
		case err == nil && hasty:
			m.hasty.Add(1)
		case err == nil:
			m.patient.Add(1)
		case !hasty || !errors.Is(err, context.DeadlineExceeded):
			return err
		}
		m.back.Add(1)
	}
}

// call receives a message, or sends one.
func (m *meeting) call(ctx context.Context, a meetArgs, buf []byte) error {
	if !a.Sends {
		b, err := a.Conn.RecvBytes(ctx, buf[:0])
		if err == nil {
			m.arrived(b)
		}
		return err
	}
	n := m.number.Add(1) - 1
	if err := a.Conn.SendBytes(ctx, meetMessage(buf, n)); err != nil {
		m.sent[n].Store(2)
		return err
	}
	m.sent[n].Store(1)
	return nil
}

func meetMessage(buf []byte, n uint32) []byte {
	for i := range buf {
		buf[i] = byte(n >> (i % 4 * 8))
	}
	return buf
}

// arrived notes a message that came.
func (m *meeting) arrived(b []byte) {
	n := uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
	for i := range b {
		if len(b) != meetSize || b[i] != byte(n>>(i%4*8)) {
			m.wrong.Add(1)
			return
		}
	}
	m.came[n].Add(1)
}

// meetOutcome is what became of the rounds.
type meetOutcome struct {
	rounds, messages                  int
	both, wasted, stranded            uint32
	lost, twice, refusedAndCame, torn int
	longest                           time.Duration
}

func (o *meetOutcome) verdict() error {
	if o.lost+o.twice+o.refusedAndCame+o.torn > 0 || o.stranded > 0 {
		return fmt.Errorf("%d lost, %d came twice, %d came though Send said no, %d torn; %d times somebody slept beside what he waited for",
			o.lost, o.twice, o.refusedAndCame, o.torn, o.stranded)
	}
	return nil
}

// pipeMeetings lets rounds go on until enough is seen, for limit at most.
func pipeMeetings(t *testing.T, sends bool, bug string, limit time.Duration, enough func(m *meeting) bool) *meetOutcome {
	ctx := timeout(t)
	seed := uint64(procstest.Seed(t))
	r := rand.New(rand.NewPCG(seed, 0))
	o, err := shm.New[meeting]()
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	m := o.Value()
	a, b := newPipe(t, mpqueue.WithPipeSize(4096))
	var all []*procstest.Proc
	for range meetProcs {
		all = append(all, pipeMeeter.Start(t, meetArgs{b.Keep(), o, sends, r.Uint64(), bug}))
	}
	buf := make([]byte, meetSize)
	// one moves one message at the test's end.
	one := func() {
		t.Helper()
		if sends {
			got, err := a.RecvBytes(ctx, buf[:0])
			if err != nil {
				t.Fatal(err)
			}
			m.arrived(got)
			return
		}
		n := m.number.Add(1) - 1
		if err := a.SendBytes(ctx, meetMessage(buf, n)); err != nil {
			t.Fatal(err)
		}
		m.sent[n].Store(1)
	}
	if sends { // no room but what the test makes
		for n := uint32(0); b.SendBytes(done, meetMessage(buf, n)) == nil; n++ {
			m.sent[n].Store(1)
			m.number.Store(n + 1)
		}
	}
	out := &meetOutcome{}
	for begin := time.Now(); time.Since(begin) < limit && out.rounds < meetRounds && !enough(m); out.rounds++ {
		m.patient.Store(0)
		m.hasty.Store(0)
		m.back.Store(0)
		at := time.Now().Add(time.Duration(150+r.IntN(250)) * time.Microsecond)
		m.at.Store(at.UnixNano())
		m.round.Add(1)
		time.Sleep(time.Until(at.Add(-60 * time.Microsecond)))
		for off := time.Duration(r.IntN(160)-20) * time.Microsecond; time.Now().Before(at.Add(off)); {
			runtime.Gosched()
		}
		moved := uint32(0)
		for from := time.Now(); m.back.Load() < 3*meetProcs; {
			// What hasty ones took the patient must get in place of it.
			if moved < meetProcs+m.hasty.Load() {
				one()
				moved++
				continue
			}
			if d := time.Since(from); d > 10*time.Second {
				t.Fatalf("round %d: %d of the patient got through, %d of the hasty, after %d of the other side", out.rounds, m.patient.Load(), m.hasty.Load(), moved)
			} else {
				out.longest = max(out.longest, d)
			}
			time.Sleep(10 * time.Microsecond)
		}
		for ; moved < meetProcs+m.hasty.Load(); moved++ {
			one() // so that the next round finds the pipe as it was
		}
	}
	m.stop.Store(1)
	var ended sync.WaitGroup
	for _, p := range all {
		ended.Go(func() {
			if s := p.Wait(); s.Err != nil {
				t.Error(s)
			}
		})
	}
	ended.Wait()
	for {
		got, err := a.RecvBytes(done, buf[:0])
		if !sends {
			got, err = b.RecvBytes(done, buf[:0])
		}
		if err != nil {
			break
		}
		m.arrived(got)
	}
	out.count(m)
	t.Logf("%d rounds, %d messages: %d times a context ended and it was there, %d times it had a wake for what another took, %d times it was there and nobody said so; the longest round took %v",
		out.rounds, out.messages, out.both, out.wasted, out.stranded, out.longest)
	return out
}

// count holds every message against what its Send said.
func (o *meetOutcome) count(m *meeting) {
	for n := range m.number.Load() {
		sent, came := m.sent[n].Load(), m.came[n].Load()
		switch {
		case came > 1:
			o.twice++
		case sent == 1 && came == 0:
			o.lost++
		case sent != 1 && came > 0:
			o.refusedAndCame++
		}
		o.messages++
	}
	o.torn = int(m.wrong.Load())
	o.both, o.wasted, o.stranded = m.sleeps[mpqueue.PipeBoth].Load(), m.sleeps[mpqueue.PipeWasted].Load(), m.sleeps[mpqueue.PipeStranded].Load()
}

// TestPipeTimeoutAndReady: a call whose context ends at the moment when the message, or
// the room, comes neither loses the message nor leaves another one asleep beside it.
func TestPipeTimeoutAndReady(t *testing.T) {
	procstest.Watchdog(t, 2*time.Minute)
	want := uint32(30)
	if testing.Short() {
		want = 10
	}
	for name, sends := range map[string]bool{"message": false, "room": true} {
		t.Run(name, func(t *testing.T) {
			o := pipeMeetings(t, sends, "", 20*time.Second, func(m *meeting) bool { return m.sleeps[mpqueue.PipeBoth].Load() >= want })
			if err := o.verdict(); err != nil {
				t.Error(err)
			}
			if o.both < want {
				t.Errorf("only %d times both came together", o.both)
			}
		})
	}
}

// TestPipeTimeoutAndReadyOracle plants bugs, which the rounds must see.
func TestPipeTimeoutAndReadyOracle(t *testing.T) {
	procstest.Watchdog(t, 2*time.Minute)
	for _, c := range []struct {
		bug   string
		sends bool
	}{{"no relay of the wake", false}, {"looked at too late", false}, {"looked at too late", true}} {
		t.Run(fmt.Sprintf("%s/sends=%v", c.bug, c.sends), func(t *testing.T) {
			o := pipeMeetings(t, c.sends, c.bug, 20*time.Second, func(m *meeting) bool { return m.sleeps[mpqueue.PipeStranded].Load() > 0 })
			if err := o.verdict(); err == nil {
				t.Error("the bug was not seen")
			}
		})
	}
}
