package procstest

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// One thread of a driven role does not run freely, the runtime's monitor. To it
// a thread that is driven one instruction at a time is one that has not yielded
// for long: every 10 ms it asks the scheduler to put the operation aside. On a
// busy machine that is every few hundred instructions, and putting it aside and
// taking it up again is some thousand more, so that most cuts would fall into the
// scheduler, and a long operation would never end. So the monitor is held while
// the operation lasts.

// stepProcessors is more than the goroutines of a role that sleep in the kernel.
const stepProcessors = 8

// provide makes the runtime ready to go on without its monitor, which no longer
// takes the processor back from a goroutine that sleeps in a system call: so
// there are more of them. And each gets its thread now, as to make one is tens of
// thousands of instructions. It returns how many processors there were.
func provide() int {
	was := runtime.GOMAXPROCS(stepProcessors)
	var asleep sync.WaitGroup
	for range stepProcessors {
		asleep.Go(func() {
			pause := unix.NsecToTimespec(int64(time.Millisecond))
			unix.Nanosleep(&pause, nil)
		})
	}
	asleep.Wait()
	return was
}

// holdMonitor stops the runtime's monitor, which is the first thread that the
// runtime starts.
func (d *driver) holdMonitor() {
	pid := d.proc.PID()
	var tids []int
	for _, dir := range tasks(pid) {
		if tid, err := strconv.Atoi(filepath.Base(dir)); err == nil {
			tids = append(tids, tid)
		}
	}
	// In the order in which they were made: the kernel's numbers go round.
	slices.SortFunc(tids, func(a, b int) int { return cmp.Compare(uint32(a-pid), uint32(b-pid)) })
	if len(tids) < 3 || tids[0] != pid || tids[1] == d.tid {
		d.t.Fatalf("procstest: which of the threads %v of process %d is the runtime's monitor?", tids, pid)
	}
	if e := ptrace(unix.PTRACE_SEIZE, tids[1], 0); e != 0 {
		d.t.Fatalf("procstest: trace the monitor: %v", e)
	}
	d.monitor = tids[1]
	for range 1000 {
		if e := ptrace(unix.PTRACE_INTERRUPT, d.monitor, 0); e != 0 {
			d.t.Fatalf("procstest: hold the monitor: %v", e)
		}
		if status, err := wait4(d.monitor); err != nil || !status.Stopped() {
			d.t.Fatalf("procstest: hold the monitor: %v, %v", status, err)
		}
		if d.monitorRests() {
			return
		}
		ptrace(unix.PTRACE_CONT, d.monitor, 0)
		time.Sleep(50 * time.Microsecond)
	}
	d.t.Fatalf("procstest: the monitor of process %d does not come to rest:\n%s", pid, describeThreads(pid))
}

// monitorRests reports whether the monitor sleeps between two rounds, or for a
// time in which the runtime has nothing to do. Anywhere else it may hold a lock
// of the runtime's, and all others would wait for it for ever.
func (d *driver) monitorRests() bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/syscall", d.proc.PID(), d.monitor))
	if err != nil {
		d.t.Fatalf("procstest: hold the monitor: %v", err)
	}
	var nr int64
	var addr, op, value, timeout uint64
	if _, err := fmt.Sscanf(string(text), "%d 0x%x 0x%x 0x%x 0x%x", &nr, &addr, &op, &value, &timeout); err != nil {
		return false
	}
	// The runtime's locks wait without a timeout.
	return nr == unix.SYS_NANOSLEEP || nr == unix.SYS_FUTEX && timeout != 0
}
