package futexlock_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"shmkit/futexlock"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

// crowd is ten thousand locks.
type crowd struct {
	One  futexlock.Mutex
	Many [10000]futexlock.Mutex
}

// 10,000 goroutines that wait for one lock, and for as many, do not take as
// many threads. All of them get through.
func TestTenThousandWaiters(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	o, err := shm.New[crowd](shm.WithOwnSegment())
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	c := o.Value()
	for _, kind := range []string{"one lock", "10,000 locks"} {
		lock := func(i int) *futexlock.Mutex {
			if kind == "one lock" {
				return &c.One
			}
			return &c.Many[i]
		}
		for i := range c.Many {
			if i == 0 || kind != "one lock" {
				lock(i).Lock()
			}
		}
		var wg sync.WaitGroup
		var arrived, done atomic.Int64
		for i := range c.Many {
			wg.Go(func() {
				arrived.Add(1)
				if err := lock(i).Lock(); err != nil {
					t.Error(err)
				}
				done.Add(1)
				lock(i).Unlock()
			})
		}
		for arrived.Load() < int64(len(c.Many)) {
			time.Sleep(time.Millisecond)
		}
		most := 0
		for range 300 { // over three slices
			most = max(most, len(threads(os.Getpid())))
			time.Sleep(time.Millisecond)
		}
		start := time.Now()
		if n := done.Load(); n != 0 {
			t.Errorf("%s: %d got in", kind, n)
		}
		for i := range c.Many {
			if i == 0 || kind != "one lock" {
				lock(i).Unlock()
			}
		}
		wg.Wait()
		t.Logf("%s: %d goroutines wait in %d threads; all through in %v", kind, len(c.Many), most, time.Since(start))
		if most > 200 {
			t.Errorf("%s: %d threads, want at most 200", kind, most)
		}
	}
}

func init() {
	// cycle: takes and leaves the mutex until told to stop, and keeps the
	// longest wait in Step[n], in microseconds. n 0 is the hog: it takes the
	// lock again at once.
	acts["cycle"] = func(ctx context.Context, t *table, n int) error {
		for t.Stop.Load() == 0 {
			start := time.Now()
			if err := t.Mu.Lock(); err != nil {
				return err
			}
			wait := uint32(time.Since(start).Microseconds())
			if wait > t.Step[n].Load() {
				t.Step[n].Store(wait)
			}
			t.Count[n].Add(1)
			err := t.Pair.work(false)
			for hold := time.Now(); n == 0 && time.Since(hold) < 50*time.Microsecond; {
			}
			t.Mu.Unlock()
			if err != nil {
				return err
			}
			if n > 0 {
				time.Sleep(100 * time.Microsecond)
			}
		}
		return nil
	}
	// rwcycle: the same with the RWMutex; n below 4 reads, others write.
	acts["rwcycle"] = func(ctx context.Context, t *table, n int) error {
		for t.Stop.Load() == 0 {
			start := time.Now()
			lock, unlock := t.RW.RLock, t.RW.RUnlock
			if n >= 4 {
				lock, unlock = t.RW.Lock, t.RW.Unlock
			}
			if err := lock(); err != nil {
				return err
			}
			wait := uint32(time.Since(start).Microseconds())
			if wait > t.Step[n].Load() {
				t.Step[n].Store(wait)
			}
			t.Count[n].Add(1)
			for hold := time.Now(); time.Since(hold) < 50*time.Microsecond; {
			}
			unlock()
		}
		return nil
	}
}

// fairness runs acts for a while and logs who got how often, and how long each
// had to wait at most.
func fairness(t *testing.T, name string, ns ...int) {
	procstest.Watchdog(t, time.Minute)
	o, tab := newTable(t)
	var ps []*procstest.Proc
	for _, n := range ns {
		ps = append(ps, play(t, o, name, n))
	}
	time.Sleep(time.Second)
	tab.Stop.Store(1)
	for _, p := range ps {
		if s := p.Wait(); s.Code != 0 {
			t.Error(s)
		}
	}
	for _, n := range ns {
		wait := time.Duration(tab.Step[n].Load()) * time.Microsecond
		t.Logf("%s %d: %d times, longest wait %v (bound 50ms)", name, n, tab.Count[n].Load(), wait)
		if wait > 500*time.Millisecond || tab.Count[n].Load() < 10 {
			t.Errorf("%s %d starves: %d times, longest wait %v", name, n, tab.Count[n].Load(), wait)
		}
	}
}

// One process takes the lock again as soon as it lets go; three want it now
// and then.
func TestFairnessHog(t *testing.T) { fairness(t, "cycle", 0, 1, 2, 3) }

// Readers that never rest against a writer, and writers against a reader.
func TestFairnessReaders(t *testing.T) { fairness(t, "rwcycle", 0, 1, 2, 4) }
func TestFairnessWriters(t *testing.T) { fairness(t, "rwcycle", 0, 4, 5, 6) }

