package mpqueue_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"time"

	"shmkit/mpqueue"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

var tortureKills = flag.Int("torture", 300, "how many processes the torture test kills")

// ordeal is one way to torture a queue.
type ordeal struct {
	producers, consumers, capacity int
	sizes                          int
	gets                           bool          // not Receive
	writes                         bool          // producers reserve places, too
	coded                          bool          // messages go through a codec
	once                           bool          // the queue delivers at most once
	deaths                         int           // that a message survives; then it is a dead letter
	gentle                         bool          // consumers die of messages only
	plant                          string        // a bug
	points                         []string      // to be killed at; nil: all there are, and any moment
	patience                       time.Duration // for what should come at once
}

func (o ordeal) String() string {
	s := fmt.Sprintf("%dx%d/capacity=%d/%s", o.producers, o.consumers, o.capacity, []string{"small", "mixed", "large"}[o.sizes])
	for _, f := range []struct {
		on   bool
		what string
	}{{o.gets, "Get"}, {o.writes, "Write"}, {o.coded, "encoded"}, {o.once, "at most once"}, {o.deaths > 0, fmt.Sprintf("%d deaths", o.deaths)}, {o.gentle, "gentle"}} {
		if f.on {
			s += "/" + f.what
		}
	}
	return s
}

var ordeals = []ordeal{
	{producers: 1, consumers: 1, capacity: 1, sizes: small},
	{producers: 1, consumers: 1, capacity: 1024, sizes: large},
	{producers: 2, consumers: 2, capacity: 2, sizes: mixed},
	{producers: 2, consumers: 2, capacity: 1024, sizes: small},
	{producers: 2, consumers: 2, capacity: 3, sizes: mixed, gets: true},
	{producers: 3, consumers: 2, capacity: 100, sizes: small, gets: true},
	{producers: 3, consumers: 1, capacity: 2, sizes: large},
	{producers: 1, consumers: 3, capacity: 1024, sizes: mixed},
	{producers: 4, consumers: 4, capacity: 1, sizes: mixed},
	{producers: 4, consumers: 4, capacity: 3, sizes: large},
	{producers: 2, consumers: 2, capacity: 3, sizes: mixed, writes: true},
	{producers: 3, consumers: 2, capacity: 64, sizes: mixed, writes: true, gets: true},
	{producers: 2, consumers: 2, capacity: 0, sizes: mixed},
	{producers: 2, consumers: 2, capacity: 0, sizes: mixed, writes: true, gets: true},
	{producers: 2, consumers: 2, capacity: 16, sizes: mixed, deaths: 2, gentle: true},
	{producers: 2, consumers: 3, capacity: 100, sizes: mixed, deaths: 3},
	{producers: 2, consumers: 2, capacity: 8, sizes: mixed, once: true},
	{producers: 2, consumers: 2, capacity: 32, sizes: mixed, coded: true},
}

// TestTorture kills producers, consumers and recoverers at random moments, and
// at random named points, stops others meanwhile, puts others in their place, then
// lets them finish, and looks every single message up.
func TestTorture(t *testing.T) {
	kills := *tortureKills
	if testing.Short() {
		kills = min(kills, 30)
	}
	tortureAll(t, kills)
}

// killsEach is after how many kills a run ends: a line has room for so many
// messages only.
const killsEach = 50

func tortureAll(t *testing.T, kills int) {
	r := rand.New(rand.NewPCG(uint64(procstest.Seed(t)), 0))
	var all tally
	per := (kills + len(ordeals) - 1) / len(ordeals)
	for _, o := range ordeals {
		o.patience = 20 * time.Second
		t.Run(o.String(), func(t *testing.T) {
			procstest.Watchdog(t, time.Minute+time.Duration(per)*time.Second)
			var sum tally
			for left := per; left > 0; left -= killsEach {
				runs := *r // the run that fails can be repeated on its own
				got, err := torture(t, r, o, min(left, killsEach))
				sum.add(got)
				if err != nil {
					t.Fatalf("after %v: %v (%v)", sum, err, runs)
				}
			}
			t.Log(sum)
			all.add(sum)
		})
	}
	t.Logf("in all %v", all)
	t.Logf("a killed process is reaped and everything of its recovered after p50 %v, p99 %v, at most %v",
		all.quantile(0.5), all.quantile(0.99), all.quantile(1))
	if kills >= 300 && all.recoverers == 0 && !t.Failed() {
		t.Error("no recoverer died in the middle of its work")
	}
}

