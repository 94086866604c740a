package procstest

import (
	"fmt"
	"testing"
)

// WaitBlocked returns when n threads (or more) of the process sleep in the
// kernel on a word of shared memory, and fails the test if that does not come
// about. pid 0 is this process. The runtime's own sleepers, whose words are
// private to the process, do not count.
//
// Up to 32 goroutines of a process that sleep on words sleep in a thread each;
// more of them share threads.
//
// It is exact: the kernel shows the system call of a thread only while the
// thread is asleep in it. A sleeper that looks after its lock every 100 ms is
// seen asleep between two looks.
func WaitBlocked(t testing.TB, pid, n int) {
	t.Helper()
	if !showsCalls() {
		t.Skip("this kernel does not show what its threads sleep in (/proc/PID/task/TID/syscall)")
	}
	pid = orSelf(pid)
	poll(t, func() bool { return blocked(pid) >= n }, func() string {
		return fmt.Sprintf("%d threads of process %d sleep on shared words, want %d:\n%s", blocked(pid), pid, n, describeThreads(pid))
	})
}

// Blocked returns how many threads of the process sleep on words of shared
// memory now. pid 0 is this process.
func Blocked(pid int) int { return blocked(orSelf(pid)) }
