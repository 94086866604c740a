package procs_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"shmkit/procs"
	"shmkit/shm"
)

func itoa(n int) string { return strconv.Itoa(n) }

// startOnDyingThread starts p from a goroutine that is locked to its thread and
// ends, which ends the thread.
func startOnDyingThread(t *testing.T, p *procs.Process) {
	t.Helper()
	tid := make(chan int)
	result := make(chan error)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			// The first thread of a process does not end with its
			// goroutine: while this one holds it, another gets another.
			go func() {
				runtime.LockOSThread()
				result <- p.Start()
				tid <- unix.Gettid()
			}()
			select {}
		}
		result <- p.Start()
		tid <- unix.Gettid()
	}()
	if err := <-result; err != nil {
		t.Fatal(err)
	}
	thread := <-tid
	await(t, "the end of the thread", func() bool {
		_, err := os.Stat("/proc/self/task/" + itoa(thread))
		return errors.Is(err, os.ErrNotExist)
	})
}

// The kernel ties the parent-death signal to the thread that started the child.
// A goroutine that ends while it is locked to its thread must not take the
// children that it started with it.
func TestLockedGoroutineThatEnds(t *testing.T) {
	for _, opt := range []procs.Option{procs.Daemon(), procs.EndWithParent()} {
		p := sleeper.Process(time.Hour, opt)
		startOnDyingThread(t, p)
		if err := p.Join(shortly(t, 50*time.Millisecond)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the child ended with the thread: %v", err)
		}
		p.Kill()
		<-p.Done()
	}

	// The same without the spawner: the test can see the bug.
	defer procs.SpawnOnCaller()()
	p := sleeper.Process(time.Hour, procs.Daemon())
	startOnDyingThread(t, p)
	var exit *procs.ExitError
	if err := p.Join(shortly(t, 10*time.Second)); !errors.As(err, &exit) || exit.Signal != syscall.SIGTERM {
		t.Errorf("without the spawner: %v; this test sees nothing", err)
	}
	p.Kill()
	<-p.Done()
}

func isNonblocking(t *testing.T, f *os.File) (non bool) {
	t.Helper()
	conn, err := f.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	conn.Control(func(fd uintptr) {
		flags, _ := unix.FcntlInt(fd, unix.F_GETFL, 0)
		non = flags&unix.O_NONBLOCK != 0
	})
	return non
}

// A pipe of the parent stays what it was when its ends are given to children:
// reads of it keep their deadlines.
func TestPipesStayNonblocking(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	p := start(t, nothing.Process(struct{}{}, procs.ExtraFiles(w), procs.Stdout(w), procs.Stdin(r)))
	<-p.Done()
	if !isNonblocking(t, r) || !isNonblocking(t, w) {
		t.Error("an end of the pipe is blocking now")
	}
	r.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Read: %v", err)
	}

	// os/exec makes them blocking: the test can see the difference.
	cmd := exec.Command("/bin/true")
	cmd.ExtraFiles = []*os.File{w}
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	if isNonblocking(t, w) {
		t.Log("os/exec leaves pipes non-blocking here: this test sees nothing")
	}
}

// In the child a pipe is as pollable as in the parent.
var readWithDeadline = procs.Register("read with deadline", func(context.Context, struct{}) error {
	syscall.SetNonblock(3, true)
	f := os.NewFile(3, "pipe")
	f.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	if _, err := f.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		return errors.Join(errors.New("no deadline"), err)
	}
	return nil
})

func TestPipeInChild(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	p := start(t, readWithDeadline.Process(struct{}{}, procs.ExtraFiles(r)))
	if err := p.Join(t.Context()); err != nil {
		t.Error(err)
	}
}

// Nothing that a child was given reaches the programs that it starts.
var listDescriptors = procs.RegisterFunc("list descriptors", func(context.Context, struct{}) (string, error) {
	out, err := exec.Command("ls", "-l", "/proc/self/fd").Output()
	return string(out), err
})

