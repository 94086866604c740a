package rival

import (
	"net"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// onlyLinux is the Skip of a kind that every Linux has.
func onlyLinux(Spec) string { return "" }

func newStreamPair() (r, w *os.File, err error) { return newPair(unix.SOCK_STREAM) }

func newPacketPair() (r, w *os.File, err error) { return newPair(unix.SOCK_SEQPACKET) }

// newPair makes two connected Unix sockets with blocking ends.
func newPair(kind int) (r, w *os.File, err error) {
	fd, err := unix.Socketpair(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	unix.SetsockoptInt(fd[1], unix.SOL_SOCKET, unix.SO_SNDBUF, pipeSize) // The kernel takes what it allows.
	return os.NewFile(uintptr(fd[0]), "socket:read"), os.NewFile(uintptr(fd[1]), "socket:write"), nil
}

// sendBuffer is how many bytes a socket made by newPair may have on their way.
func sendBuffer() int {
	r, w, err := newPacketPair()
	if err != nil {
		return 0
	}
	defer r.Close()
	defer w.Close()
	n, err := unix.GetsockoptInt(int(w.Fd()), unix.SOL_SOCKET, unix.SO_SNDBUF)
	runtime.KeepAlive(w)
	if err != nil {
		return 0
	}
	return n
}

// blockingFile takes the socket out of Go's poller.
func blockingFile(c *net.TCPConn) (*os.File, error) {
	f, err := c.File()
	if err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(int(f.Fd()), false); err != nil {
		f.Close()
		return nil, err
	}
	// f.Fd made the description blocking, but f itself may have been
	// registered with the poller: go on with a fresh one.
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	f.Close()
	if err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	return os.NewFile(uintptr(fd), "tcp"), nil
}
