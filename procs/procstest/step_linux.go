package procstest

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"shmkit/procs"
)

// How a role is driven. The test traces one thread of it, the one that runs the
// operation; the others run freely, as in life. The role sends that thread one
// signal just before the operation and another just after it. The tracer sees
// each before it is delivered, and swallows it.
const (
	stepBegin = unix.SIGUSR1
	stepEnd   = unix.SIGUSR2
)

// Descriptors of a driven role.
const (
	stepTidFD  = 3 // the role writes the number of its thread
	stepWordFD = 4 // end of file: the tracer is there
)

// step runs f, in the role.
func step(f func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	pid, tid := unix.Getpid(), unix.Gettid()
	if pid == tid {
		// The death of the first thread is that of the process, which its
		// tracer would take from those who wait for the process. This
		// goroutine holds the first thread, so another one gets another.
		done := make(chan struct{})
		go func() {
			defer close(done)
			step(f)
		}()
		<-done
		return
	}
	defer runtime.GOMAXPROCS(provide())
	tell := os.NewFile(stepTidFD, "tid")
	fmt.Fprintln(tell, tid)
	tell.Close()
	word := os.NewFile(stepWordFD, "word")
	word.Read(make([]byte, 1))
	word.Close()

	unix.RawSyscall(unix.SYS_TGKILL, uintptr(pid), uintptr(tid), uintptr(stepBegin))
	f()
	unix.RawSyscall(unix.SYS_TGKILL, uintptr(pid), uintptr(tid), uintptr(stepEnd))
}

// A driver drives one role. It belongs to one thread: the kernel takes orders
// for a traced thread only from the thread that traces it.
type driver struct {
	t        testing.TB
	proc     *Proc
	tid      int
	monitor  int // the thread of the runtime's monitor, 0 if it is not held
	tracing  bool
	finished bool
}

// drive starts the role and stops its thread right before the operation.
func drive[A any](t testing.TB, role *RoleFunc[A], a A) *driver {
	t.Helper()
	tidRead, tidWrite, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer tidRead.Close()
	wordRead, wordWrite, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer wordWrite.Close()
	d := &driver{t: t}
	d.proc = role.Start(t, a, With(procs.ExtraFiles(tidWrite, wordRead), procs.Env(stepKey+"=1")))
	tidWrite.Close()
	wordRead.Close()
	line := make([]byte, 32)
	n, err := tidRead.Read(line)
	if err != nil {
		t.Fatalf("procstest: the role does not call Step: it ended with %v", d.proc.Wait())
	}
	if d.tid, err = strconv.Atoi(strings.TrimSpace(string(line[:n]))); err != nil {
		t.Fatalf("procstest: %v", err)
	}

	runtime.LockOSThread()
	t.Cleanup(d.close)
	if e := ptrace(unix.PTRACE_SEIZE, d.tid, 0); e != 0 {
		t.Fatalf("procstest: trace: %v", e)
	}
	d.tracing = true
	d.holdMonitor()
	wordWrite.Close()
	for {
		sig := d.wait()
		if sig == stepBegin {
			return d
		}
		d.resume(unix.PTRACE_CONT, pass(sig))
	}
}

// mayTrace says why this process may not trace its children, if so.
var mayTrace = sync.OnceValue(func() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	child, err := os.StartProcess("/proc/self/exe", os.Args[:1], &os.ProcAttr{Sys: &syscall.SysProcAttr{Ptrace: true}})
	if err != nil {
		return err
	}
	child.Kill() // It stands before its first instruction.
	child.Wait()
	return nil
})

// ptrace gives the kernel an order for a traced thread.
func ptrace(request, tid int, data uintptr) unix.Errno {
	_, _, e := unix.RawSyscall6(unix.SYS_PTRACE, uintptr(request), uintptr(tid), 0, data, 0, 0)
	return e
}

// wait4 waits for the next thing that happens to a traced thread.
func wait4(tid int) (unix.WaitStatus, error) {
	for {
		var status unix.WaitStatus
		if _, err := unix.Wait4(tid, &status, unix.WALL, nil); err != unix.EINTR {
			return status, err
		}
	}
}

// pass returns the signal to deliver when the tracer has seen sig.
func pass(sig unix.Signal) unix.Signal {
	switch sig {
	case unix.SIGTRAP, stepBegin, stepEnd:
		return 0
	case unix.SIGURG: // the scheduler would like the thread to yield: later
		return 0
	}
	return sig
}

// run lets the thread execute n instructions, or fewer if the operation is
// over, and returns how many it did. One or two of them are the way back from
// the system call that sent the signal.
func (d *driver) run(n int) (finished bool, steps int) {
	defer d.together()()
	deliver := unix.Signal(0)
	for steps < n {
		d.resume(unix.PTRACE_SINGLESTEP, deliver)
		sig := d.wait()
		if sig == stepEnd {
			d.finished = true
			return true, steps
		}
		if sig == unix.SIGTRAP {
			steps++
		}
		deliver = pass(sig)
	}
	return false, steps
}

// resume lets the thread go on.
func (d *driver) resume(request int, sig unix.Signal) {
	if e := ptrace(request, d.tid, uintptr(sig)); e != 0 {
		d.t.Fatalf("procstest: the traced thread does not go on: %v", e)
	}
}

// wait returns the signal that stopped the thread.
func (d *driver) wait() unix.Signal {
	status, err := wait4(d.tid)
	if err != nil || !status.Stopped() {
		d.tracing = false
		d.t.Fatalf("procstest: the role ended while it was driven: %v, %v", status, err)
	}
	return status.StopSignal()
}

// place says where the thread stands. The role is the same program at the same
// addresses, so our own symbols name its instructions.
func (d *driver) place() string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/syscall", d.proc.PID(), d.tid))
	if err != nil {
		return "an unknown place"
	}
	fields := strings.Fields(string(text)) // the last is the program counter
	pc, err := strconv.ParseUint(fields[len(fields)-1], 0, 64)
	if err != nil {
		return "an unknown place"
	}
	if f := runtime.FuncForPC(uintptr(pc)); f != nil {
		file, line := f.FileLine(uintptr(pc))
		return fmt.Sprintf("%#x in %s (%s:%d)", pc, f.Name(), file, line)
	}
	return fmt.Sprintf("%#x", pc)
}

// kill ends the role and takes the dead threads from the kernel: the process is
// not gone before its tracer has looked at every thread that it traced.
func (d *driver) kill() {
	unix.Kill(d.proc.PID(), unix.SIGKILL)
	if d.tracing {
		bury(d.tid)
		d.tracing = false
	}
	if d.monitor != 0 {
		bury(d.monitor)
		d.monitor = 0
	}
	d.proc.Kill()
}

// bury waits for the death of a traced thread.
func bury(tid int) {
	for {
		if status, err := wait4(tid); err != nil || status.Exited() || status.Signaled() {
			return
		}
	}
}

// release lets the role go on by itself.
func (d *driver) release() {
	// The monitor first: as soon as the other thread runs the role may end.
	ptrace(unix.PTRACE_DETACH, d.monitor, 0)
	ptrace(unix.PTRACE_DETACH, d.tid, 0)
	d.tracing, d.monitor = false, 0
}

// close ends what a failed test left.
func (d *driver) close() {
	if d.tracing || d.monitor != 0 {
		d.kill()
	}
	runtime.UnlockOSThread()
}
