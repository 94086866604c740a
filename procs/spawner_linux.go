package procs

import (
	"runtime"
	"sync"
	"syscall"
)

// spawner starts the children that end with their parent, all from one thread.
//
// The kernel binds the parent-death signal of a child to the thread that
// started it, not to the process. A goroutine that starts a child and later
// ends while it is locked to its thread takes the thread with it, and the
// child is killed although its parent lives. So there is one goroutine that is
// locked for ever and never ends, and it starts them all.
// Children that the kernel does not bind are started by whoever asks.
var spawner struct {
	once  sync.Once
	tasks chan func()
}

// onSpawner runs f on the spawner's thread and waits for it. A test replaces it
// to show what happens otherwise.
var onSpawner = func(f func()) {
	spawner.once.Do(func() {
		spawner.tasks = make(chan func())
		go runSpawner(spawner.tasks)
	})
	done := make(chan struct{})
	spawner.tasks <- func() {
		defer close(done)
		f()
	}
	<-done
}

func runSpawner(tasks chan func()) {
	runtime.LockOSThread() // and never unlocked
	for f := range tasks {
		f()
	}
}

// forkExec starts this program again. The path leads to the very file that
// this process runs, even if another has taken its name since.
func forkExec(argv []string, attr *syscall.ProcAttr) (pid int, err error) {
	start := func() { pid, err = syscall.ForkExec("/proc/self/exe", argv, attr) }
	if attr.Sys.Pdeathsig == 0 {
		start()
	} else {
		onSpawner(start)
	}
	return pid, err
}
