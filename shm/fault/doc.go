// Package fault holds the named points at which a test can kill or stop a
// process in the middle of an operation on shared memory.
//
// A library that must survive kill -9 at any instruction has a few windows
// that random kills almost never hit: between the claim of a slot and its
// commit, between a release and the wake that follows. Such a window gets a
// name:
//
//	if fault.Enabled {
//		fault.Point("futexlock.unlock.released")
//	}
//
// and a test arms it in a process that plays a role:
//
//	fault.Arm("futexlock.unlock.released:3")      // die by SIGKILL at the third pass
//	fault.Arm("futexlock.unlock.released:3:stop") // stop by SIGSTOP instead
//
// Outside tests Enabled is false for the whole life of the process, and a
// point costs one load of a byte that is never written and one branch that is
// always predicted. Nothing in this package is shared between processes.
package fault
