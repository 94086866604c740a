package procstest

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"shmkit/procs"
	"shmkit/shm"
)

// Watchdog fails the test if it has not ended after d, instead of letting it
// hang: it prints the stacks of all goroutines here and in all children, and
// what each thread does in the kernel, and kills the children. If the test does
// not end then either, the whole process panics.
func Watchdog(t testing.TB, d time.Duration) {
	t.Helper()
	over := make(chan struct{})
	t.Cleanup(func() { close(over) })
	go func() {
		select {
		case <-over:
			return
		case <-time.After(d):
		}
		dumpAll(t.Name(), d)
		t.Errorf("procstest: watchdog: the test runs longer than %v", d)
		for _, p := range procs.Children() {
			p.Kill()
		}
		select {
		case <-over:
		case <-time.After(10 * time.Second):
			panic(fmt.Sprintf("procstest: watchdog: %s hangs", t.Name()))
		}
	}()
}

// dumpAll prints the stacks of this process and its children.
func dumpAll(test string, d time.Duration) {
	buf := make([]byte, 4<<20)
	buf = buf[:runtime.Stack(buf, true)]
	fmt.Fprintf(os.Stderr, "\n=== watchdog: %s runs longer than %v\n=== this process (pid %d)\n%s\n%s\n",
		test, d, os.Getpid(), describeThreads(os.Getpid()), buf)
	dumpSegments()
	children := procs.Children()
	for _, p := range children {
		fmt.Fprintf(os.Stderr, "=== %v\n%s\n", p, describeThreads(p.PID()))
	}
	// The runtime of each prints its stacks on the common standard error.
	for _, p := range children {
		signal(p.PID(), syscall.SIGQUIT)
		signal(p.PID(), sigCont)
		select {
		case <-p.Done():
		case <-time.After(2 * time.Second):
		}
	}
}

// dumpSegments prints what the checkers find in the segments that are open
// here. They may need what hangs, so nobody waits for them long.
func dumpSegments() {
	found := make(chan []error, 1)
	go func() { found <- shm.CheckAll() }()
	select {
	case errs := <-found:
		for _, err := range errs {
			fmt.Fprintf(os.Stderr, "=== segments: %v\n", err)
		}
	case <-time.After(time.Second):
		fmt.Fprintln(os.Stderr, "=== segments: their check hangs, too")
	}
}
