package procs

import (
	"os"
	"runtime"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
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
	once   sync.Once
	tasks  chan func()
	thread int
}

// spawnerThread returns the thread that children are started from. It lives as
// long as this process, and is not its first one: that number survives an exec.
func spawnerThread() int {
	spawner.once.Do(func() {
		spawner.tasks = make(chan func())
		thread := make(chan int)
		go runSpawner(thread)
		spawner.thread = <-thread
	})
	return spawner.thread
}

// onSpawner runs f on the spawner's thread and waits for it. A test replaces it
// to show what happens otherwise.
var onSpawner = func(f func()) {
	spawnerThread()
	done := make(chan struct{})
	spawner.tasks <- func() {
		defer close(done)
		f()
	}
	<-done
}

func runSpawner(thread chan<- int) {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		// While this goroutine holds the first thread, another gets another.
		next := make(chan int)
		go runSpawner(next)
		thread <- <-next
		runtime.UnlockOSThread()
		return
	}
	thread <- unix.Gettid()
	for f := range spawner.tasks { // never closed: the thread stays locked
		f()
	}
}

// program leads to the very file that this process runs, even if another has
// taken its name since.
const program = "/proc/self/exe"

// forkExec starts this program again.
func forkExec(argv []string, attr *syscall.ProcAttr) (pid int, err error) {
	start := func() { pid, err = syscall.ForkExec(program, argv, attr) }
	if attr.Sys.Pdeathsig == 0 {
		start()
	} else {
		onSpawner(start)
	}
	if err != nil { // a bare number would not say what was refused
		err = &os.PathError{Op: "fork/exec", Path: program, Err: err}
	}
	return pid, err
}
