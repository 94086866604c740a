//go:build !linux

package procstest

import (
	"errors"
	"syscall"
	"testing"
)

// The tests that need several processes run on Linux only.

const (
	sharedFolder = ""
	sigStop      = syscall.Signal(0)
	sigCont      = syscall.Signal(0)
)

func signal(int, syscall.Signal) error { return errors.ErrUnsupported }

func exists(int) bool { return true }

// Emulated reports whether an emulator of another processor runs this program.
func Emulated() bool { return false }

func showsCalls() bool { return false }

func blocked(int) int { return 0 }

func stopped(int) bool { return false }

func describeThreads(int) string { return "" }

func descriptors() map[int]string { return nil }

func leakedDescriptors(map[int]string) []string { return nil }

func leakedProcesses() []string { return nil }

func step(f func()) { f() }

func mayTrace() error { return errors.ErrUnsupported }

type driver struct{ proc *Proc }

func drive[A any](t testing.TB, role *RoleFunc[A], a A) *driver {
	t.Fatal(mayTrace())
	return nil
}

func (*driver) run(int) (bool, int) { return true, 0 }
func (*driver) place() string       { return "" }
func (*driver) kill()               {}
func (*driver) release()            {}
