// Join waits for the end of a process. Only the parent waits; the child runs.
//
//	p.start()
//	p.join()
//	p.join(timeout)
package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"shmkit/procs"
)

var task = procs.Register("task", func(ctx context.Context, name string) error {
	fmt.Println(name, "is running")
	time.Sleep(300 * time.Millisecond)
	fmt.Println(name, "is done")
	return nil
})

// Unlike in Python, Join says how the child ended: its error arrives.
var careless = procs.Register("careless", func(ctx context.Context, name string) error {
	return fmt.Errorf("%s has burnt the 包子", name)
})

func main() { procs.Main(run) }

func run(ctx context.Context) error {
	p := task.Process("Alex")
	if err := p.Start(); err != nil {
		return err
	}
	// A timeout is a context's deadline. The process goes on.
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if err := p.Join(short); errors.Is(err, context.DeadlineExceeded) {
		fmt.Println("main: still waiting")
	}
	if err := p.Join(ctx); err != nil {
		return err
	}
	fmt.Println("main: Alex has ended")

	q := careless.Process("Bob", procs.Name("cook-2"))
	if err := q.Start(); err != nil {
		return err
	}
	err := q.Join(ctx)
	var remote *procs.RemoteError
	if errors.As(err, &remote) {
		fmt.Printf("main: %s failed: %s\n", remote.Process, remote.Message)
	}
	return nil
}
