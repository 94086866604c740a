// Package sys is the part of shm that talks to the kernel about files, byte
// locks, processes and the robust list. Every function exists on every
// system; where it cannot work it returns an error that is
// errors.ErrUnsupported.
package sys

import (
	"errors"
	"time"
)

// ErrNotRegular says that a name leads to something that is no regular file.
var ErrNotRegular = errors.New("not a regular file")

// Deleted ends the path that the kernel gives of a file without a name.
const Deleted = " (deleted)"

// Space says how many bytes a place has left, for the check before memory is
// reserved.
type Space struct {
	Place string // for the error text: a folder, "memory", a cgroup
	Free  int64
}

// Node is the file behind a descriptor.
type Node struct {
	Dev, Ino uint64
	UID      uint32
	Bytes    int64 // that have memory behind them
}

// Proc is what the kernel says about a process, for telling a process from
// another one with the same pid.
type Proc struct {
	Start uint64 // start time in clock ticks since boot
	Flags uint64 // PF_* flags of its first thread
	State byte   // 'R', 'S', 'Z', …
	// Threads is how many threads the process has, those that end included.
	Threads int
}

// Exiting reports whether the thread that p describes has entered exit: it
// will not run user code or copy into user memory any more.
func (p Proc) Exiting() bool { return p.Flags&pfExiting != 0 || p.State == 'Z' || p.State == 'X' }

// pfExiting is PF_EXITING of include/linux/sched.h, set at the start of
// do_exit, after the last return from a system call.
const pfExiting = 0x4

// Backoff is the pause between two looks at something that only the kernel
// finishes, such as the end of a dying process.
const Backoff = 100 * time.Microsecond