// early is what a program inherits that a package starts while it is initialized,
// long before Main or Init.
var early = func() string {
	if os.Getenv(earlyKey) == "" {
		return ""
	}
	out, err := exec.Command("ls", "-l", "/proc/self/fd").Output()
	return fmt.Sprintln(string(out), err)
}()

const earlyKey = "PROCS_TEST_EARLY"

var listEarlyDescriptors = procs.RegisterFunc("list early descriptors", func(context.Context, *shm.Object[counter]) (string, error) {
	return early, nil
})

func TestNothingLeaksIntoPrograms(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	p := listDescriptors.Process(struct{}{}, procs.ExtraFiles(r), procs.Daemon())
	start(t, p.Process)
	out, err := p.Result(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// What this process was itself started with, everybody inherits.
	ours, err := exec.Command("ls", "-l", "/proc/self/fd").Output()
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for line := range strings.Lines(string(ours)) {
		_, target, _ := strings.Cut(line, " -> ")
		known[target] = true
	}
	q := listEarlyDescriptors.Process(newCounter(t), procs.ExtraFiles(r), procs.Daemon(), procs.Env(earlyKey+"=1"))
	start(t, q.Process)
	atFirst, err := q.Result(t.Context())
	if err != nil || !strings.HasSuffix(atFirst, "<nil>\n") {
		t.Fatal(atFirst, err)
	}
	for line := range strings.Lines(out + atFirst) {
		_, target, ok := strings.Cut(line, " -> ")
		standard := strings.Contains(line, " 0 -> ") || strings.Contains(line, " 1 -> ") || strings.Contains(line, " 2 -> ")
		if ok && !known[target] && !standard && !strings.HasPrefix(target, "/proc/") {
			t.Errorf("inherited: %s", line)
		}
	}
}

// The same on kernels without close_range, of a process that is nothing else.
func TestWithholdOneByOne(t *testing.T) {
	out, err := program(t, "withholds").CombinedOutput()
	if err != nil || string(out) != "true\n" {
		t.Errorf("%v, %s", err, out)
	}
}

func init() {
	bare["withholds"] = func() {
		var ends [2]int
		if err := unix.Pipe2(ends[:], 0); err != nil {
			fmt.Println(err)
		}
		procs.WithholdOneByOne(itoa(max(ends[0], ends[1])))
		kept := true
		for _, fd := range ends {
			flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
			kept = kept && err == nil && flags&unix.FD_CLOEXEC != 0
		}
		fmt.Println(kept)
	}
}

// Kernels without pidfds: a thread waits for each child, all else is the same.
func TestWithoutPidfd(t *testing.T) {
	defer procs.WithoutPidfd()()
	p := start(t, exits.Process(7))
	p.Join(t.Context())
	wantCode(t, p, 7)
	q := start(t, sleeper.Process(time.Hour))
	q.Kill()
	<-q.Done()
	wantCode(t, q, -9)
}

// Somebody else who waits for all children of the process takes our zombie:
// the end is seen, and what the child left says how it was.
func TestForeignWait(t *testing.T) {
	p := start(t, fails.Process(returnsError))
	q := start(t, sleeper.Process(time.Hour))
	for range 200 {
		unix.Wait4(p.PID(), nil, unix.WNOHANG, nil)
		time.Sleep(100 * time.Microsecond)
	}
	var remote *procs.RemoteError
	if err := p.Join(t.Context()); !errors.As(err, &remote) {
		t.Errorf("Join = %v", err)
	}
	wantCode(t, p, 1)
	q.Kill()
	unix.Wait4(q.PID(), nil, 0, nil)
	if err := q.Join(t.Context()); err == nil || q.Alive() {
		t.Errorf("Join = %v", err)
	}
}

// Signals that this process handles do not disturb a Join.
func TestJoinDuringSignals(t *testing.T) {
	p := start(t, sleeper.Process(100*time.Millisecond))
	stop := make(chan struct{})
	go func() {
		for {
			select {
			case <-stop:
				return
			default:
				syscall.Kill(os.Getpid(), syscall.SIGURG)
				time.Sleep(time.Millisecond)
			}
		}
	}()
	if err := p.Join(t.Context()); err != nil {
		t.Error(err)
	}
	close(stop)
}
