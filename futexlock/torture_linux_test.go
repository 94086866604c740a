package futexlock_test

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"shmkit/futexlock"
	"shmkit/procs/procstest"
	"shmkit/shm"
	"shmkit/shm/fault"
)

var tortureFlag = flag.Int("torture", 300, "how many processes TestTorture kills")

const (
	victims   = 6
	ringers   = 3 // parties of the barrier
	permits   = 2
	crowdMax  = 5
	onceCount = 64
)

// rack is what the tortured processes share.
type rack struct {
	Mu    [2]guarded[futexlock.Mutex]
	Rec   guarded[futexlock.RecursiveMutex]
	RW    guarded[futexlock.RWMutex]
	Sem   futexlock.Semaphore
	In    [permits]atomic.Int64 // who has a permit of Sem
	Posts futexlock.Semaphore   // signals, counted
	Crowd futexlock.Semaphore   // permits taken several at once
	Cond  futexlock.Cond
	Item  int64 // protected by Mu[0]
	Event futexlock.Event
	Bar   futexlock.Barrier
	Once  [onceCount]futexlock.Once
	Ran   [onceCount]atomic.Int64
	Group futexlock.WaitGroup

	Life   [victims]atomic.Int64 // rises with everything that a process finishes
	Lives  [victims]atomic.Int64 // who is attached, see identity; 0 while it closes
	Closed atomic.Int64          // how often a victim has closed the rack
	Stop   atomic.Uint32
	Told   atomic.Int64 // deaths of holders that were told
	Dead   atomic.Int64 // holders that died inside, by what they left behind
}

// guarded is a lock with what it protects: a pair, and who is inside.
type guarded[L any] struct {
	L      L
	Inside atomic.Int64 // written by the holder, on the way in and out
	Pair   pair
}

// section is what a holder does. It reports whether the lock had to say that a
// holder died: somebody is still noted inside.
func (g *guarded[L]) section(r *rack, told bool, rest func()) error {
	me := identity()
	was := g.Inside.Swap(me)
	if was != 0 {
		r.Dead.Add(1)
		if !told {
			return fmt.Errorf("process %d is inside, and nobody was told that it died", was)
		}
	}
	if told {
		r.Told.Add(1)
	}
	if err := g.Pair.work(told); err != nil {
		return err
	}
	rest()
	if now := g.Inside.Swap(0); now != me {
		return fmt.Errorf("process %d came in while we were inside", now)
	}
	return nil
}

// held says whether a lock function that returned err holds the lock.
func held(err error) (held, told bool) {
	told = errors.Is(err, futexlock.ErrOwnerDied)
	return err == nil || told, told
}

// The oracles of the torture see what they are there for.
func TestTortureOracles(t *testing.T) {
	o, err := shm.New[rack](shm.WithOwnSegment())
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	r := o.Value()
	nothing := func() {}
	for name, f := range map[string]func(g *guarded[futexlock.Mutex]) error{
		"a death that was not told": func(g *guarded[futexlock.Mutex]) error {
			g.Inside.Store(1)
			return g.section(r, false, nothing)
		},
		"half-written data": func(g *guarded[futexlock.Mutex]) error {
			g.Pair.A++
			return g.section(r, false, nothing)
		},
		"two inside": func(g *guarded[futexlock.Mutex]) error {
			return g.section(r, false, func() { g.section(r, true, nothing) })
		},
		"a permit too many": func(*guarded[futexlock.Mutex]) error {
			return usePermit(r, func() {
				if err := usePermit(r, func() { err = usePermit(r, nothing) }); err != nil {
					panic(err)
				}
			})
		},
	} {
		got := f(new(guarded[futexlock.Mutex]))
		if name == "a permit too many" {
			got = err
		}
		if got == nil {
			t.Errorf("%s: not seen", name)
		} else {
			t.Logf("%s: %v", name, got)
		}
	}
}

