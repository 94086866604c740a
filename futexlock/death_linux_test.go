package futexlock_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"shmkit/futexlock"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

// many is a segment full of locks.
type many struct {
	Locks [3000]futexlock.Mutex
	Ready futexlock.Event
}

var hoarder = procstest.Role("hoarder", func(ctx context.Context, o *shm.Object[many]) error {
	m := o.Value()
	for i := range m.Locks {
		if err := m.Locks[i].Lock(); err != nil {
			return err
		}
	}
	m.Ready.Set()
	<-ctx.Done()
	return nil
})

// Each of 3,000 locks of one dead process is recovered: a robust list of the
// kernel ends at 2,048.
func TestThousandsOfLocksOfTheDead(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	o, err := shm.New[many](shm.WithOwnSegment())
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	m := o.Value()
	p := hoarder.Start(t, o)
	if err := m.Ready.Wait(seconds(t, 10)); err != nil {
		t.Fatal(err)
	}
	p.Signal(syscall.SIGKILL)
	within(t, "3,000 locks recovered", 100*time.Millisecond, func() {
		for i := range m.Locks {
			if err := m.Locks[i].LockContext(seconds(t, 10)); !errors.Is(err, futexlock.ErrOwnerDied) {
				t.Fatalf("lock %d: %v", i, err)
			}
			m.Locks[i].Consistent()
			m.Locks[i].Unlock()
		}
	})
	p.Wait()
}

// family is a process that starts the holder, so that somebody else than the
// test is to reap it.
var family = procstest.Role("family", func(ctx context.Context, o *shm.Object[table]) error {
	cmd, err := os.StartProcess("/proc/self/exe", []string{"holder"}, &os.ProcAttr{
		Env:   strangerEnv(o, "hold", 0),
		Files: []*os.File{nil, nil, os.Stderr},
	})
	if err != nil {
		return err
	}
	o.Value().Count[7].Store(int64(cmd.Pid))
	<-ctx.Done()
	cmd.Kill()
	cmd.Wait()
	return nil
})

// The holder is a zombie: dead, and its parent, stopped, does not reap it.
func TestZombieHolder(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	o, tab := newTable(t)
	f := family.Start(t, o, procstest.MayStart())
	await(t, &tab.Step[0], 1)
	zombie := int(tab.Count[7].Load())
	f.Stop()
	syscall.Kill(zombie, syscall.SIGKILL)
	within(t, "granted while the holder is a zombie", 100*time.Millisecond, func() {
		if err := tab.Mu.LockContext(seconds(t, 10)); !errors.Is(err, futexlock.ErrOwnerDied) {
			t.Error(err)
		}
	})
	// It may still be on its last steps: what matters is that nobody reaps it.
	for begin := time.Now(); ; time.Sleep(time.Millisecond) {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", zombie))
		if err == nil && bytes.Contains(stat, []byte(") Z ")) {
			break
		}
		if err != nil || time.Since(begin) > 10*time.Second {
			t.Errorf("it was no zombie: %s, %v", stat, err)
			break
		}
	}
	tab.Mu.Consistent()
	tab.Mu.Unlock()
	f.Cont()
	f.Terminate()
	f.Wait()
}

// region is what a dying process is still writing to.
type region struct {
	Mu    futexlock.Mutex
	Ready futexlock.Event
	Data  [32 << 20]byte
}

var reader = procstest.Role("reader", func(ctx context.Context, o *shm.Object[region]) error {
	r := o.Value()
	f, err := os.Open("/dev/urandom")
	if err != nil {
		return err
	}
	g, err := unix.MemfdCreate("source", 0)
	if err != nil {
		return err
	}
	src := os.NewFile(uintptr(g), "source")
	if err := src.Truncate(int64(len(r.Data))); err != nil {
		return err
	}
	if err := r.Mu.Lock(); err != nil {
		return err
	}
	// Two threads copy into the region inside system calls, as a Go program
	// does that reads files into it. Neither is the one that holds the lock.
	go func() {
		for {
			f.Read(r.Data[:len(r.Data)/2])
		}
	}()
	r.Ready.Set()
	for i := 0; ; i++ {
		src.WriteAt([]byte{byte(i)}, int64(i*4096%len(r.Data)))
		src.ReadAt(r.Data[len(r.Data)/2:], 0)
	}
})

// A process dies inside large reads into the region that its lock protects.
// After ErrOwnerDied the region does not change any more: the copy goes on for
// a while after the kill, and after the kernel has told the death.
func TestDyingInsideRead(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	var waits []time.Duration
	for range 20 {
		o, err := shm.New[region](shm.WithOwnSegment())
		if err != nil {
			t.Fatal(err)
		}
		r := o.Value()
		p := reader.Start(t, o)
		if err := r.Ready.Wait(seconds(t, 10)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Millisecond) // somewhere inside the copies
		start := time.Now()
		p.Signal(syscall.SIGKILL)
		if err := r.Mu.LockContext(seconds(t, 10)); !errors.Is(err, futexlock.ErrOwnerDied) {
			t.Fatal(err)
		}
		waits = append(waits, time.Since(start))
		before := bytes.Clone(r.Data[:])
		for range 5 {
			if !bytes.Equal(before, r.Data[:]) {
				t.Fatal("the region changed after ErrOwnerDied")
			}
			time.Sleep(time.Millisecond)
		}
		r.Mu.Consistent()
		r.Mu.Unlock()
		p.Wait()
		o.Close()
	}
	slices.Sort(waits)
	t.Logf("granted after the kill: p50 %v, max %v", waits[len(waits)/2], waits[len(waits)-1])
}

