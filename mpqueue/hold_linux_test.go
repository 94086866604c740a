package mpqueue_test

import (
	"cmp"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"shmkit/shm"
)

// A process that is driven one instruction at a time takes so long for each that
// the runtime's monitor wants its goroutine to yield after a few hundred. Yielding
// is some thousand instructions itself: on a busy machine the operation never
// comes to its end, and on an idle one most cuts fall into the scheduler. So the
// monitor of such a process is stopped.

// monitor is what a process and the test tell each other about its monitor.
type monitor struct {
	tid  atomic.Int32
	held atomic.Int32
}

// hold stops the monitor of the process that will call surrender with the result.
func hold(t testing.TB) *shm.Object[monitor] {
	o, err := shm.New[monitor]()
	if err != nil {
		t.Fatal(err)
	}
	m := o.Value()
	over, end := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(end)
		runtime.LockOSThread() // of which the kernel takes orders
		defer runtime.UnlockOSThread()
		for m.tid.Load() == 0 {
			select {
			case <-over:
				return
			case <-time.After(50 * time.Microsecond):
			}
		}
		tid := int(m.tid.Load())
		_, _, e := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_SEIZE, uintptr(tid), 0, 0, 0, 0)
		if e == 0 {
			unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_INTERRUPT, uintptr(tid), 0, 0, 0, 0)
		}
		m.held.Store(1)
		// The process is not gone before its dead thread was looked at.
		for e == 0 {
			var status unix.WaitStatus
			if _, err := unix.Wait4(tid, &status, unix.WALL, nil); err == unix.ECHILD || err == nil && (status.Exited() || status.Signaled()) {
				return
			}
		}
	}()
	t.Cleanup(func() {
		close(over)
		<-end
		o.Close()
	})
	return o
}

// surrender is called by the process. The monitor is the first thread that the
// runtime starts.
func surrender(o *shm.Object[monitor]) error {
	entries, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	var tids []int
	for _, e := range entries {
		if tid, err := strconv.Atoi(e.Name()); err == nil {
			tids = append(tids, tid)
		}
	}
	// In the order in which they were made: numbers go round.
	pid := os.Getpid()
	slices.SortFunc(tids, func(a, b int) int { return cmp.Compare(uint32(a-pid), uint32(b-pid)) })
	if len(tids) < 2 || tids[0] != pid {
		return fmt.Errorf("the threads of process %d are %v", pid, tids)
	}
	m := o.Value()
	for m.tid.Store(int32(tids[1])); m.held.Load() == 0; {
		time.Sleep(50 * time.Microsecond)
	}
	return nil
}
