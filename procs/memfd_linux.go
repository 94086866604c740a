package procs

import (
	"encoding/binary"
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
	headingType  = reflect.TypeFor[heading]()
	envelopeType = reflect.TypeFor[envelope]()
)

// seal puts h and e into a memfd that nobody can change any more.
func seal(h heading, e envelope) (fd int, err error) {
	head, err := wire.Marshal(h, headingType)
	if err != nil {
		return -1, err
	}
	body, err := wire.Marshal(e, envelopeType)
	if err != nil {
		return -1, err
	}
	head = append(binary.LittleEndian.AppendUint32(nil, uint32(len(head))), head...)
	if fd, err = memfd("shmkit-args"); err != nil {
		return -1, err
	}
	err = pwrite(fd, head, 0)
	if err == nil {
		err = pwrite(fd, body, int64(len(head))) // large arguments are not copied once more
	}
	if err != nil {
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

// unseal reads the heading in the descriptor, and returns what follows it.
func unseal(fd int) (h heading, body []byte, err error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return h, nil, os.NewSyscallError("fstat", err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG || st.Size < 4 {
		return h, nil, fmt.Errorf("descriptor %d is no memory file", fd)
	}
	data := make([]byte, st.Size)
	if err := pread(fd, data, 0); err != nil {
		return h, nil, err
	}
	n := binary.LittleEndian.Uint32(data)
	if data = data[4:]; int64(n) > int64(len(data)) {
		return h, nil, wire.ErrCorrupt
	}
	return h, data[n:], wire.Unmarshal(data[:n], &h)
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
