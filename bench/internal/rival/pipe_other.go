//go:build !linux

package rival

import "os"

// newPipe makes a pipe as this system gives it.
func newPipe() (r, w *os.File, err error) { return os.Pipe() }
