package rival

import (
	"os"

	"golang.org/x/sys/unix"
)

// newEventFD makes an eventfd whose read blocks while it is 0.
func newEventFD() (*os.File, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("eventfd", err)
	}
	return os.NewFile(uintptr(fd), "eventfd"), nil
}
