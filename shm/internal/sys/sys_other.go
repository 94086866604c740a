//go:build !linux

package sys

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
)

func unsupported() error {
	return fmt.Errorf("shm: shared segments need Linux, not %s: %w", runtime.GOOS, errors.ErrUnsupported)
}

// Memfd is not available here.
func Memfd(name string) (*os.File, error) { return nil, unsupported() }

// TempFile is not available here.
func TempFile(dir string, mode os.FileMode) (*os.File, error) { return nil, unsupported() }

// Link is not available here.
func Link(f *os.File, path string) error { return unsupported() }

// Open is not available here.
func Open(path string) (*os.File, error) { return nil, unsupported() }

// Reopen is not available here.
func Reopen(f *os.File) (*os.File, error) { return nil, unsupported() }

// OpenFD is not available here.
func OpenFD(pid, fd int) (*os.File, error) { return nil, unsupported() }

// Inode is not available here.
func Inode(f *os.File) (Node, error) { return Node{}, unsupported() }

// Reserve is not available here.
func Reserve(f *os.File, off, n int64) error { return unsupported() }

// Punch is not available here.
func Punch(f *os.File, off, n int64) error { return unsupported() }

// Seal is not available here.
func Seal(f *os.File) error { return unsupported() }

// TryLockByte is not available here.
func TryLockByte(f *os.File, off int64, shared bool) (bool, error) { return false, unsupported() }

// UnlockByte is not available here.
func UnlockByte(f *os.File, off int64) error { return unsupported() }

// BytesHeld is not available here.
func BytesHeld(f *os.File, off, n int64) (bool, error) { return false, unsupported() }

// FolderSpace is not available here.
func FolderSpace(dir string) (Space, bool) { return Space{}, false }

// MemorySpace is not available here.
func MemorySpace() []Space { return nil }

// Stat is not available here.
func Stat(pid, tid int) (Proc, error) { return Proc{}, unsupported() }

// Tasks is not available here.
func Tasks(pid int) ([]int, error) { return nil, unsupported() }

// Namespace is not available here.
func Namespace() uint64 { return 0 }

// EachFD is not available here.
func EachFD(most int, f func(target string, pid, fd int) bool) int { return 0 }

// EachMemfd is not available here.
func EachMemfd(f func(name string, pid, fd int) bool) {}

// Blank is not available here.
func Blank(mem []byte) error { return unsupported() }

// Prefault is not available here.
func Prefault(mem []byte) error { return unsupported() }

// HugePages is not available here.
func HugePages(mem []byte) error { return unsupported() }

// HugeNote is not available here.
func HugeNote() string { return "" }

// StartAnchor is not available here.
func StartAnchor() (tid uint32, ok bool) { return 0, false }

// AnchorAdd is not available here.
func AnchorAdd(node *atomic.Uint64) {}

// AnchorRemove is not available here.
func AnchorRemove(node *atomic.Uint64) {}
