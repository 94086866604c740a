package futexlock_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"shmkit/procs/procstest"
	"shmkit/shm"
)

// pthreadSource is the rival in C: a robust process-shared mutex in shared
// memory. It prints the ns of an uncontended pair, or, with a number of
// processes, how many sections they do in a second.
const pthreadSource = `
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
struct shared { pthread_mutex_t mu; char pad[64]; volatile long a, b; volatile int go, stop; volatile long done[16]; };
static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec*1e9 + t.tv_nsec; }
static void lock(pthread_mutex_t *m, int rec) { if (pthread_mutex_lock(m)) pthread_mutex_consistent(m); }
int main(int argc, char **argv) {
	int robust = atoi(argv[1]), procs = atoi(argv[2]);
	struct shared *s = mmap(0, sizeof *s, PROT_READ|PROT_WRITE, MAP_SHARED|MAP_ANONYMOUS, -1, 0);
	pthread_mutexattr_t at; pthread_mutexattr_init(&at);
	pthread_mutexattr_setpshared(&at, PTHREAD_PROCESS_SHARED);
	if (robust) pthread_mutexattr_setrobust(&at, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&s->mu, &at);
	if (procs == 0) {
		double best = 1e18;
		for (int w = 0; w < 400; w++) {
			double t = now();
			for (int i = 0; i < 500; i++) { lock(&s->mu, 0); pthread_mutex_unlock(&s->mu); }
			t = now() - t;
			if (t < best) best = t;
		}
		printf("%f\n", best/500);
		return 0;
	}
	for (int p = 0; p < procs; p++) if (!fork()) {
		while (!s->go) ;
		long n = 0;
		while (!s->stop) { lock(&s->mu, 0); s->a++; s->b++; pthread_mutex_unlock(&s->mu); n++; }
		s->done[p] = n;
		_exit(0);
	}
	s->go = 1;
	usleep(500000);
	s->stop = 1;
	while (wait(0) > 0) ;
	long n = 0;
	for (int p = 0; p < procs; p++) n += s->done[p];
	if (s->a != n || s->b != n) { fprintf(stderr, "lost %ld of %ld\n", n - s->a, n); return 1; }
	printf("%f\n", n*2.0);
	return 0;
}
`

