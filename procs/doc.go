// Package procs starts other processes of this program, passes them arguments
// and shared objects, and sees them end. It is Python's multiprocessing.Process
// for Go.
//
//	      this program                     the same program, started again
//	┌──────────────────────┐  arguments   ┌──────────────────────┐
//	│ procs.Main(run)      │ ───────────> │ procs.Main(run)      │
//	│   run                │   a memfd    │   the function that  │
//	│     f.Process(a)     │              │   it was started for │
//	│     p.Start, p.Join  │ <─────────── │                      │
//	└──────────────────────┘   outcome    └──────────────────────┘
//
// Go cannot fork. A child is the same program started again and told which
// function to run, so the function is registered under a name, in a package
// variable, where parent and child both come by:
//
//	package main
//
//	import (
//		"context"
//		"fmt"
//
//		"shmkit/procs"
//	)
//
//	var task = procs.Register("task", func(ctx context.Context, name string) error {
//		fmt.Println(name, "is running")
//		return nil
//	})
//
//	func main() { procs.Main(run) }
//
//	func run(ctx context.Context) error {
//		p := task.Process("Alex")
//		if err := p.Start(); err != nil {
//			return err
//		}
//		return p.Join(ctx)
//	}
//
// Arguments and results are of any type that means something in another
// process; see Register. The handles of shared objects are among them: queues,
// locks and shared values are arguments like any other. A function with a result
// is registered by RegisterFunc, a type with a Run method by RegisterRunner.
//
// More programs, one for each section of a tutorial of Python's module, are in
// the folder examples.
//
// # Ends
//
// Whichever way a process ends, its parent learns it once, by Done, Join and
// ExitCode, without asking, without a thread that waits, and without a zombie
// if nobody asks. Join gives the reason:
//
//	the function                             Join                exit code
//	returned nil                             nil                 0
//	returned an error                        *RemoteError        1
//	panicked, or another goroutine did       *RemoteError        2, with the stack
//	called os.Exit(n)                        nil or *ExitError   n
//	was killed by signal N                   *ExitError          −N
//
// A living grandchild delays nothing of this. By the time of Done the locks and
// queue slots that the process held in segments open here are released.
//
// A process is asked to end by Terminate, by SIGTERM, or by Ctrl-C: its context
// ends with the cause ErrTerminated, and if its function has not returned after
// its grace (half a second), it dies by the signal. A function that has never
// looked at its context dies at once. Main passes the requests that reach it on
// to all children, and insists by SIGKILL; so does a child with its children. Its
// result counts if its function has returned in time, and its children have
// their own grace.
//
// # Crashes
//
// What happens to the children when the parent is gone, by return, panic,
// os.Exit, any signal, kill -9 or exec:
//
//	daemon, EndWithParent    context ends with ErrParentDied, then grace, then the end: within a second
//	other                    context ends with ErrParentDied; the function decides
//	daemon of a parent       Main gives it SIGTERM, its grace, then SIGKILL
//	that returned to Main
//	other child of it        Main waits for it
//
// The news comes by two ways: a pipe whose other end only the parent has, and
// for those that must end the kernel's parent-death signal. What the parent was
// doing when it died does not matter.
//
// kill -9 of a child at any instruction leaves the parent with an exit code of
// −9 and nothing else: the outcome travels in a memory file that nobody can
// block on or hold open. If the child was killed between writing its outcome
// and its end, it was killed.
//
// # Costs
//
// Measured on a virtual machine with two cores:
//
//	Start and Join of an empty function       2.3 ms, of which the kernel and Go's runtime
//	                                          take 2.1 for any program of that size; 3.2
//	                                          and 2.8 in a program that uses package net
//	                                          and is linked with C (not with CGO_ENABLED=0)
//	the same in Python, start method spawn    55 ms
//	a running child                           2 descriptors and a goroutine here, no thread
//	a handle in the arguments                 a descriptor there, and for a moment here
//	asking to end a function that looks       0.3 ms, once, when it first looks
//	at its context
//
// # Limits
//
// Linux only, with /proc: elsewhere programs compile, and Start returns an error
// that is errors.ErrUnsupported. A child is not a copy of its parent: what the parent
// has changed in its variables the child does not see. Standard input of a
// child is empty unless the option Stdin gives it one.
package procs