// The wake of a process that is killed before it can act on it. It happens by
// force: the process runs at idle priority on a CPU that another keeps busy, so
// that between the wake and the kill it does not get to the lock.
func TestSwallowedWake(t *testing.T) {
	procstest.Watchdog(t, 2*time.Minute)
	if runtime.NumCPU() < 2 {
		t.Skip("needs two CPUs: one for a hog")
	}
	if procstest.Emulated() {
		t.Skip("an emulator sees to no thread's priority")
	}
	rounds := 20
	if testing.Short() {
		rounds = 5
	}
	for _, barger := range []bool{true, false} {
		for _, swept := range []bool{true, false} {
			t.Run(fmt.Sprintf("barger=%v/swept=%v", barger, swept), func(t *testing.T) {
				hog := hogCPU(t, hoggedCPU())
				defer hog()
				var waits []time.Duration
				swallowed := 0
				for range rounds {
					d, ok := swallow(t, barger, swept)
					waits = append(waits, d)
					if ok {
						swallowed++
					}
				}
				slices.Sort(waits)
				longest := waits[rounds-1]
				t.Logf("served %d of %d after the kill of the woken: p50 %v, max %v; the wake was swallowed %d times",
					len(waits), rounds, waits[rounds/2], longest, swallowed)
				if longest > 10*shm.Backstop {
					t.Errorf("longest %v, ten times the backstop of %v", longest, shm.Backstop)
				}
				switch {
				case swallowed > 0:
				case busy():
					t.Skip("the scheduler let the woken run each time, on a machine with other work")
				default:
					t.Error("the wake was never swallowed: the test shows nothing")
				}
			})
		}
	}
}

func init() {
	// idlewant: as want, at idle priority on the CPU that is kept busy.
	acts["idlewant"] = func(ctx context.Context, t *table, n int) error {
		for _, tid := range threads(os.Getpid()) {
			var set unix.CPUSet
			set.Set(n)
			if err := unix.SchedSetaffinity(tid, &set); err != nil {
				return err
			}
			if err := unix.SchedSetAttr(tid, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_IDLE}, 0); err != nil {
				return err
			}
		}
		return acts["want"](ctx, t, 0)
	}
}

// threads returns the numbers of a process's threads.
func threads(pid int) (tids []int) {
	entries, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	for _, e := range entries {
		tid, _ := strconv.Atoi(e.Name())
		tids = append(tids, tid)
	}
	return tids
}

// hoggedCPU is the last of those that this process may use: a cpuset can begin
// anywhere.
func hoggedCPU() (last int) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return 0
	}
	for i := range len(set) * 64 {
		if set.IsSet(i) {
			last = i
		}
	}
	return last
}

// hogCPU keeps a CPU busy.
func hogCPU(t testing.TB, cpu int) (stop func()) {
	var quit atomic.Bool
	go func() {
		runtime.LockOSThread() // and end with the thread
		var set unix.CPUSet
		set.Set(cpu)
		if err := unix.SchedSetaffinity(0, &set); err != nil {
			t.Error(err)
		}
		for !quit.Load() {
		}
	}()
	return func() { quit.Store(true) }
}

// swallow is one round. It returns how long the other sleeper waited after the
// kill, and whether the killed one had been woken and not got the lock.
func swallow(t *testing.T, barger, swept bool) (time.Duration, bool) {
	o, tab := newTable(t)
	start := func(name string, n int) (pid int, end func()) {
		if swept {
			p := play(t, o, name, n)
			return p.PID(), func() { p.Wait() }
		}
		return stranger(t, o, name, n).Pid, func() {}
	}
	if err := tab.Mu.Lock(); err != nil {
		t.Fatal(err)
	}
	first, end := start("idlewant", hoggedCPU())
	await(t, &tab.Step[1], 1)
	procstest.WaitBlocked(t, first, 1)
	second, _ := start("want", 0)
	await(t, &tab.Step[1], 2)
	procstest.WaitBlocked(t, second, 1)
	tab.Mu.Unlock() // wakes the first, which cannot run
	if barger {
		// If the word is starving it is kept for the one that was woken.
		barger, _ = tab.Mu.TryLock()
	}
	swallowed := tab.Count[0].Load() == 0
	began := time.Now()
	syscall.Kill(first, syscall.SIGKILL)
	for _, tid := range threads(first) { // it may die at normal speed
		unix.SchedSetAttr(tid, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_NORMAL}, 0)
	}
	if barger {
		tab.Mu.Unlock()
	}
	for tab.Count[0].Load()+tab.Count[1].Load() == 0 {
		if time.Since(began) > 20*time.Second {
			t.Fatalf("the other sleeper is stranded: %s", tab.Mu.State())
		}
		time.Sleep(50 * time.Microsecond)
	}
	took := time.Since(began)
	end()
	return took, swallowed
}
