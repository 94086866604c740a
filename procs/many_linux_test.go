package procs_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"shmkit/procs"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

var addOne = procs.Register("add one", func(_ context.Context, o *shm.Object[counter]) error {
	o.Value().N.Add(1)
	return nil
})

// census counts what a process has.
type census struct{ descriptors, threads, goroutines, shared int }

func takeCensus(t testing.TB) census {
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(os.Getenv("SHMKIT_DIR") + "/*")
	if err != nil {
		t.Fatal(err)
	}
	return census{len(fds), len(tasks), runtime.NumGoroutine(), len(names)}
}

// 2,000 starts and ends, 200 at a time: every end is seen once, and nothing
// grows.
func TestMany(t *testing.T) {
	procstest.Watchdog(t, 3*time.Minute)
	total, together := 2000, 200
	if testing.Short() {
		total = 400
	}
	o := newCounter(t)
	run := func(n int) (ends int64) {
		var seen atomic.Int64
		var wait sync.WaitGroup
		gate := make(chan struct{}, together)
		for range n {
			gate <- struct{}{}
			p := addOne.Process(o)
			if err := p.Start(); err != nil {
				t.Fatal(err)
			}
			wait.Go(func() {
				<-p.Done() // parked, no polling
				seen.Add(1)
				if err := p.Join(t.Context()); err != nil || p.Alive() {
					t.Errorf("%v: %v", p, err)
				}
				if n%2 == 0 {
					p.Close()
				}
				<-gate
			})
		}
		wait.Wait()
		return seen.Load()
	}
	run(together) // threads and tables reach their size
	before := takeCensus(t)
	begin := time.Now()
	if ends := run(total); ends != int64(total) {
		t.Errorf("%d ends of %d were seen", ends, total)
	}
	took := time.Since(begin)
	if n := o.Value().N.Load(); n != int64(total+together) {
		t.Errorf("%d functions ran, want %d", n, total+together)
	}
	var after census
	await(t, "the end of everything that was started", func() bool {
		after = takeCensus(t)
		return after.descriptors <= before.descriptors && after.goroutines <= before.goroutines && after.shared <= before.shared && len(procs.Children()) == 0
	})
	t.Logf("%d starts and ends, %d at a time: %v, %.0f/s; before %+v, after %+v", total, together, took, float64(total)/took.Seconds(), before, after)
	// The scheduler makes a thread when one is stuck in the kernel. 2,000
	// waits of a thread each would show.
	if after.threads > before.threads+20 {
		t.Errorf("%d threads, before %d", after.threads, before.threads)
	}
}

// 200 that live at once need no thread each.
func TestWaitingCostsNoThreads(t *testing.T) {
	const n = 200
	alone := idleShare(t)
	before := takeCensus(t)
	for range n {
		start(t, sleeper.Process(time.Hour))
	}
	during := takeCensus(t)
	t.Logf("%d children: threads %d, before %d; descriptors %d, before %d", n, during.threads, before.threads, during.descriptors, before.descriptors)
	if during.threads > before.threads+20 {
		t.Errorf("%d children need %d threads more", n, during.threads-before.threads)
	}
	if len(procs.Children()) != n {
		t.Errorf("%d children", len(procs.Children()))
	}

	// Nor do they need any time: nobody looks whether they have ended.
	const bound = 0.001
	share := idleShare(t)
	t.Logf("waiting for %d children takes %.3f %% of a core, for none %.3f %% (bound %.1f %%)", n, 100*share, 100*alone, 100*bound)
	if share > 10*bound {
		t.Errorf("waiting takes %.3f %% of a core", 100*share)
	}
}

// idleShare returns how much of a core this process uses while the test does
// nothing: the median of several windows, as the runtime may be at some work of
// its own in one of them, giving back memory for instance.
func idleShare(t testing.TB) float64 {
	const window = 200 * time.Millisecond
	var shares []float64
	for range 5 {
		used, begin := cpuTime(t), time.Now()
		time.Sleep(window)
		shares = append(shares, float64(cpuTime(t)-used)/float64(time.Since(begin)))
	}
	slices.Sort(shares)
	return shares[len(shares)/2]
}

// cpuTime returns what this process has used of all cores.
func cpuTime(t testing.TB) time.Duration {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// Python starts a hundred and terminates them at once.
func TestManyTerminated(t *testing.T) {
	const n = 100
	var all []*procs.Process
	for range n {
		all = append(all, start(t, sleeper.Process(100*time.Second)))
	}
	for _, p := range all {
		p.Terminate()
	}
	for _, p := range all {
		<-p.Done()
		wantCode(t, p, -15)
	}
}

// Children that live at the same time have the same descriptors open: none
// inherits what was meant for another.
func TestDescriptorsOfChildren(t *testing.T) {
	o := newCounter(t)
	f, err := os.Open("/dev/null") // opened by this process for itself
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var counts []int
	var all []*procs.ResultProcess[int]
	for range 5 {
		p := countDescriptors.Process(o)
		start(t, p.Process)
		all = append(all, p)
	}
	for _, p := range all {
		n, err := p.Result(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		counts = append(counts, n)
	}
	for _, n := range counts {
		if n != counts[0] {
			t.Errorf("open descriptors of the children: %v", counts)
		}
	}
	t.Logf("open descriptors of the children: %v", counts)
}

var countDescriptors = procs.RegisterFunc("count descriptors", func(_ context.Context, o *shm.Object[counter]) (int, error) {
	// All are there before anyone counts.
	o.Value().N.Add(1)
	for o.Value().N.Load() < 5 {
		time.Sleep(time.Millisecond)
	}
	open := 0
	for fd := range 256 {
		// The runtime makes its poller when it first needs it.
		if to, err := os.Readlink("/proc/self/fd/" + itoa(fd)); err == nil && !strings.HasPrefix(to, "anon_inode:[event") {
			open++
		}
	}
	return open, nil
})

// A process that runs out of descriptors in the middle of a Start says so and
// keeps none.
func TestStartWithoutDescriptors(t *testing.T) {
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	defer unix.Setrlimit(unix.RLIMIT_NOFILE, &old)
	o := newCounter(t)
	start(t, addOne.Process(o)).Join(t.Context()) // the lifeline is there
	before := takeCensus(t)
	refused := 0
	for spare := range 16 {
		limit := old
		limit.Cur = uint64(highestDescriptor(t) + 1 + spare)
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		p := addOne.Process(o, procs.Stdout(&out), procs.Stdin(&out))
		err := p.Start()
		if err == nil {
			<-p.Done() // the child, under the same limit, may have failed
		} else {
			refused++
			wantError(t, "Start", err, unix.EMFILE)
		}
		unix.Setrlimit(unix.RLIMIT_NOFILE, &old)
	}
	if refused == 0 {
		t.Error("every Start succeeded: this test sees nothing")
	}
	await(t, "the end of everything that was started", func() bool {
		after := takeCensus(t)
		return after.descriptors <= before.descriptors && after.goroutines <= before.goroutines && len(procs.Children()) == 0
	})
	t.Logf("%d starts of 16 were refused", refused)
}

func highestDescriptor(t *testing.T) (highest int) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if n, err := strconv.Atoi(e.Name()); err == nil && n < 200 {
			highest = max(highest, n)
		}
	}
	return highest
}
