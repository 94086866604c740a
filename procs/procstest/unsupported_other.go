//go:build !linux

package procstest

import (
	"errors"
	"syscall"
)

// The tests that need several processes run on Linux only.

const (
	sharedFolder = ""
	sigStop      = syscall.Signal(0)
	sigCont      = syscall.Signal(0)
)

func signal(int, syscall.Signal) error { return errors.ErrUnsupported }

func blocked(int) int { return 0 }

func stopped(int) bool { return false }

func describeThreads(int) string { return "" }

func descriptors() map[int]string { return nil }

func leakedDescriptors(map[int]string) []string { return nil }

func leakedProcesses() []string { return nil }
