package procs

import (
	"crypto/rand"
	"os"
	"sync"
	"sync/atomic"
)

// An identity is what this process knows of itself.
type identity struct {
	name   string
	daemon bool
	parent *ParentProcess // nil in the first process of a family
	ready  int            // descriptor to close when the arguments are decoded, or 0
	attend func()         // takes over the signals, in a child

	keyOnce sync.Once
	key     []byte

	once    sync.Once
	process *Process // what Current returns
}

// me is set once in a child, by Init, before anything else runs.
var me atomic.Pointer[identity]

var first = &identity{name: "main"}

// self returns the identity of this process.
func self() *identity {
	if id := me.Load(); id != nil {
		return id
	}
	return first
}

// authKey returns the key of the family. The first process makes it when it is
// first asked for; the others were given it.
func (id *identity) authKey() []byte {
	id.keyOnce.Do(func() {
		if id.key == nil {
			id.key = make([]byte, 32)
			rand.Read(id.key) // never fails
		}
	})
	return id.key
}

// Current returns the process object of this process. Its name is "main" in
// the first process of a family. It is alive, has no exit code and cannot be
// started, joined, signaled or closed through this object.
func Current() *Process {
	id := self()
	id.once.Do(func() {
		id.process = &Process{name: id.name, state: current, pid: os.Getpid(), done: make(chan struct{})}
		id.process.set.daemon = id.daemon
	})
	return id.process
}

// Parent returns the parent of this process, or nil if this process was not
// started by this package.
func Parent() *ParentProcess { return self().parent }

// Children returns the children of this process that were started and have not
// ended, in the order of their starts.
func Children() []*Process { return family.list() }

// A ParentProcess is the process that started this one.
type ParentProcess struct {
	name string
	pid  int
	done chan struct{}
}

// Name returns the parent's name.
func (p *ParentProcess) Name() string { return p.name }

// PID returns the parent's process id. Once the parent is dead it may belong
// to another process.
func (p *ParentProcess) PID() int { return p.pid }

// Alive reports whether the parent lives.
func (p *ParentProcess) Alive() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Done returns a channel that is closed when the parent has ended, in
// whatever way.
func (p *ParentProcess) Done() <-chan struct{} { return p.done }
