package procs

import (
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"shmkit/procs/internal/permanent"
)

// A lifeline is a pipe into which nobody ever writes. Only the parent holds its
// write end, so the read end, which every child has, reports end of file when
// the parent is gone, and by whatever death: the kernel closes the descriptors
// of the dead. One pipe serves all children.
//
// It completes the parent-death signal, which the kernel drops when a program
// with other rights is executed, which a process can ignore, and which cannot
// be told from a signal of somebody else.
var lifeline struct {
	once sync.Once
	read int
	err  error
}

// lifelineEnd returns the descriptor that children inherit. It is never
// closed. Neither end is an os.File: the collector would close it one day, and
// passing it on would switch its blocking mode under the children's feet.
func lifelineEnd() (int, error) {
	lifeline.once.Do(func() {
		var ends [2]int
		if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
			lifeline.err = os.NewSyscallError("pipe2", err)
			return
		}
		lifeline.read = ends[0] // ends[1] is open as long as this process lives
		permanent.Keep(ends[0])
		permanent.Keep(ends[1])
	})
	return lifeline.read, lifeline.err
}

// watchLifeline waits, in a child, until the parent is gone, and closes gone.
// It parks in the poller and costs no thread.
func watchLifeline(fd int, gone chan struct{}) {
	if unix.SetNonblock(fd, true) != nil {
		return
	}
	permanent.Keep(fd)
	f := os.NewFile(uintptr(fd), "lifeline")
	var b [1]byte
	for {
		// End of file is the news. Nobody writes; a byte would mean nothing.
		if n, err := f.Read(b[:]); n == 0 && err != nil {
			close(gone)
			return
		}
	}
}

// handlesOpened tells the parent, which keeps the objects in the arguments of
// this process alive until then, that this process has them itself now.
func (id *identity) handlesOpened() {
	if id.ready != 0 {
		unix.Close(id.ready)
		id.ready = 0
	}
}
