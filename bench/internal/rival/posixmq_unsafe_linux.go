package rival

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mqAttr is struct mq_attr of the kernel.
type mqAttr struct {
	flags, maxMsg, msgSize, curMsgs int
	_                               [4]int
}

var mqNumber atomic.Int64

// mqLimits reports how many messages a queue, and how many bytes a message may
// have for any user; 0 where there are no such queues.
func mqLimits() (messages, bytes int) {
	read := func(name string) int {
		b, err := os.ReadFile("/proc/sys/fs/mqueue/" + name)
		if err != nil {
			return 0
		}
		n, _ := strconv.Atoi(strings.TrimSpace(string(b)))
		return n
	}
	return read("msg_max"), read("msgsize_max")
}

// mqOpen makes a queue that has no name any more when mqOpen returns: it goes
// away with its last descriptor.
func mqOpen(messages, bytes int) (*os.File, error) {
	name := fmt.Sprintf("shmkit-bench-%d-%d", os.Getpid(), mqNumber.Add(1))
	p, err := unix.BytePtrFromString(name)
	if err != nil {
		return nil, err
	}
	attr := mqAttr{maxMsg: messages, msgSize: bytes}
	fd, _, errno := unix.Syscall6(unix.SYS_MQ_OPEN, uintptr(unsafe.Pointer(p)),
		unix.O_CREAT|unix.O_EXCL|unix.O_RDWR|unix.O_CLOEXEC, 0o600, uintptr(unsafe.Pointer(&attr)), 0, 0)
	if errno != 0 {
		return nil, os.NewSyscallError("mq_open", errno)
	}
	unix.Syscall(unix.SYS_MQ_UNLINK, uintptr(unsafe.Pointer(p)), 0, 0)
	return os.NewFile(fd, name), nil
}

// mqSend sends one message and waits for room.
func mqSend(f *os.File, p []byte) error { return mqSendBy(f, p, nil) }

// mqSendUntil waits until then at most, and returns os.ErrDeadlineExceeded. The
// kernel takes the time from the wall clock: if that is set, this is early or
// late once.
func mqSendUntil(f *os.File, p []byte, then time.Time) error {
	ts, err := unix.TimeToTimespec(then)
	if err != nil {
		return err
	}
	return mqSendBy(f, p, &ts)
}

func mqSendBy(f *os.File, p []byte, ts *unix.Timespec) error {
	for {
		_, _, errno := unix.Syscall6(unix.SYS_MQ_TIMEDSEND, f.Fd(), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), 0, uintptr(unsafe.Pointer(ts)), 0)
		runtime.KeepAlive(f)
		if errno == unix.EINTR {
			continue
		}
		if errno == unix.ETIMEDOUT {
			return os.ErrDeadlineExceeded
		}
		if errno != 0 {
			return os.NewSyscallError("mq_timedsend", errno)
		}
		return nil
	}
}

// mqReceive waits for one message.
func mqReceive(f *os.File, p []byte) (int, error) {
	for {
		n, _, errno := unix.Syscall6(unix.SYS_MQ_TIMEDRECEIVE, f.Fd(), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), 0, 0, 0)
		runtime.KeepAlive(f)
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 {
			return 0, os.NewSyscallError("mq_timedreceive", errno)
		}
		return int(n), nil
	}
}
