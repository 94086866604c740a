package sys

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Memfd makes an anonymous file that is freed with its last user.
func Memfd(name string) (*os.File, error) {
	const want = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	// MFD_NOEXEC_SEAL (Linux 6.3) keeps the kernel from warning about
	// executable memfds; older kernels say EINVAL.
	fd, err := unix.MemfdCreate(name, want|unix.MFD_NOEXEC_SEAL)
	if errors.Is(err, unix.EINVAL) {
		fd, err = unix.MemfdCreate(name, want)
	}
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	return os.NewFile(uintptr(fd), "memfd:"+name), nil
}

// TempFile makes a file in dir that has no name yet; it vanishes with its
// last descriptor unless Link gives it one.
func TempFile(dir string, mode os.FileMode) (*os.File, error) {
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, uint32(mode.Perm()))
	if err == unix.EOPNOTSUPP {
		err = fmt.Errorf("%w: its file system makes no files without a name (O_TMPFILE)", err)
	}
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: dir, Err: err}
	}
	f := os.NewFile(uintptr(fd), dir)
	// The umask must not decide who can attach.
	if err := unix.Fchmod(fd, uint32(mode.Perm())); err != nil {
		f.Close()
		return nil, &os.PathError{Op: "chmod", Path: dir, Err: err}
	}
	return f, nil
}

// Link gives a file of TempFile its name, in one step: whoever opens path
// finds nothing or the whole file. An existing path is fs.ErrExist.
func Link(f *os.File, path string) error {
	err := unix.Linkat(unix.AT_FDCWD, self(f), unix.AT_FDCWD, path, unix.AT_SYMLINK_FOLLOW)
	if err != nil {
		return &os.PathError{Op: "link", Path: path, Err: err}
	}
	return nil
}

// Open opens path for reading and writing, without following a symbolic link
// and without blocking on a FIFO. Anything but a regular file is an error.
func Open(path string) (*os.File, error) {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	switch err {
	case unix.ELOOP, unix.EISDIR, unix.ENXIO, unix.ENODEV: // a symbolic link, a folder, a socket, no such device
		err = fmt.Errorf("%w (%w)", ErrNotRegular, err)
	}
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return nil, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		unix.Close(fd)
		return nil, &os.PathError{Op: "open", Path: path, Err: ErrNotRegular}
	}
	return os.NewFile(uintptr(fd), path), nil
}

// self is the path by which this process can open f anew.
func self(f *os.File) string { return "/proc/self/fd/" + strconv.Itoa(int(f.Fd())) }

// Reopen opens the file behind f anew: another open file description, so that
// byte locks taken through it conflict with those of f, and a child that
// inherits f does not inherit them.
func Reopen(f *os.File) (*os.File, error) {
	g, err := reopen(self(f), f.Name())
	if errors.Is(err, unix.ENOENT) { // not %w: this is no name that does not exist
		err = fmt.Errorf("%v: is /proc mounted?", err)
	}
	return g, err
}

// OpenFD opens the file behind descriptor fd of process pid.
func OpenFD(pid, fd int) (*os.File, error) {
	path := fmt.Sprintf("/proc/%d/fd/%d", pid, fd)
	return reopen(path, path)
}

func reopen(path, name string) (*os.File, error) {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		unix.Close(fd)
		return nil, &os.PathError{Op: "open", Path: path, Err: ErrNotRegular}
	}
	return os.NewFile(uintptr(fd), name), nil
}

// Inode identifies the file behind f.
func Inode(f *os.File) (Node, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return Node{}, os.NewSyscallError("fstat", err)
	}
	return Node{Dev: uint64(st.Dev), Ino: st.Ino, UID: st.Uid, Bytes: st.Blocks * 512}, nil
}

// Reserve makes sure that n bytes from off exist, so that touching them can
// never raise SIGBUS. It goes in pieces of 64 MiB: one call for many GiB would
// be restarted from its beginning by every signal.
func Reserve(f *os.File, off, n int64) error {
	const piece = 64 << 20
	for n > 0 {
		k := min(n, piece)
		err := unix.Fallocate(int(f.Fd()), 0, off, k)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return os.NewSyscallError("fallocate", err)
		}
		off, n = off+k, n-k
	}
	return nil
}

