package mpqueue_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"shmkit/mpqueue"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

// How a queue comes to its end.
const (
	byProducers = iota // the last registered one leaves, or dies
	byTest             // CloseSend, at some moment
	byCloser           // the same by a process that is killed in it
	endings
)

type endArgs struct {
	Queue  *mpqueue.Queue[[]byte]
	Ledger *shm.Object[ledger]
	Line   int
	Seed   uint64
	Ending int
	Plant  string
}

// endProducer is registered, puts some messages and leaves, mostly in order.
var endProducer = procstest.Role("torture-end-producer", func(ctx context.Context, a endArgs) error {
	mpqueue.Plant(a.Plant)
	r := rand.New(rand.NewPCG(a.Seed, 1))
	led := a.Ledger.Value()
	l := &led.Lines[a.Line]
	p, err := a.Queue.Producer()
	led.registered.Add(1)
	if err != nil {
		return unlessClosed(err)
	}
	most := perLine
	if a.Ending == byProducers {
		most = r.IntN(200)
	}
	for n := range most {
		over := led.ended.Load() > 0
		l.begun.Store(uint32(n + 1))
		if err := p.Put(ctx, message(r, a.Line, n, mixed)); err != nil {
			return unlessClosed(err)
		}
		if over {
			led.late.Add(1)
		}
		l.committed.Store(uint32(n + 1))
	}
	if r.IntN(4) == 0 {
		return nil // as if it had died
	}
	return p.Close()
})

func unlessClosed(err error) error {
	if errors.Is(err, mpqueue.ErrClosed) {
		return nil
	}
	return err
}

var endCloser = procstest.Role("torture-end-closer", func(ctx context.Context, a endArgs) error {
	mpqueue.Plant(a.Plant)
	return a.Queue.CloseSend()
})

// endConsumer receives until the end.
var endConsumer = procstest.Role("torture-end-consumer", func(ctx context.Context, a endArgs) error {
	mpqueue.Plant(a.Plant)
	r := rand.New(rand.NewPCG(a.Seed, 2))
	led := a.Ledger.Value()
	for {
		over := led.ended.Load() > 0
		i, err := a.Queue.Receive(ctx)
		switch {
		case err == mpqueue.ErrAbandoned:
			led.abandoned.Add(1)
			led.ended.Add(1)
			return nil
		case errors.Is(err, io.EOF):
			led.ended.Add(1)
			return nil
		case err != nil:
			return err
		}
		if over {
			led.late.Add(1)
		}
		line, n, ok := readMessage(i.Bytes())
		switch {
		case !ok:
			led.torn.Add(1)
		case i.Redelivered():
			led.Lines[line].cells[n].Add(again)
		default:
			led.Lines[line].cells[n].Add(first)
		}
		if r.IntN(8) == 0 {
			for range 200 { // others look for the end meanwhile
				yield()
			}
			err = i.Requeue()
		} else {
			err = i.Done()
		}
		if err != nil {
			return err
		}
	}
})

var (
	leavePoints = []string{"mpqueue.producer.counted", "mpqueue.producer.left", "mpqueue.producer.looked", "mpqueue.producer.alone", "mpqueue.producer.ended", "mpqueue.close.closed", "mpqueue.put.claimed", "mpqueue.put.filled", "mpqueue.put.committed", "mpqueue.signal.pending", "mpqueue.wait.woken"}
	drainPoints = []string{"mpqueue.get.claimed", "mpqueue.receive.leased", "mpqueue.get.released", "mpqueue.done.freed", "mpqueue.wait.waited", "mpqueue.wait.woken", "mpqueue.signal.pending"}
	closePoints = append([]string{"mpqueue.sweep.producer"}, sweepPoints...)
)

// TestTortureEnd lets many queues come to their end while processes are killed: it
// comes to every consumer, never before the last message, and never not at all.
func TestTortureEnd(t *testing.T) {
	procstest.Watchdog(t, time.Minute+time.Duration(*tortureKills/10)*time.Second)
	r := rand.New(rand.NewPCG(uint64(procstest.Seed(t)), 0))
	most := (*tortureKills + len(ordeals) - 1) / len(ordeals)
	if testing.Short() {
		most = min(most, 5)
	}
	kills, rounds, abandoned, messages := 0, 0, 0, 0
	for ; kills < most; rounds++ {
		was := *r
		e, err := tortureEnd(t, r, "")
		if kills += e.kills; err != nil {
			t.Fatalf("round %d, after %d kills: %v (%v)", rounds, kills, err, was)
		}
		messages += e.messages
		if e.abandoned {
			abandoned++
		}
	}
	t.Logf("%d queues came to their end, %d of them by a death; %d messages, %d killed", rounds, abandoned, messages, kills)
}

// TestTortureEndOracles plants bugs: some ends must be enough to notice them.
func TestTortureEndOracles(t *testing.T) {
	if testing.Short() {
		return // the oracles are the same for less
	}
	procstest.Watchdog(t, 2*time.Minute)
	r := rand.New(rand.NewPCG(uint64(procstest.Seed(t)), 0))
	for _, plant := range []string{"early end", "unclosed", "no sweep"} {
		err := error(nil)
		for rounds := 0; err == nil; rounds++ {
			if rounds == 200 {
				t.Fatalf("%s: not noticed", plant)
			}
			if _, err = tortureEnd(t, r, plant); err != nil {
				t.Logf("%s: noticed after %d rounds: %v", plant, rounds+1, err)
			}
		}
	}
}