// Waiters that give up at random leave nothing behind and lose nobody's wake;
// the delay between the cancel and the return is measured.
func TestContextStorm(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	o, tab := newTable(t)
	seed := procstest.Seed(t)
	var ps []*procstest.Proc
	for range 2 {
		ps = append(ps, play(t, o, "cycle", 0))
	}
	var mu sync.Mutex
	var late []time.Duration
	var wg sync.WaitGroup
	stop := time.Now().Add(time.Second)
	for g := range 8 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(seed), uint64(g)))
			for time.Now().Before(stop) {
				d := time.Duration(r.IntN(400)) * time.Microsecond
				ctx, cancel := context.WithCancel(context.Background())
				if g%2 == 0 {
					ctx, cancel = context.WithTimeout(ctx, d)
				}
				var at atomic.Int64
				timer := time.AfterFunc(d, func() { at.Store(time.Now().UnixNano()); cancel() })
				err := tab.Mu.LockContext(ctx)
				if err == nil {
					if err := tab.Pair.work(false); err != nil {
						t.Error(err)
					}
					tab.Mu.Unlock()
				} else if at := at.Load(); g%2 != 0 && at != 0 {
					mu.Lock()
					late = append(late, time.Duration(time.Now().UnixNano()-at))
					mu.Unlock()
				}
				timer.Stop()
				cancel()
			}
		})
	}
	wg.Wait()
	tab.Stop.Store(1)
	for _, p := range ps {
		if s := p.Wait(); s.Code != 0 {
			t.Error(s)
		}
	}
	slices.Sort(late)
	if len(late) > 0 {
		t.Logf("%d waiters gave up; return after cancel: p50 %v, p99 %v, max %v (bound 10ms)",
			len(late), late[len(late)/2], late[len(late)*99/100], late[len(late)-1])
		if late[len(late)*99/100] > 100*time.Millisecond {
			t.Error("a cancel takes ten times its bound")
		}
	}
	tab.Mu.Lock()
	tab.Mu.Unlock()
	if s := tab.Mu.State(); s != "unlocked" {
		t.Errorf("residue: %s", s)
	}
}

// Signals that interrupt the sleeping threads are not seen by anybody.
func TestSignalStorm(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	o, tab := newTable(t)
	tab.Sem.Init(0, 0)
	var ps []*procstest.Proc
	for _, name := range []string{"stormwant", "stormevent", "stormcond", "stormsem"} {
		ps = append(ps, play(t, o, name, 0))
	}
	tab.Mu.Lock()
	for _, p := range ps {
		procstest.WaitBlocked(t, p.PID(), 1)
	}
	stop := time.Now().Add(300 * time.Millisecond)
	sent := 0
	for time.Now().Before(stop) {
		for _, p := range ps {
			for _, tid := range threads(p.PID()) {
				syscall.Tgkill(p.PID(), tid, syscall.SIGUSR1)
				sent++
			}
		}
		time.Sleep(50 * time.Microsecond)
	}
	if n := tab.Count[0].Load(); n != 0 {
		t.Errorf("%d returned without cause", n)
	}
	tab.Mu.Unlock()
	tab.Event.Set()
	tab.Sem.Release(1)
	for _, p := range ps[:2] {
		p.Wait()
	}
	tab.Mu.Lock()
	tab.Pair.A = 1
	tab.Cond.Broadcast()
	tab.Mu.Unlock()
	for _, p := range ps {
		if s := p.Wait(); s.Code != 0 {
			t.Error(s)
		}
	}
	t.Logf("%d signals", sent)
}

func init() {
	storm := func(f func(ctx context.Context, t *table) error) act {
		return func(ctx context.Context, t *table, n int) error {
			signal.Notify(make(chan os.Signal, 1), syscall.SIGUSR1)
			err := f(ctx, t)
			t.Count[0].Add(1)
			return err
		}
	}
	acts["stormwant"] = storm(func(ctx context.Context, t *table) error {
		for t.Step[7].Load() == 0 { // not before the test holds it
			if ok, _ := t.Mu.TryLock(); !ok {
				break
			}
			t.Mu.Unlock()
		}
		if err := t.Mu.LockContext(ctx); err != nil {
			return err
		}
		t.Mu.Unlock()
		return nil
	})
	acts["stormevent"] = storm(func(ctx context.Context, t *table) error { return t.Event.Wait(ctx) })
	acts["stormsem"] = storm(func(ctx context.Context, t *table) error { return t.Sem.Acquire(ctx, 1) })
	acts["stormcond"] = storm(func(ctx context.Context, t *table) error {
		if err := t.Mu.LockContext(ctx); err != nil {
			return err
		}
		defer t.Mu.Unlock()
		return t.Cond.WaitFor(ctx, &t.Mu, func() bool { return t.Pair.A == 1 })
	})
}

// With futex_waitv denied, as before Linux 5.16 and in some sandboxes,
// everything still holds.
func TestWithoutWaitv(t *testing.T) {
	if withoutWaitv() {
		t.Skip("this is that run")
	}
	procstest.Watchdog(t, 2*time.Minute)
	more, kills := "|TenThousand|Fairness|Overwritten|SwallowedWake/barger=true/swept=true", 40
	if testing.Short() {
		more, kills = "", 10
	}
	cmd := exec.Command("/proc/self/exe", "-test.v", fmt.Sprintf("-test.short=%v", testing.Short()), fmt.Sprintf("-torture=%d", kills),
		"-test.run=^Test(Mutex|RWMutex|Semaphore|Cond|Barrier|Once|Event|WaitGroup|Recursive|Context|Zombie|Thousands|Signal|Closed|Pollers|Torture"+more+")")
	cmd.Env = append(os.Environ(), "SHMKIT_NO_WAITV=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%d tests passed", strings.Count(string(out), "--- PASS"))
}
