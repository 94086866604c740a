package procs

import (
	"fmt"
	"io"
	"os"
	"reflect"
	"sync"

	"golang.org/x/sys/unix"

	"shmkit/procs/internal/wire"
)

var (
	wordsType    = reflect.TypeFor[lastWords]()
	envelopeType = reflect.TypeFor[envelope]()
)

// seal puts e into a memfd that nobody can change any more.
func (e *envelope) seal() (fd int, err error) {
	data, err := wire.Marshal(*e, envelopeType)
	if err != nil {
		return -1, err
	}
	if fd, err = memfd("shmkit-args"); err != nil {
		return -1, err
	}
	if err := pwrite(fd, data, 0); err != nil {
		unix.Close(fd)
		return -1, err
	}
	const seals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		unix.Close(fd)
		return -1, os.NewSyscallError("fcntl", err)
	}
	return fd, nil
}

// memfd makes an anonymous file that can be sealed and not be executed. Kernels
// before 6.3 do not know the latter; newer ones complain if nothing is said.
func memfd(name string) (fd int, err error) {
	fd, err = unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|unix.MFD_NOEXEC_SEAL)
	if err == unix.EINVAL {
		fd, err = unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	}
	return fd, os.NewSyscallError("memfd_create", err)
}

// open reads the envelope in the descriptor.
func (e *envelope) open(fd int) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return os.NewSyscallError("fstat", err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return fmt.Errorf("descriptor %d is no regular file", fd)
	}
	data := make([]byte, st.Size)
	if err := pread(fd, data, 0); err != nil {
		return err
	}
	return wire.Unmarshal(data, e)
}

// buildID identifies the file that this process runs.
var buildID = sync.OnceValue(func() string {
	var st unix.Stat_t
	if err := unix.Stat("/proc/self/exe", &st); err != nil {
		return ""
	}
	return fmt.Sprintf("%x:%x:%x:%x.%x", st.Dev, st.Ino, st.Size, st.Mtim.Sec, st.Mtim.Nsec)
})

func pwrite(fd int, b []byte, off int64) error {
	for len(b) > 0 {
		n, err := unix.Pwrite(fd, b, off)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return os.NewSyscallError("pwrite", err)
		}
		b, off = b[n:], off+int64(n)
	}
	return nil
}

func pread(fd int, b []byte, off int64) error {
	for len(b) > 0 {
		n, err := unix.Pread(fd, b, off)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return os.NewSyscallError("pread", err)
		}
		if n == 0 {
			return io.ErrUnexpectedEOF
		}
		b, off = b[n:], off+int64(n)
	}
	return nil
}
