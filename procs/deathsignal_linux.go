package procs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// causeOfRequest says, in a child that was asked to end, whether somebody asked
// it or the kernel did, for its parent.
//
// That the lifeline has not ended yet proves nothing: the kernel sends the
// parent-death signal when the spawner's thread leaves, and closes the lifeline
// after the last thread has given back the memory of the parent, which takes a
// tenth of a second for half a gigabyte. But the thread of the spawner never ends as
// long as its process lives, and the kernel marks it as ending before it sends
// the signal.
func (e *envelope) causeOfRequest(parent *ParentProcess) error {
	if e.Spawner == 0 {
		return ErrTerminated // the kernel sends nothing to such a child
	}
	if e.spawnerEnds() {
		return ErrParentDied
	}
	select {
	case <-parent.done:
		return ErrParentDied
	case <-time.After(2 * time.Millisecond): // /proc may be hidden
		return ErrTerminated
	}
}

// spawnerEnds reports whether the thread that started this process ends, or is
// gone.
func (e *envelope) spawnerEnds() bool {
	process := fmt.Sprintf("/proc/%d", e.ParentPID)
	stat, err := os.ReadFile(fmt.Sprintf("%s/task/%d/stat", process, e.Spawner))
	switch {
	case err == nil:
		if isExiting(string(stat)) {
			return true
		}
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ESRCH):
		// That it is not to be seen counts only if its process is.
		if _, err := os.Stat(process); err == nil {
			return true
		}
	}
	return os.Getppid() != e.ParentPID
}

// isExiting reports whether a stat of /proc is that of a thread on its way out.
func isExiting(stat string) bool {
	const exiting = 0x4 // PF_EXITING of the kernel
	// The name, in parentheses, may hold anything, these too. The flags are
	// the seventh of the fields after it.
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) < 7 {
		return false
	}
	flags, err := strconv.ParseUint(fields[6], 10, 32)
	return err == nil && flags&exiting != 0
}