// worker is a role in the run: a process, and after its death another.
type worker struct {
	*procstest.Proc
	role *procstest.RoleFunc[tortureArgs]
	args tortureArgs
}

// tortured is a queue of any T.
type tortured interface {
	CloseSend() error
	Len() int
	Stats() mpqueue.Stats
	Segment() *shm.Segment
	Close() error
}

// chamber is one run.
type chamber struct {
	ordeal
	t     *testing.T
	r     *rand.Rand
	q     tortured
	args  tortureArgs
	leaks func() []error // of q
	led   *shm.Object[ledger]
	dead  *letters
	past  tally
	// Deaths of consumers, each of which may repeat one delivery.
	consumersDead int
	calm          bool // nobody is killed any more
}

var sweepPoints = []string{"mpqueue.sweep.leases", "mpqueue.sweep.slots", "mpqueue.sweep.chunk", "mpqueue.sweep.emptied", "shm.sweep.elected", "shm.sweep.released"}

func (c *chamber) start(w *worker) {
	w.args.Seed = c.r.Uint64()
	points, passes, always := mpqueue.FaultPoints, 30, false
	switch {
	case w.role == tortureRecoverer:
		points, passes, always = sweepPoints, 3, true
	case c.points != nil:
		points, always = c.points, true
	}
	var opts []procstest.Option
	never := c.calm || c.gentle && w.role == tortureConsumer
	if !never && (always || c.r.IntN(2) == 0) {
		opts = append(opts, procstest.KillAt(points[c.r.IntN(len(points))], 1+c.r.IntN(passes)))
	}
	w.Proc = w.role.Start(c.t, w.args, opts...)
}

// ended notes the end of w.
func (c *chamber) ended(w *worker) error {
	switch s := w.Wait(); {
	case s.Killed():
	case s.Err == nil && w.role == tortureProducer: // its line is full
		return nil
	default:
		return fmt.Errorf("%s: %v", w.Name(), s)
	}
	c.past.kills++
	switch w.role {
	case tortureConsumer:
		c.consumersDead++
	case tortureRecoverer:
		c.past.recoverers++
	}
	return nil
}

func torture(t *testing.T, r *rand.Rand, o ordeal, kills int) (tally, error) {
	c := &chamber{ordeal: o, t: t, r: r}
	var err error
	options := []mpqueue.Option{mpqueue.WithMaxBytes(8 << 20)}
	if o.once {
		options = append(options, mpqueue.WithDelivery(mpqueue.AtMostOnce))
	}
	if o.deaths > 0 {
		c.dead = newLetters(t)
		defer c.dead.close()
		options = append(options, mpqueue.WithMaxDeliveries(o.deaths), mpqueue.WithDeadLetter(c.dead.q))
	}
	if o.coded {
		c.args.Coded = underTorture[parcel](c, options)
	} else {
		c.args.Queue = underTorture[[]byte](c, options)
	}
	if o.plant != "" {
		defer c.q.Close()
	}
	if c.led, err = shm.New[ledger](); err != nil {
		t.Fatal(err)
	}
	defer c.led.Close()
	mpqueue.Plant(o.plant) // this process recovers what its children leave
	defer mpqueue.Plant("")
	err = c.run(kills)
	return c.past, err
}

// underTorture makes the queue. With a planted bug nothing looks at it afterwards.
func underTorture[T any](c *chamber, options []mpqueue.Option) *mpqueue.Queue[T] {
	var q *mpqueue.Queue[T]
	if c.plant == "" {
		q = newQueue[T](c.t, c.capacity, options...)
	} else {
		var err error
		if q, err = mpqueue.New[T](c.capacity, options...); err != nil {
			c.t.Fatal(err)
		}
	}
	c.q, c.leaks = q, func() []error { return mpqueue.Leaks(q) }
	return q
}