// pthread builds the rival; the test goes on without it where there is no cc.
func pthread(t testing.TB) (run func(robust, procs int) (float64, bool)) {
	t.Helper()
	cc, err := exec.LookPath("cc")
	if err != nil {
		return func(int, int) (float64, bool) { return 0, false }
	}
	dir := t.TempDir()
	src, bin := filepath.Join(dir, "rival.c"), filepath.Join(dir, "rival")
	if err := os.WriteFile(src, []byte(pthreadSource), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(cc, "-O2", "-pthread", "-o", bin, src).CombinedOutput(); err != nil {
		t.Logf("cc: %v\n%s", err, out)
		return func(int, int) (float64, bool) { return 0, false }
	}
	return func(robust, procs int) (float64, bool) {
		out, err := exec.Command(bin, strconv.Itoa(robust), strconv.Itoa(procs)).Output()
		if err != nil {
			t.Errorf("the pthread rival: %v", err)
			return 0, false
		}
		x, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
		return x, err == nil
	}
}

// pythonSource does as much with multiprocessing.Lock.
const pythonSource = `
import multiprocessing as mp, time, sys
def work(lock, go, stop, v):
    go.wait()
    n = 0
    while not stop.value:
        for _ in range(100):
            lock.acquire(); lock.release(); n += 1
    with lock: v.value += n
if __name__ == '__main__':
    lock = mp.Lock()
    n, t = 200000, time.perf_counter()
    for _ in range(n):
        lock.acquire(); lock.release()
    print((time.perf_counter() - t) / n * 1e9)
    go, stop, v = mp.Event(), mp.RawValue('i', 0), mp.RawValue('l', 0)
    ps = [mp.Process(target=work, args=(lock, go, stop, v)) for _ in range(2)]
    for p in ps: p.start()
    time.sleep(0.2); go.set(); time.sleep(0.5); stop.value = 1
    for p in ps: p.join()
    print(v.value * 2)
`

// python returns the ns of a pair, and the sections of two processes in a
// second; false where there is no python3.
func python(t testing.TB) (ns, rate float64, ok bool) {
	t.Helper()
	py, err := exec.LookPath("python3")
	if err != nil {
		return 0, 0, false
	}
	src := filepath.Join(t.TempDir(), "rival.py")
	if err := os.WriteFile(src, []byte(pythonSource), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(py, src).Output()
	if err != nil {
		t.Logf("python3: %v", err)
		return 0, 0, false
	}
	_, err = fmt.Sscan(string(out), &ns, &rate)
	return ns, rate, err == nil
}

func init() {
	// contend: sections as short as the rival's, until told to stop; N is
	// which place to count in.
	acts["contend"] = func(ctx context.Context, t *table, n int) error {
		t.Step[0].Add(1)
		for t.Step[1].Load() == 0 {
		}
		done := int64(0)
		for t.Stop.Load() == 0 {
			t.Mu.Lock()
			t.Pair.A++
			t.Pair.B++
			t.Mu.Unlock()
			done++
		}
		t.Count[n].Store(done)
		return nil
	}
	acts["contendread"] = func(ctx context.Context, t *table, n int) error {
		t.Step[0].Add(1)
		for t.Step[1].Load() == 0 {
		}
		done := int64(0)
		for t.Stop.Load() == 0 {
			t.RW.RLock()
			t.RW.RUnlock()
			done++
		}
		t.Count[n].Store(done)
		return nil
	}
}

// sections runs an act in n processes and returns how often a second they did
// it, and the processor time that they used.
func sections(t testing.TB, name string, n int) (rate float64) {
	t.Helper()
	o, err := shm.New[table](shm.WithOwnSegment())
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	tab := o.Value()
	var ps []*procstest.Proc
	for i := range n {
		ps = append(ps, play(t, o, name, i))
	}
	await(t, &tab.Step[0], uint32(n))
	start := time.Now()
	tab.Step[1].Store(1)
	time.Sleep(500 * time.Millisecond)
	tab.Stop.Store(1)
	took := time.Since(start)
	total := int64(0)
	for i, p := range ps {
		if s := p.Wait(); s.Code != 0 {
			t.Error(s)
		}
		total += tab.Count[i].Load()
	}
	if name == "contend" && (tab.Pair.A != total || tab.Pair.B != total) {
		t.Errorf("counted %d and %d, want %d", tab.Pair.A, tab.Pair.B, total)
	}
	return float64(total) / took.Seconds()
}

// Contention of processes, and the rivals outside Go. What is measured is
// logged; the test fails at ten times the bound.
func TestSpeedRivals(t *testing.T) {
	if shm.RaceEnabled {
		t.Skip("the race detector's costs are not ours")
	}
	if testing.Short() {
		t.Skip("seconds of measuring: not with -short")
	}
	procstest.Watchdog(t, 2*time.Minute)
	c := pthread(t)
	_, tab := newTable(t)
	ours := best(func() { tab.Mu.Lock(); tab.Mu.Unlock() })
	t.Logf("uncontended pair: futexlock %.1f ns", ours)
	for i, name := range []string{"process-shared", "robust"} {
		if x, ok := c(i, 0); ok {
			t.Logf("uncontended pair: pthread %s %.1f ns (bound: below robust)", name, x)
			if i == 1 && ours > 10*x {
				t.Errorf("futexlock takes ten times as long as pthread's robust mutex")
			}
		}
	}
	two := most(3, func() float64 { return sections(t, "contend", 2) })
	t.Logf("2 processes contending: futexlock %.2f M sections/s", two/1e6)
	if x := most(3, func() float64 { x, _ := c(1, 2); return x }); x > 0 {
		t.Logf("2 processes contending: pthread robust %.2f M sections/s (bound: at least as many)", x/1e6)
		if 10*two < x {
			t.Error("a tenth of pthread's robust mutex")
		}
	}
	if ns, rate, ok := python(t); ok {
		t.Logf("multiprocessing.Lock: %.0f ns a pair, %.2f M sections/s of 2 processes; ours %.0f × and %.0f × (bound 10 ×)",
			ns, rate/1e6, ns/ours, two/rate)
		if ns < ours {
			t.Error("multiprocessing.Lock is faster")
		}
	}
	one, both := most(3, func() float64 { return sections(t, "contendread", 1) }), most(3, func() float64 { return sections(t, "contendread", 2) })
	t.Logf("reading: 1 process %.1f M/s, 2 processes %.1f M/s: %.2f × (they must not get in each other's way)", one/1e6, both/1e6, both/one)
	if both < one/10 {
		t.Error("two readers do a tenth of one")
	}
}

func most(n int, f func() float64) (x float64) {
	for range n {
		x = max(x, f())
	}
	return x
}

func init() {
	// pingpong: two processes hand one lock over that each time finds the
	// other asleep.
	acts["handover"] = func(ctx context.Context, t *table, n int) error {
		for t.Stop.Load() == 0 {
			if err := t.Mu.Lock(); err != nil {
				return err
			}
			t.Count[n].Add(1)
			// Hold it until the other one sleeps for it.
			for t.Stop.Load() == 0 && !strings.Contains(t.Mu.State(), "waiters") {
			}
			time.Sleep(200 * time.Microsecond)
			t.Mu.Unlock()
			// Let the woken one have it.
			time.Sleep(100 * time.Microsecond)
		}
		return nil
	}
}

// A handed-over sleep costs two system calls: one to wake, one to wait. They
// are counted by strace, where there is one.
func TestSystemCallsOfHandover(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("no strace on this machine")
	}
	procstest.Watchdog(t, time.Minute)
	o, tab := newTable(t)
	a, b := play(t, o, "handover", 0), play(t, o, "handover", 1)
	for tab.Count[0].Load() < 5 || tab.Count[1].Load() < 5 {
		time.Sleep(time.Millisecond)
	}
	out := filepath.Join(t.TempDir(), "trace")
	cmd := exec.Command(strace, "-f", "-qq", "-o", out, "-e", "trace=futex,futex_waitv", "-p", strconv.Itoa(a.PID()), "-p", strconv.Itoa(b.PID()))
	if err := cmd.Start(); err != nil {
		t.Skip(err)
	}
	time.Sleep(200 * time.Millisecond)
	before := tab.Count[0].Load() + tab.Count[1].Load()
	mark, _ := os.ReadFile(out)
	time.Sleep(500 * time.Millisecond)
	n := tab.Count[0].Load() + tab.Count[1].Load() - before
	text, _ := os.ReadFile(out)
	cmd.Process.Signal(syscall.SIGINT)
	cmd.Wait()
	tab.Stop.Store(1)
	a.Wait()
	b.Wait()
	calls := map[string]int{}
	for line := range strings.Lines(string(text[min(len(mark), len(text)):])) {
		for _, call := range []string{"FUTEX_WAKE_OP,", "futex_waitv(", "FUTEX_WAKE,"} {
			if strings.Contains(line, call) && !strings.Contains(line, "resumed") {
				calls[call]++
			}
		}
	}
	if n == 0 {
		t.Skip("strace slowed them down to nothing")
	}
	t.Logf("%d hand-overs: %v; %.2f FUTEX_WAKE_OP and %.2f futex_waitv each (bound 2 together; slices that end are extra)",
		n, calls, float64(calls["FUTEX_WAKE_OP,"])/float64(n), float64(calls["futex_waitv("])/float64(n))
	if calls["FUTEX_WAKE_OP,"]+calls["futex_waitv("] > 20*int(n) {
		t.Error("ten times the bound")
	}
}