type anEnd struct {
	kills, messages int
	abandoned       bool
}

// tortureEnd brings one queue to its end.
func tortureEnd(t *testing.T, r *rand.Rand, plant string) (e anEnd, err error) {
	q, err := mpqueue.New[[]byte]([]int{1, 3, 64, 0}[r.IntN(4)], mpqueue.WithMaxBytes(8<<20))
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	led, err := shm.New[ledger]()
	if err != nil {
		t.Fatal(err)
	}
	defer led.Close()
	mpqueue.Plant(plant)
	defer mpqueue.Plant("")
	l, ending := led.Value(), r.IntN(endings)
	start := func(role *procstest.RoleFunc[endArgs], line int, points []string, passes int) *procstest.Proc {
		var opts []procstest.Option
		if len(points) > 0 {
			opts = append(opts, procstest.KillAt(points[r.IntN(len(points))], 1+r.IntN(passes)))
		}
		return role.Start(t, endArgs{q, led, line, r.Uint64(), ending, plant}, opts...)
	}
	maybe := func(points []string) []string {
		if plant == "" && r.IntN(2) == 0 {
			return nil
		}
		return points
	}
	own, err := q.Producer() // until all have theirs
	if err != nil {
		t.Fatal(err)
	}
	var all, producers, consumers []*procstest.Proc
	for i := range 2 {
		producers = append(producers, start(endProducer, i, maybe(leavePoints), 1+r.IntN(20)))
		// The first one lives: somebody has to meet the end.
		consumers = append(consumers, start(endConsumer, 0, maybe(drainPoints[:len(drainPoints)*i]), 20))
	}
	recoverer := tortureRecoverer.Start(t, tortureArgs{Queue: q, Ledger: led, Plant: plant}, procstest.KillAt(closePoints[r.IntN(len(closePoints))], 1))
	all = append(append(append(all, producers...), consumers...), recoverer)
	defer func() {
		for _, p := range all {
			p.Kill()
		}
	}()
	for _, p := range producers {
		for begin := time.Now(); l.registered.Load() < 2 && p.Alive() && time.Since(begin) < 10*time.Second; {
			time.Sleep(100 * time.Microsecond)
		}
	}
	own.Close()
	begin, target := time.Now(), l.Lines[0].committed.Load()+uint32(r.IntN(100))
	for l.Lines[0].committed.Load() < target && time.Since(begin) < 5*time.Millisecond {
		time.Sleep(100 * time.Microsecond)
	}
	if r.IntN(2) == 0 { // at any moment
		all[[]int{0, 1, 3}[r.IntN(3)]].Kill()
	}
	switch ending {
	case byTest:
		q.CloseSend()
	case byCloser:
		c := start(endCloser, 0, []string{"mpqueue.close.closed"}, 1)
		all = append(all, c)
		c.Wait()
	}
	lived := 0
	for i, p := range append(producers, consumers...) {
		patience := 10 * time.Second
		if plant != "" {
			patience = time.Second
		}
		ctx, cancel := context.WithTimeout(background, patience)
		err := p.Join(ctx)
		over := ctx.Err() != nil && p.Alive()
		cancel()
		if over {
			return e, fmt.Errorf("%s does not meet the end: %+v", p.Name(), q.Stats())
		}
		s := p.Wait()
		if err != nil && !s.Killed() {
			return e, fmt.Errorf("%s: %v", p.Name(), s)
		}
		if i >= 2 && !s.Killed() {
			lived++
		}
	}
	l.stop.Store(1)
	recoverer.Wait()
	for _, p := range all {
		if p.Wait().Killed() {
			e.kills++
		}
	}
	e.abandoned = l.abandoned.Load() > 0
	q.Segment().Sweep()
	return e, e.audit(l, q, lived)
}

// audit holds an end against what was promised; lived is how many consumers have.
func (e *anEnd) audit(l *ledger, q *mpqueue.Queue[[]byte], lived int) error {
	lost, twice := 0, 0
	for i := range 2 {
		line := &l.Lines[i]
		for n := range line.committed.Load() {
			cell := line.cells[n].Load()
			if cell == 0 {
				lost++
			}
			if cell&0xff > 1 {
				twice++
			}
			e.messages++
		}
	}
	ended, abandoned := int(l.ended.Load()), int(l.abandoned.Load())
	errs := mpqueue.Leaks(q)
	if lost+twice+int(l.late.Load()+l.torn.Load()) != 0 {
		errs = append(errs, fmt.Errorf("%d lost, %d delivered twice unmarked, %d came after the end, %d torn", lost, twice, l.late.Load(), l.torn.Load()))
	}
	// One who is killed may have met the end before.
	if ended < lived || abandoned != 0 && abandoned != ended {
		errs = append(errs, fmt.Errorf("of %d consumers that live %d met the end, %d of them by a death", lived, ended, abandoned))
	}
	if n := q.Len(); n != 0 {
		errs = append(errs, fmt.Errorf("%d items left", n))
	}
	return errors.Join(append(errs, shm.Check(q.Segment())...)...)
}
