package procs

import (
	"fmt"
	"syscall"
)

// An ExitError says that a child ended otherwise than well, and left no error
// that says more: it was killed by a signal, or called os.Exit.
type ExitError struct {
	Process string         // name of the process
	PID     int            // its process id, which may belong to another by now
	Code    int            // as ExitCode returns it: −N for signal N
	Signal  syscall.Signal // the signal that killed it, 0 if none did
	Core    bool           // it left a core dump
}

// Error returns, for example, "cook-1 (pid 4711): killed by signal 9 (killed)".
func (e *ExitError) Error() string {
	who := fmt.Sprintf("%s (pid %d)", e.Process, e.PID)
	switch {
	case e.Signal != 0 && e.Core:
		return fmt.Sprintf("%s: killed by signal %d (%v), core dumped", who, int(e.Signal), e.Signal)
	case e.Signal != 0:
		return fmt.Sprintf("%s: killed by signal %d (%v)", who, int(e.Signal), e.Signal)
	default:
		return fmt.Sprintf("%s: exit code %d", who, e.Code)
	}
}