// Punch gives n bytes from off back to the system; they read as zeros.
func Punch(f *os.File, off, n int64) error {
	for {
		err := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, off, n)
		if err != unix.EINTR {
			return os.NewSyscallError("fallocate", err)
		}
	}
}

// Seal fixes the size of a memfd for good: nobody can truncate it under us.
func Seal(f *os.File) error {
	_, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_SEAL)
	return os.NewSyscallError("fcntl", err)
}

// TryLockByte takes the open-file-description lock on the byte at off, which
// the kernel releases when the last descriptor of this description is closed,
// that is at the latest when the process is gone. It reports false if another
// description holds it.
func TryLockByte(f *os.File, off int64, shared bool) (bool, error) {
	lk := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart, Start: off, Len: 1}
	if shared {
		lk.Type = unix.F_RDLCK
	}
	err := unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &lk)
	if err == unix.EAGAIN || err == unix.EACCES {
		return false, nil
	}
	return err == nil, os.NewSyscallError("fcntl", err)
}

// UnlockByte releases what TryLockByte took.
func UnlockByte(f *os.File, off int64) error {
	lk := unix.Flock_t{Type: unix.F_UNLCK, Whence: io.SeekStart, Start: off, Len: 1}
	return os.NewSyscallError("fcntl", unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &lk))
}

// BytesHeld reports whether another open file description holds a lock on one
// of the n bytes from off.
func BytesHeld(f *os.File, off, n int64) (bool, error) {
	lk := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart, Start: off, Len: n}
	if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &lk); err != nil {
		return false, os.NewSyscallError("fcntl", err)
	}
	return lk.Type != unix.F_UNLCK, nil
}

// Blank maps private zero pages over mem: a stray pointer into it reads zeros
// instead of crashing the process, and reaches nobody's memory. What matters is
// the latter: where the system refuses zero pages that can be written, or one
// mapping more, mem can only be read afterwards.
func Blank(mem []byte) (err error) {
	for _, prot := range []int{unix.PROT_READ | unix.PROT_WRITE, unix.PROT_READ} {
		_, err = unix.MmapPtr(-1, 0, unsafe.Pointer(unsafe.SliceData(mem)), uintptr(len(mem)),
			prot, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_FIXED|unix.MAP_NORESERVE)
		if err == nil {
			return nil
		}
	}
	if unix.Mprotect(mem, unix.PROT_READ) == nil {
		return nil
	}
	return os.NewSyscallError("mmap", err)
}

// Prefault touches every page of mem now, so that no later access does.
func Prefault(mem []byte) error {
	err := unix.Madvise(mem, unix.MADV_POPULATE_WRITE) // Linux 5.14
	if errors.Is(err, unix.EINVAL) {
		for i := 0; i < len(mem); i += os.Getpagesize() {
			// An atomic add of nothing: peers may be writing already.
			atomic.AddUint32((*uint32)(unsafe.Pointer(&mem[i])), 0)
		}
		return nil
	}
	return os.NewSyscallError("madvise", err)
}

// HugeNote says why shared memory gets no huge pages; "" if it may.
func HugeNote() string {
	const file = "/sys/kernel/mm/transparent_hugepage/shmem_enabled"
	b, err := os.ReadFile(file)
	if err != nil {
		return "no huge pages: this kernel has none"
	}
	_, rest, _ := strings.Cut(string(b), "[")
	mode, _, _ := strings.Cut(rest, "]")
	if mode == "never" || mode == "deny" {
		return "no huge pages: " + file + " says " + mode
	}
	return ""
}

// HugePages asks for transparent huge pages under mem.
func HugePages(mem []byte) error {
	return os.NewSyscallError("madvise", unix.Madvise(mem, unix.MADV_HUGEPAGE))
}
