package matrix

import (
	"os"
	"syscall"
)

// flock takes or gives back the kernel's lock of an open file.
func flock(f *os.File, take bool) error {
	how := syscall.LOCK_UN
	if take {
		how = syscall.LOCK_EX
	}
	for {
		if err := syscall.Flock(int(f.Fd()), how); err != syscall.EINTR {
			return err
		}
	}
}