// TestTorture kills processes at random times and at random named points, in
// the middle of everything that this package does, and puts others in their
// place. Nobody may hang, nobody may get in beside a holder, every death of a
// holder must be told, every owned permit must come back.
func TestTorture(t *testing.T) {
	if testing.Short() {
		*tortureFlag = min(*tortureFlag, 60)
	}
	procstest.Watchdog(t, 30*time.Second+time.Duration(*tortureFlag)*200*time.Millisecond)
	seed := procstest.Seed(t)
	rnd := rand.New(rand.NewPCG(uint64(seed), 1))
	name := fmt.Sprintf("rack-%d-%d", pid(), seed)
	o, err := shm.Create[rack](name)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	defer shm.Remove(name)
	r := o.Value()
	r.Sem.Init(permits, permits)
	r.Crowd.Init(crowdMax, crowdMax)
	r.Bar.Init(ringers)
	var points []string
	for _, name := range fault.Names() {
		if strings.HasPrefix(name, "futexlock.") || strings.HasPrefix(name, "shm.detach.") {
			points = append(points, name)
		}
	}
	start := func(i int) *procstest.Proc {
		var opts []procstest.Option
		if rnd.IntN(2) == 0 {
			opts = append(opts, procstest.KillAt(points[rnd.IntN(len(points))], 1+rnd.IntN(20)))
		}
		return victim.Start(t, agony{Name: name, I: i, Seed: seed, Closes: i%2 == 1}, opts...)
	}
	var ps [victims]*procstest.Proc
	var seen [victims]int64
	var moved [victims]time.Time
	for i := range ps {
		ps[i], moved[i] = start(i), time.Now()
	}
	began := time.Now()
	killed, atPoints, longest := 0, 0, time.Duration(0)
	for killed < *tortureFlag && !t.Failed() {
		time.Sleep(time.Duration(rnd.IntN(4000)) * time.Microsecond)
		i := rnd.IntN(victims)
		if ps[i].Alive() {
			switch rnd.IntN(9) {
			case 0: // it only stands still, whatever it holds
				ps[i].Signal(syscall.SIGSTOP)
				time.Sleep(time.Duration(rnd.IntN(5000)) * time.Microsecond)
				ps[i].Signal(syscall.SIGCONT)
				i = -1
			case 1, 2, 3, 4, 5: // leave it its life a little longer
				i = -1
			}
		} else {
			atPoints++
		}
		if i >= 0 {
			ps[i].Kill()
			if s := ps[i].Wait(); !s.Killed() {
				t.Errorf("a victim ended by itself: %v", s)
			}
			killed++
			ps[i] = start(i)
			moved[i] = time.Now()
		}
		for i := range seen {
			if n := r.Life[i].Load(); n != seen[i] {
				longest = max(longest, time.Since(moved[i]))
				seen[i], moved[i] = n, time.Now()
			} else if d := time.Since(moved[i]); d > 10*time.Second {
				t.Fatalf("victim %d hangs: %s", i, rackState(r))
			}
		}
	}
	r.Stop.Store(1)
	for i, p := range ps {
		if s := p.Wait(); s.Code != 0 && !s.Killed() {
			t.Errorf("victim %d: %v", i, s)
		}
	}
	shm.SweepDead(0)
	t.Logf("%d killed (%d of them at named points) in %v; %d operations; %d closed under their goroutines; %d holders died inside, %d told; longest standstill %v",
		killed, atPoints, time.Since(began).Round(time.Millisecond), total(r), r.Closed.Load(), r.Dead.Load(), r.Told.Load(), longest)
	if r.Closed.Load() == 0 {
		t.Error("no victim closed the rack")
	}
	residue(t, o, r)
}

func total(r *rack) (n int64) {
	for i := range r.Life {
		n += r.Life[i].Load()
	}
	return n
}

func rackState(r *rack) string {
	return fmt.Sprintf("mutexes %s; %s; recursive %s; rw %s; sem %s; posts %s; cond %s; event %s; barrier %s; group %s",
		r.Mu[0].L.State(), r.Mu[1].L.State(), r.Rec.L.State(), r.RW.L.State(), r.Sem.State(), r.Posts.State(),
		r.Cond.State(), r.Event.State(), r.Bar.State(), r.Group.State())
}

// residue takes every lock once more and looks at what is left.
func residue(t *testing.T, o *shm.Object[rack], r *rack) {
	t.Helper()
	ctx := seconds(t, 10)
	for i := range r.Mu {
		m := &r.Mu[i]
		if err := insideMutex(r, m, m.L.LockContext(ctx), func() {}); err != nil {
			t.Error(err)
		}
		if s := m.L.State(); s != "unlocked" {
			t.Errorf("mutex: %s", s)
		}
	}
	err := r.RW.L.LockContext(ctx)
	if ok, told := held(err); !ok {
		t.Error(err)
	} else {
		if err := r.RW.section(r, told, func() {}); err != nil {
			t.Error(err)
		}
		r.RW.L.Consistent()
		r.RW.L.Unlock()
		if s := r.RW.L.State(); s != "unlocked" {
			t.Errorf("rwmutex: %s", s)
		}
	}
	h := futexlock.NewHolder()
	if ok, _ := held(r.Rec.L.LockContext(ctx, h)); !ok {
		t.Errorf("recursive: %s", r.Rec.L.State())
	} else {
		r.Rec.L.Unlock(h)
	}
	if v := r.Sem.Value(); v != permits {
		t.Errorf("%d of %d owned permits are back", v, permits)
	}
	for i := range r.Once {
		if err := r.Once[i].DoContext(ctx, func() error { r.Ran[i].Add(1); return nil }); err != nil || r.Ran[i].Load() == 0 {
			t.Errorf("once %d: %v, ran %d times", i, err, r.Ran[i].Load())
		}
	}
	r.Group.Reset()
	if open, lost := r.Group.Tasks(); open+lost != 0 {
		t.Errorf("tasks: %d open, %d lost", open, lost)
	}
	for _, err := range shm.Check(o.Segment()) {
		t.Error(err)
	}
}
