package procs

import "golang.org/x/sys/unix"

// Doors for the tests of package procs_test. Each returns what puts things
// right again.

// SpawnOnCaller starts children from the thread of whoever calls Start: the bug
// that the spawner exists for.
func SpawnOnCaller() (restore func()) {
	old := onSpawner
	onSpawner = func(f func()) { f() }
	return func() { onSpawner = old }
}

// WithoutPidfd behaves as on a kernel that has no pidfds.
func WithoutPidfd() (restore func()) {
	openPidfd = func(int, int) (int, error) { return -1, unix.ENOSYS }
	return func() { openPidfd = unix.PidfdOpen }
}

// WithholdOneByOne is what a child does with its descriptors on a kernel that
// cannot treat them as one.
func WithholdOneByOne(last string) {
	closeRange = func(uint, uint, uint) error { return unix.ENOSYS }
	withhold(last)
	closeRange = unix.CloseRange
}

// ClaimBuild makes this process claim to run another file than it does.
func ClaimBuild(id string) (restore func()) {
	old := buildID
	buildID = func() string { return id }
	return func() { buildID = old }
}

// StartUnregistered starts a process for a function that the child does not
// know.
func StartUnregistered(name string) (*Process, error) {
	p := newProcess(&entry{name: name}, nil, func() ([]byte, error) { return nil, nil }, nil)
	return p, p.Start()
}

// ForgetInit behaves as in a program that has called neither Main nor Init.
func ForgetInit() (restore func()) {
	initRan.Store(false)
	return func() { initRan.Store(true) }
}

// IsChild reports whether this process was started as a child.
func IsChild() bool { return summons.isChild }
