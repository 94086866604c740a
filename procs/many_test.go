package procs_test

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"shmkit/procs"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

var addOne = procs.Register("add one", func(_ context.Context, o *shm.Object[counter]) error {
	o.Value().N.Add(1)
	return nil
})

// census counts what a process has.
type census struct{ descriptors, threads, shared int }

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
	return census{len(fds), len(tasks), len(names)}
}

// 2,000 starts and ends, 200 at a time: every end is seen once, and nothing
// grows.
func TestMany(t *testing.T) {
	procstest.Watchdog(t, 3*time.Minute)
	const total, together = 2000, 200
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
	if ends := run(total); ends != total {
		t.Errorf("%d ends of %d were seen", ends, total)
	}
	took := time.Since(begin)
	if n := o.Value().N.Load(); n != total+together {
		t.Errorf("%d functions ran, want %d", n, total+together)
	}
	var after census
	await(t, "the end of everything that was started", func() bool {
		after = takeCensus(t)
		return after.descriptors <= before.descriptors && after.shared <= before.shared && len(procs.Children()) == 0
	})
	t.Logf("%d starts and ends, %d at a time: %v, %.0f/s; before %+v, after %+v", total, together, took, total/took.Seconds(), before, after)
	// The scheduler makes a thread when one is stuck in the kernel. 2,000
	// waits of a thread each would show.
	if after.threads > before.threads+20 {
		t.Errorf("%d threads, before %d", after.threads, before.threads)
	}
}

// 200 that live at once need no thread each.
func TestWaitingCostsNoThreads(t *testing.T) {
	const n = 200
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
	// Descriptors that come by a race of our own goroutines come now.
	procs.Current()
	open := 0
	for fd := range 256 {
		if _, err := os.Readlink("/proc/self/fd/" + itoa(fd)); err == nil {
			open++
		}
	}
	return open, nil
})
