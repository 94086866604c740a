package rival

import (
	"os"

	"golang.org/x/sys/unix"
)

// pipeSize is the most that any user may give a pipe (fs.pipe-max-size).
const pipeSize = 1 << 20

// newPipe makes a pipe whose ends block: a read or write that must wait sleeps
// in the kernel and is woken directly. os.Pipe's ends go through Go's poller,
// which takes twice as long to answer and a descriptor of its own.
func newPipe() (r, w *os.File, err error) {
	var fd [2]int
	if err := unix.Pipe2(fd[:], unix.O_CLOEXEC); err != nil {
		return nil, nil, os.NewSyscallError("pipe2", err)
	}
	unix.FcntlInt(uintptr(fd[1]), unix.F_SETPIPE_SZ, pipeSize) // Refused: it stays at 64 KiB.
	return os.NewFile(uintptr(fd[0]), "pipe:read"), os.NewFile(uintptr(fd[1]), "pipe:write"), nil
}
