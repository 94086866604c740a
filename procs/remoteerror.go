package procs

import (
	"errors"
	"fmt"
)

// A RemoteError is what a child's function ended with: an error that it
// returned, or a panic in any goroutine of the child.
//
// Only text crosses the border. A RemoteError is therefore never
// context.Canceled or io.EOF, even if the child's error was: a Join whose
// error is context.Canceled was itself canceled.
type RemoteError struct {
	Process string // name of the process
	PID     int    // its process id, which may belong to another by now
	Code    int    // exit code: 1 for an error, 2 for a panic
	Message string // text of the error, or of the value of the panic
	Panic   bool   // it was a panic, or a fatal error of the runtime
	Stack   string // of the goroutine that panicked, as the runtime prints it

	kind error // ErrOtherBuild, ErrNotRegistered, or nil
}

// Error returns, for example, "cook-1 (pid 4711): panic: index out of range".
// It leaves out the stack.
func (e *RemoteError) Error() string {
	what := ""
	if e.Panic {
		what = "panic: "
	}
	return fmt.Sprintf("%s (pid %d): %s%s", e.Process, e.PID, what, e.Message)
}

// Is reports whether the child ended before its function began, for the reason
// that target names: ErrOtherBuild or ErrNotRegistered.
func (e *RemoteError) Is(target error) bool {
	return e.kind != nil && errors.Is(e.kind, target)
}

// As lets errors.As find the exit code of the child as an *ExitError.
func (e *RemoteError) As(target any) bool {
	if p, ok := target.(**ExitError); ok {
		*p = &ExitError{Process: e.Process, PID: e.PID, Code: e.Code}
		return true
	}
	return false
}
