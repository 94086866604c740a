package machine_test

import (
	"os"
	"runtime"
	"testing"
	"time"

	"shmkit/bench/internal/machine"
)

func TestDescribe(t *testing.T) {
	i := machine.Describe()
	t.Log(i)
	if i.CPUs < 1 || i.Go == "" || i.Date == "" {
		t.Errorf("%+v", i)
	}
	if runtime.GOOS == "linux" && (i.Kernel == "" || i.MemoryGB <= 0) {
		t.Errorf("Linux tells its kernel and memory: %+v", i)
	}
}

func TestUsage(t *testing.T) {
	if runtime.GOOS != "linux" {
		if machine.Self() != machine.Unknown {
			t.Error("something is known")
		}
		return
	}
	before := machine.Self()
	f, err := os.Open("/dev/zero")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for start := time.Now(); time.Since(start) < 20*time.Millisecond; {
	}
	b := make([]byte, 1)
	for range 1000 {
		f.Read(b)
	}
	u := machine.Self().Since(before)
	t.Logf("%+v", u)
	if u.ReadCalls < 1000 || u.ReadCalls > 1100 {
		t.Errorf("%d read calls, want 1000 and a few", u.ReadCalls)
	}
	if u.CPUTime() < 5*time.Millisecond || u.CPUTime() > 10*time.Second {
		t.Errorf("CPU %v", u.CPUTime())
	}
	if u.Peak() < 1<<20 {
		t.Errorf("peak memory %d", u.Peak())
	}
}

// TestUnknown holds that what one process cannot tell stays unknown in a sum.
func TestUnknown(t *testing.T) {
	known := machine.Usage{CPU: 1, ReadCalls: 2, WriteCalls: 3, Switches: 4, PeakPrivate: 5, Shared: 6}
	if got := known.Plus(known); got != (machine.Usage{CPU: 2, ReadCalls: 4, WriteCalls: 6, Switches: 8, PeakPrivate: 10, Shared: 6}) {
		t.Errorf("%+v", got)
	}
	if got := known.Plus(machine.Unknown); got.CPU != -1 || got.Peak() != -1 {
		t.Errorf("%+v", got)
	}
}

// TestTracepoint holds that all threads are counted, those made later too.
func TestTracepoint(t *testing.T) {
	tp := machine.FindTracepoint()
	c := tp.Count()
	if c == nil {
		t.Skipf("tracepoint %d: this user may not count system calls here", tp)
	}
	const threads, calls = 8, 1000
	done := make(chan bool)
	for range threads {
		go func() {
			runtime.LockOSThread()
			f, err := os.Open("/dev/zero")
			if err != nil {
				t.Error(err)
			}
			defer f.Close()
			for range calls {
				f.Read(make([]byte, 1))
			}
			done <- true
		}()
	}
	for range threads {
		<-done
	}
	n := c.Close()
	t.Logf("tracepoint %d: %d system calls for %d reads", tp, n, threads*calls)
	if n < threads*calls || n > 2*threads*calls {
		t.Errorf("%d system calls counted, want %d and some", n, threads*calls)
	}
}

func TestNow(t *testing.T) {
	a := machine.Now()
	time.Sleep(2 * time.Millisecond)
	if d := machine.Now() - a; d < 2e6 {
		t.Errorf("the clock went on by %d ns in 2 ms", d)
	}
}
