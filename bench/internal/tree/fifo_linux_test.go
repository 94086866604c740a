package tree_test

import "syscall"

// makeFifo makes a thing that is no regular file.
func makeFifo(path string) error { return syscall.Mkfifo(path, 0o600) }
