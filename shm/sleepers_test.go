package shm_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"shmkit/procs/procstest"
	"shmkit/shm"
)

// crowd is what many sleeping goroutines and their waker share.
type crowd struct {
	Words  [10000]atomic.Uint32
	Asleep atomic.Uint32
	Owner  atomic.Uint32 // the token that sleepers watch
	// What the sleepers counted.
	Returned, Woken, Maybe, Changed, Died, Timeout atomic.Uint32
	Threads, Peak                                  atomic.Uint32
	CPU                                            atomic.Int64 // ns in two idle seconds
}

type crowdArgs struct {
	Crowd   *shm.Object[crowd]
	N       int
	NoWaitv bool
	Owned   bool
}

// sleeping plays N goroutines that each sleep until their word changes.
var sleeping = procstest.Role("sleeping", func(ctx context.Context, a crowdArgs) error {
	shm.AllowWaitv(!a.NoWaitv)
	c, s := a.Crowd.Value(), a.Crowd.Segment()
	var wg sync.WaitGroup
	for i := range a.N {
		wg.Go(func() {
			w := &c.Words[i]
			first := true
			for w.Load() == 0 {
				if first {
					c.Asleep.Add(1)
					first = false
				}
				owner := shm.Token(0)
				if a.Owned {
					owner = shm.Token(c.Owner.Load())
				}
				switch s.Sleep(ctx, w, 0, owner) {
				case shm.Woken:
					c.Woken.Add(1)
				case shm.MaybeWoken:
					c.Maybe.Add(1)
				case shm.Changed:
					c.Changed.Add(1)
				case shm.Died:
					c.Died.Add(1)
					return
				case shm.Timeout:
					c.Timeout.Add(1)
				case shm.Cancelled, shm.Closed:
					return
				}
			}
			c.Returned.Add(1)
		})
	}
	stop := make(chan struct{})
	go func() { // the watcher, which needs a thread of its own now and then
		for {
			n := uint32(threads())
			c.Threads.Store(n)
			c.Peak.Store(max(n, c.Peak.Load()))
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	wg.Wait()
	close(stop)
	return nil
})

func threads() int { return statusField("Threads:") }

// statusField reads a number of /proc/self/status.
func statusField(key string) int {
	b, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, key); ok {
			n, _ := strconv.Atoi(strings.Fields(rest)[0])
			return n
		}
	}
	return 0
}

func newCrowd(t testing.TB) *shm.Object[crowd] {
	o, err := shm.New[crowd]()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, err := range shm.Check(o.Segment()) {
			t.Error(err)
		}
		o.Close()
	})
	return o
}

func waitFor(t testing.TB, what string, f func() bool) {
	t.Helper()
	for begin := time.Now(); !f(); time.Sleep(time.Millisecond) {
		if time.Since(begin) > 20*time.Second {
			t.Fatalf("still not: %s", what)
		}
	}
}

func settle(t testing.TB, c *crowd, n int) {
	t.Helper()
	waitFor(t, "all asleep", func() bool { return int(c.Asleep.Load()) == n })
	// Each of them may still be on its way into the kernel; a whole slice
	// later all have been there.
	before := c.Timeout.Load()
	waitFor(t, "everybody slept a slice", func() bool { return int(c.Timeout.Load()-before) >= n })
}

// 10,000 goroutines sleep on 10,000 words with few threads, each is woken by a
// change and a wake, and none sleeps on.
func TestSleepersShareThreads(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	n := 10000
	if testing.Short() {
		n = 2000
	}
	for _, owned := range []bool{false, true} {
		o := newCrowd(t)
		c := o.Value()
		c.Owner.Store(uint32(o.Segment().Self()))
		p := sleeping.Start(t, crowdArgs{Crowd: o, N: n, Owned: owned})
		settle(t, c, n)
		before := cpuOf(t, p.PID())
		time.Sleep(500 * time.Millisecond) // a measurement, not a hope
		cpu := (cpuOf(t, p.PID()) - before) * 2
		t.Logf("owned %v: %d goroutines asleep on %d words: %d threads (peak %d), CPU %.1f %% of a core, %.4f %% for each",
			owned, n, n, c.Threads.Load(), c.Peak.Load(), 100*cpu.Seconds(), 100*cpu.Seconds()/float64(n))
		if peak := c.Peak.Load(); peak > 200 {
			t.Errorf("%d threads, want at most 200", peak)
		}
		begin := time.Now()
		took := 0
		for i := range n {
			c.Words[i].Store(1)
			took += shm.Wake(&c.Words[i], 1)
		}
		rang := time.Since(begin)
		waitFor(t, "all awake", func() bool { return int(c.Returned.Load()) == n })
		t.Logf("owned %v: %d wakes in %v, all awake after %v; %d took one out of a queue; woken %d, maybe %d, changed %d",
			owned, n, rang, time.Since(begin), took, c.Woken.Load(), c.Maybe.Load(), c.Changed.Load())
		if w := int(c.Woken.Load()); w > took || w+int(c.Maybe.Load()) < took {
			t.Errorf("%d wakes took a sleeper out; %d report it, %d may have been", took, w, c.Maybe.Load())
		}
		if s := p.Wait(); s.Err != nil {
			t.Error(s)
		}
	}
}

func cpuOf(t testing.TB, pid int) time.Duration {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	u, _ := strconv.Atoi(f[11])
	s, _ := strconv.Atoi(f[12])
	return time.Duration(u+s) * 10 * time.Millisecond
}

