package shm_test

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"

	"shmkit/procs/procstest"
	"shmkit/shm"
)

// delays prints what a test measured and fails on ten times the bound.
func delays(t testing.TB, what string, all []time.Duration, bound time.Duration) {
	t.Helper()
	slices.Sort(all)
	p50, p99 := all[len(all)/2], all[len(all)*99/100]
	t.Logf("%s: %d deaths, told after p50 %v, p99 %v (bound %v)", what, len(all), p50.Round(time.Microsecond), p99.Round(time.Microsecond), bound)
	if p99 > 10*bound {
		t.Errorf("%s: p99 %v is more than ten times %v", what, p99, bound)
	}
}

func state(pid int) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "gone"
	}
	return strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))[0]
}

// A zombie that nobody waits for is dead.
func TestDeathZombie(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	tr := newTroupe(t, "zombie")
	var all []time.Duration
	for range 20 {
		cmd, tok := tr.enter(play{}, nil)
		if tr.o.Segment().Confirm(tok) {
			t.Fatal("a living process is said to be dead")
		}
		begin := time.Now()
		cmd.Process.Kill()
		all = append(all, tr.told(tok, begin))
		waitFor(t, "a zombie", func() bool { return state(cmd.Process.Pid) == "Z" })
		if !tr.o.Segment().Dead(tok) {
			t.Error("a zombie lives")
		}
	}
	delays(t, "zombie", all, 100*time.Millisecond)
}

// Sleepers hear of a death by the bell.
func TestDeathBell(t *testing.T) {
	if procstest.Emulated() {
		t.Skip("an emulator has no robust lists: nothing rings")
	}
	procstest.Watchdog(t, time.Minute)
	tr := newTroupe(t, "bell")
	s := tr.o.Segment()
	var heard, all []time.Duration
	word := shm.WordAt(s, 8)
	for range 20 {
		cmd, tok := tr.enter(play{}, nil)
		got := make(chan time.Time)
		go func() {
			for s.Sleep(noContext, word, 0, tok) != shm.Died {
			}
			got <- time.Now()
		}()
		procstest.WaitBlocked(t, 0, 1)
		begin := time.Now()
		cmd.Process.Kill()
		heard = append(heard, (<-got).Sub(begin))
		all = append(all, tr.told(tok, begin))
	}
	delays(t, "the bell", heard, 10*time.Millisecond)
	delays(t, "proof after the bell", all, 100*time.Millisecond)
}

// A process that has got the pid of a dead one changes nothing.
func TestDeathPIDReuse(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	tr := newTroupe(t, "reuse")
	cmd, tok := tr.enter(play{}, nil)
	pid := cmd.Process.Pid
	cmd.Process.Kill()
	cmd.Wait()
	again := reuse(t, pid)
	defer func() { again.Process.Kill(); again.Wait() }()
	if !tr.o.Segment().Confirm(tok) {
		t.Error("a process with the pid of a dead participant makes it live")
	}
	if state(pid) == "gone" {
		t.Error("the pid is not in use")
	}
}

// reuse starts a process that has that pid.
func reuse(t testing.TB, pid int) *exec.Cmd {
	for range 200 {
		if err := os.WriteFile("/proc/sys/kernel/ns_last_pid", []byte(strconv.Itoa(pid-1)), 0); err != nil {
			t.Skipf("this machine does not let a test choose a pid: %v", err)
		}
		cmd := exec.Command("/bin/sleep", "1000")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if cmd.Process.Pid == pid {
			return cmd
		}
		cmd.Process.Kill()
		cmd.Wait()
	}
	t.Skip("pids are taken too fast here to get a certain one")
	return nil
}

// A process that executes another program has left, though pid and start time
// are the same.
func TestDeathExec(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	tr := newTroupe(t, "exec")
	var all []time.Duration
	for range 5 {
		cmd, tok := tr.enter(play{Do: "exec"}, nil)
		begin := time.Now()
		shm.StoreUint64(&tr.o.Value().Seats[(tr.seats-1)%16].Token, 0)
		all = append(all, tr.told(tok, begin))
		if s := state(cmd.Process.Pid); s == "gone" || s == "Z" {
			t.Errorf("the process is %s", s)
		}
	}
	delays(t, "execve", all, 100*time.Millisecond)
}

// A stopped process lives, however long.
func TestDeathStopped(t *testing.T) {
	t.Parallel()
	long := 10 * time.Second
	if testing.Short() {
		long = time.Second
	}
	procstest.Watchdog(t, time.Minute)
	tr := newTroupe(t, "stopped")
	cmd, tok := tr.enter(play{}, nil)
	cmd.Process.Signal(syscall.SIGSTOP)
	waitFor(t, "stopped", func() bool { return state(cmd.Process.Pid) == "T" })
	s := tr.o.Segment()
	asked := 0
	for begin := time.Now(); time.Since(begin) < long; time.Sleep(10 * time.Millisecond) {
		if asked++; s.Confirm(tok) || s.Dead(tok) || s.Dying(tok) || s.Sweep() != 0 {
			t.Fatal("a stopped process is said to be dead")
		}
	}
	t.Logf("stopped for %v, asked %d times: alive", long, asked)
	begin := time.Now()
	cmd.Process.Kill()
	t.Logf("killed while stopped: told after %v", tr.told(tok, begin))
}

