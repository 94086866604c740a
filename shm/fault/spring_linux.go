package fault

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// spring ends or stops this process so that the calling thread runs no further
// instruction of the program.
//
// The signal goes to this very thread. A signal to the process may be taken by
// any of its threads, and a stop then reaches this one some instructions late.
func spring(do action) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	signal := unix.SIGKILL
	if do == stop {
		signal = unix.SIGSTOP
	}
	unix.Tgkill(unix.Getpid(), unix.Gettid(), signal)
}
