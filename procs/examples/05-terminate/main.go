// Ending a process from outside, and asking how it is.
//
//	p.terminate()
//	print(p.is_alive())
//	print(p.pid, p.exitcode)
//
// Python's manual warns: a terminated process may hold a lock for ever, and
// break the queues it was using. Here it does neither; see 08.
package main

import (
	"context"
	"fmt"
	"time"

	"shmkit/futexlock"
	"shmkit/procs"
	"shmkit/shm"
)

// deaf does not look at its context: SIGTERM ends it at once.
var deaf = procs.Register("deaf", func(ctx context.Context, _ struct{}) error {
	time.Sleep(time.Hour)
	return nil
})

// polite sees its context end, cleans up, and returns. It has half a second.
var polite = procs.Register("polite", func(ctx context.Context, ready *shm.Object[futexlock.Event]) error {
	asked := ctx.Done()
	fmt.Println("polite: working")
	ready.Value().Set() // Python's Event
	<-asked
	fmt.Println("polite: tidied up, because I was", context.Cause(ctx))
	return nil
})

func main() { procs.Main(run) }

func run(ctx context.Context) error {
	p := deaf.Process(struct{}{})
	fmt.Println("before the start: alive", p.Alive())
	if err := p.Start(); err != nil {
		return err
	}
	fmt.Println("started: alive", p.Alive(), "pid", p.PID())
	if err := p.Terminate(); err != nil { // does not wait: it may be alive for a moment
		return err
	}
	fmt.Println("join:", p.Join(ctx))
	code, _ := p.ExitCode()
	fmt.Println("ended: alive", p.Alive(), "exit code", code) // -15: signal 15

	ready, err := shm.New[futexlock.Event]()
	if err != nil {
		return err
	}
	defer ready.Close()
	q := polite.Process(ready)
	if err := q.Start(); err != nil {
		return err
	}
	if err := ready.Value().Wait(ctx); err != nil {
		return err
	}
	if err := q.Terminate(); err != nil {
		return err
	}
	fmt.Println("join:", q.Join(ctx))
	return nil
}