func (c *chamber) run(kills int) error {
	led := c.led.Value()
	var all []*worker
	for i := range c.producers + c.consumers + 1 {
		w := &worker{role: tortureProducer, args: c.args}
		w.args.Ledger, w.args.Line, w.args.Sizes, w.args.Plant = c.led, i, c.sizes, c.plant
		w.args.Gets, w.args.Once, w.args.Writes, w.args.Poison = c.gets, c.once, c.writes, c.deaths > 0
		switch {
		case i == c.producers+c.consumers:
			w.role = tortureRecoverer
		case i >= c.producers:
			w.role = tortureConsumer
		}
		c.start(w)
		all = append(all, w)
	}
	defer func() {
		for _, w := range all {
			w.Kill()
		}
	}()
	producers, consumers, recoverer := all[:c.producers], all[c.producers:len(all)-1], all[len(all)-1]
	for c.past.kills < kills {
		if err := c.strike(all); err != nil {
			return err
		}
	}
	// No more kills from here on: who dies at a fault point is replaced, the
	// producers finish, then the consumers.
	c.calm = true
	led.stop.Store(1)
	if err := c.finish(append(slices.Clone(producers), recoverer), consumers); err != nil {
		return err
	}
	if err := c.q.CloseSend(); err != nil {
		return err
	}
	if err := c.finish(consumers, nil); err != nil {
		return err
	}
	c.q.Segment().Sweep()
	errs := append([]error{c.dead.audit(c), c.audit()}, c.leaks()...)
	if n := c.q.Len(); n != 0 {
		errs = append(errs, fmt.Errorf("%d items left", n))
	}
	return errors.Join(append(errs, shm.Check(c.q.Segment())...)...)
}

// strike kills one, two or three of all at once, and replaces them and whoever has
// died at a named point; the last of all is the recoverer, who only dies so.
func (c *chamber) strike(all []*worker) error {
	led := c.led.Value()
	// When, not whether: any moment will do, but one with traffic.
	begin, target, patience := time.Now(), led.received.Load()+uint32(c.r.IntN(300)), 20*time.Millisecond
	if c.plant != "" {
		patience = 100 * time.Millisecond // without traffic there is nothing to notice
	}
	for led.received.Load() < target && time.Since(begin) < patience {
		time.Sleep(100 * time.Microsecond)
	}
	targets := len(all) - 1
	if c.gentle {
		targets = c.producers
	}
	led.mayPoison.Add(2)
	order := c.r.Perm(targets)
	victims := order[:min(1+c.r.IntN(6)/3+c.r.IntN(6)/4, len(order))]
	// Somebody else only stands still meanwhile, whatever he holds.
	var stopped *worker
	if i := c.r.IntN(len(all)); !slices.Contains(victims, i) && c.r.IntN(4) == 0 {
		stopped = all[i]
		stopped.Signal(syscall.SIGSTOP)
		c.past.stops++
		time.Sleep(time.Duration(c.r.IntN(2000)) * time.Microsecond)
	}
	begin = time.Now()
	alone := len(victims) == 1 && stopped == nil && all[victims[0]].Alive()
	for _, i := range victims {
		all[i].Signal(syscall.SIGKILL)
	}
	for _, i := range victims {
		all[i].Kill()
	}
	if alone { // who stands still in a sweep holds it up
		c.past.recovery = append(c.past.recovery, time.Since(begin))
	}
	for i, w := range all {
		if i < len(all)-1 && !slices.Contains(victims, i) && c.deaths == 0 || w.Alive() {
			continue
		}
		if err := c.ended(w); err != nil {
			return err
		}
		c.start(w)
	}
	if stopped != nil {
		time.Sleep(time.Duration(c.r.IntN(2000)) * time.Microsecond)
		stopped.Signal(syscall.SIGCONT)
	}
	return nil
}

// finish waits for the end of some processes. Those that die at a fault point
// have successors, and so have the others, whom they may be waiting for.
func (c *chamber) finish(part, others []*worker) error {
	begin := time.Now()
	for _, w := range part {
		for {
			ctx, cancel := context.WithTimeout(background, 20*time.Millisecond)
			err := w.Join(ctx)
			waits := ctx.Err() != nil && w.Alive()
			cancel()
			if err == nil {
				break
			}
			if (waits || c.plant != "") && time.Since(begin) > c.patience {
				return fmt.Errorf("%s hangs: %d messages delivered, %+v", w.Name(), c.led.Value().received.Load(), c.q.Stats())
			}
			for _, o := range append([]*worker{w}, others...) {
				if o.Alive() || o.Wait().Err == nil {
					continue
				}
				if err := c.ended(o); err != nil {
					return err
				}
				c.start(o)
			}
		}
	}
	return nil
}
