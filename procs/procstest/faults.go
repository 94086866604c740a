package procstest

import "fmt"

// KillAt kills the role by SIGKILL at its n-th pass of a point that package
// shm/fault names.
func KillAt(point string, n int) Option {
	return func(o *options) { o.faults = append(o.faults, fmt.Sprintf("%s:%d", point, n)) }
}

// StopAt stops the role by SIGSTOP at its n-th pass of the point. Proc.
// WaitStopped waits for it, Proc.Cont continues it.
func StopAt(point string, n int) Option {
	return func(o *options) { o.faults = append(o.faults, fmt.Sprintf("%s:%d:stop", point, n)) }
}
