package machine

// A Tracepoint is the kernel's number for the event "a system call begins";
// 0 where it cannot be had: counting every system call of a process needs
// the rights of root, or of CAP_PERFMON.
type Tracepoint uint64

// FindTracepoint looks for the number. Where the file system that tells it is
// not mounted, and this user may, it mounts it for one thread only, in a
// namespace that goes away with that thread; nobody else sees it.
func FindTracepoint() Tracepoint { return findTracepoint() }

// A SyscallCounter counts the system calls of this process, those of Go's
// runtime included. The counting slows every system call of the machine a
// little: do not measure time in the same run.
type SyscallCounter struct{ fds []int }

// Count begins to count. It returns nil where that is not possible.
func (t Tracepoint) Count() *SyscallCounter { return t.count() }

// Close ends the counting and reports how many system calls there were, or -1
// for a nil counter.
func (c *SyscallCounter) Close() int64 { return c.close() }