// The same words are woken again and again while their sleepers go round: a
// wake between two waits of a dispatcher must not be lost.
func TestSleepersLoseNoWake(t *testing.T) {
	procstest.Watchdog(t, 2*time.Minute)
	rounds := 60
	if shm.RaceEnabled {
		rounds = 10
	}
	if late := wakeAround(t, rounds); late > crowdOf*rounds/10 {
		t.Errorf("%d of %d wakes were seen at the end of the slice only", late, crowdOf*rounds)
	}
	// The oracle: dispatchers that do not look at the words themselves.
	defer shm.TrustKernel()()
	if late := wakeAround(t, 2); late < crowdOf/10 {
		t.Errorf("dispatchers that miss wakes between two waits are not noticed: %d late", late)
	}
}

const crowdOf = 300 // goroutines

// wakeAround wakes every goroutine of a crowd that often and returns how many
// wakes were noticed long after they were sent, at the end of the slice.
func wakeAround(t *testing.T, rounds int) int {
	const n = crowdOf
	o := newCrowd(t)
	c, s := o.Value(), o.Segment()
	late := make([]int, n)
	var rang [n]atomic.Int64
	var wg sync.WaitGroup
	var worst atomic.Int64
	for i := range n {
		wg.Go(func() {
			w := &c.Words[i]
			for r := uint32(0); r < uint32(rounds); r++ {
				w.Store(2*r + 1) // at home, asleep on 2r+1
				c.Asleep.Add(1)
				begin := time.Now()
				for w.Load() == 2*r+1 {
					if s.Sleep(noContext, w, 2*r+1, 0) == shm.Timeout && w.Load() != 2*r+1 && time.Now().UnixNano()-rang[i].Load() > int64(shm.Backstop/2) {
						late[i]++
					}
				}
				worst.Store(max(worst.Load(), int64(time.Since(begin))))
			}
			w.Store(1 << 31)
		})
	}
	var lost atomic.Int64
	for k := range 2 {
		wg.Go(func() {
			for left := n / 2; left > 0; {
				left = 0
				for i := k * n / 2; i < (k+1)*n/2; i++ {
					w := &c.Words[i]
					v := w.Load()
					if v == 1<<31 {
						continue
					}
					left++
					if v&1 == 1 {
						rang[i].Store(time.Now().UnixNano())
						w.Store(v + 1)
						lost.Add(int64(1 - shm.Wake(w, 1)))
					}
				}
			}
		})
	}
	wg.Wait()
	t.Logf("%d rounds of %d words; %d wakes found nobody in the queue; longest round %v", rounds, n, lost.Load(), time.Duration(worst.Load()))
	total := 0
	for _, l := range late {
		total += l
	}
	return total
}

// Everybody who watches an owner hears of its death, though the kernel rings
// its bell for one only.
func TestSleepersHearDeath(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	for _, noWaitv := range []bool{false, true} {
		o := newCrowd(t)
		c := o.Value()
		owner := idle.Start(t, idleArgs{Object: o, Crowd: true})
		waitFor(t, "the owner is there", func() bool { return c.Owner.Load() != 0 })
		const n = 500
		p := sleeping.Start(t, crowdArgs{Crowd: o, N: n, Owned: true, NoWaitv: noWaitv})
		settle(t, c, n)
		begin := time.Now()
		owner.Kill()
		waitFor(t, "everybody heard it", func() bool { return int(c.Died.Load()) == n })
		t.Logf("futex_waitv %v: %d sleepers heard of a death within %v", !noWaitv, n, time.Since(begin))
		if s := p.Wait(); s.Err != nil {
			t.Error(s)
		}
	}
}

type idleArgs struct {
	Object *shm.Object[crowd]
	Crowd  bool
}

// idle plays a participant that does nothing.
var idle = procstest.Role("idle", func(ctx context.Context, a idleArgs) error {
	a.Object.Value().Owner.Store(uint32(a.Object.Segment().Self()))
	<-ctx.Done()
	return nil
})

// Sleepers of a dispatcher are cancelled at once, time out on their deadline and
// end with their segment.
func TestSleepersCancel(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	defer shm.AllowWaitv(true)
	for _, noWaitv := range []bool{false, true} {
		shm.AllowWaitv(!noWaitv)
		o, err := shm.New[crowd]()
		if err != nil {
			t.Fatal(err)
		}
		c, s := o.Value(), o.Segment()
		const n = 400
		ctx, cancel := context.WithCancel(t.Context())
		var delays []time.Duration
		var mu sync.Mutex
		var wg sync.WaitGroup
		var at atomic.Int64
		for i := range n {
			wg.Go(func() {
				for s.Sleep(ctx, &c.Words[i], 0, 0) != shm.Cancelled {
				}
				d := time.Since(time.Unix(0, at.Load()))
				mu.Lock()
				delays = append(delays, d)
				mu.Unlock()
			})
		}
		waitFor(t, "all inside", func() bool { return shm.Asleep() == n })
		at.Store(time.Now().UnixNano())
		cancel()
		wg.Wait()
		slices.Sort(delays)
		t.Logf("futex_waitv %v: %d cancelled, p50 %v, p99 %v", !noWaitv, n, delays[n/2], delays[n*99/100])
		if d := delays[n*99/100]; d > 100*time.Millisecond {
			t.Errorf("p99 of a cancel is %v", d)
		}
		var closed atomic.Int32
		for i := range n {
			wg.Go(func() {
				for s.Sleep(noContext, &c.Words[i], 0, 0) != shm.Closed {
				}
				closed.Add(1)
			})
		}
		waitFor(t, "all inside", func() bool { return shm.Asleep() == n })
		begin := time.Now()
		o.Close()
		wg.Wait()
		t.Logf("futex_waitv %v: Close let %d go in %v", !noWaitv, closed.Load(), time.Since(begin))
	}
}