// A large process is dead long before its memory is given back.
func TestDeathLarge(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	tr := newTroupe(t, "large")
	size := int64(2 << 30)
	n := 3
	if testing.Short() {
		size, n = 256<<20, 2
	}
	var all []time.Duration
	for range n {
		cmd, tok := tr.enter(play{Do: "rss", Size: size}, nil)
		begin := time.Now()
		cmd.Process.Kill()
		all = append(all, tr.told(tok, begin))
		cmd.Wait()
		t.Logf("%d MiB resident: told after %v, torn down after %v", size>>20, all[len(all)-1], time.Since(begin))
	}
	delays(t, "large", all, 100*time.Millisecond)
}

// Nobody is told dead who still writes: a thread of the process is inside a long
// system call that copies into the segment when it is killed.
func TestDeathCopying(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	tr := newTroupe(t, "copying")
	s, v := tr.o.Segment(), tr.o.Value()
	n := 15
	if testing.Short() {
		n = 5
	}
	var all []time.Duration
	early := 0
	for i := range n {
		cmd, tok := tr.enter(play{Do: "copy"}, nil)
		first := v.Copy[0]
		waitFor(t, "it copies", func() bool { return v.Copy[0] != first })
		begin := time.Now()
		cmd.Process.Kill()
		// The oracle must be able to fail: what the bell alone says is too
		// early now and then.
		for !s.Dying(tok) && !s.Confirm(tok) {
		}
		if s.Dying(tok) {
			sum := xxhash.Sum64(v.Copy[len(v.Copy)/2:])
			time.Sleep(time.Duration(i%4) * time.Millisecond)
			if xxhash.Sum64(v.Copy[len(v.Copy)/2:]) != sum {
				early++
			}
		}
		all = append(all, tr.told(tok, begin))
		sum := xxhash.Sum64(v.Copy[:])
		time.Sleep(5 * time.Millisecond)
		if xxhash.Sum64(v.Copy[:]) != sum {
			t.Errorf("kill %d: the dead process has written", i)
		}
	}
	delays(t, "in pread", all, 100*time.Millisecond)
	t.Logf("bytes written after the bell: in %d of %d kills; after the proof: in none", early, n)
}

// Two processes with the same pid, each the first of its own pid namespace.
func TestDeathNamespaces(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	tr := newTroupe(t, "namespaces")
	s := tr.o.Segment()
	attr := func() *syscall.SysProcAttr { return &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID} }
	var all []time.Duration
	_, tokB := tr.enter(play{}, attr())
	for range 10 {
		a, tokA := tr.enter(play{}, attr())
		pa, _ := s.Participant(tokA)
		pb, _ := s.Participant(tokB)
		if pa.PID != 1 || pb.PID != 1 {
			t.Fatalf("pids %d and %d, want 1 and 1", pa.PID, pb.PID)
		}
		// Its /proc is ours, where its pid is somebody else's.
		if ns := shm.NamespaceOf(s, tokA); ns != 0 {
			t.Fatalf("the pid of a process whose /proc is not its own is believed, in namespace %d", ns)
		}
		begin := time.Now()
		a.Process.Kill()
		all = append(all, tr.told(tokA, begin))
		if s.Confirm(tokB) || s.Dead(tokB) || s.Dying(tokB) {
			t.Fatal("the death of one pid 1 is taken for that of the other")
		}
	}
	delays(t, "pid namespaces", all, 100*time.Millisecond)
}

// One process in 5,000 segments: the kernel rings at most 2,048 bells, the byte
// locks tell of all.
func TestDeathManySegments(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	n := 5000
	if testing.Short() {
		n = 2500
	}
	report, err := shm.New[[2]uint64](shm.WithOwnSegment())
	if err != nil {
		t.Fatal(err)
	}
	defer report.Close()
	p := collector.Start(t, collectorArgs{report, n})
	waitFor(t, "attached to all", func() bool { return shm.LoadUint64(&report.Value()[0]) != 0 })
	t.Logf("attached to %d segments: %v each", n, time.Duration(shm.LoadUint64(&report.Value()[1]))/time.Duration(n))
	defer func() {
		shm.Collect()
		if left := names(t); len(left) > 0 {
			t.Errorf("%d names left", len(left))
		}
	}()
	var open []*shm.Object[int64]
	var toks []shm.Token
	for _, i := range []int{n - 1, n / 2, 0} {
		o, err := shm.Open[int64](fmt.Sprint("many-", i))
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, o)
		for _, q := range o.Segment().Participants() {
			if !q.Self {
				toks = append(toks, q.Token)
			}
		}
	}
	if len(toks) != 3 {
		t.Fatalf("tokens %v", toks)
	}
	bells := make([]bool, 3)
	begin := time.Now()
	if err := syscall.Kill(p.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for i, o := range open {
		for {
			bells[i] = bells[i] || o.Segment().Dying(toks[i])
			if o.Segment().Confirm(toks[i]) {
				break
			}
			time.Sleep(50 * time.Microsecond)
		}
		t.Logf("segment %d, counted from the newest: told after %v, bell heard before: %v", i, time.Since(begin), bells[i])
		o.Close()
	}
	if d := time.Since(begin); d > time.Second {
		t.Errorf("told after %v", d)
	}
	p.Wait()
}
