// A daemon ends with its parent, and may have no children.
//
//	p.daemon = True
//	p.start()
//
// In Python a daemon lives on if its parent is killed. Here it ends with it
// under every death, kill -9 included.
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
	time.Sleep(time.Hour)
	fmt.Println(name, "is done") // never
	return nil
})

var ambitious = procs.Register("ambitious", func(ctx context.Context, _ struct{}) error {
	return task.Process("grandchild").Start()
})

func main() { procs.Main(run) }

func run(ctx context.Context) error {
	p := task.Process("Alex", procs.Daemon()) // an option, so it is set before the start
	if err := p.Start(); err != nil {
		return err
	}
	fmt.Println("main: daemon", p.Daemon())

	q := ambitious.Process(struct{}{}, procs.Daemon())
	if err := q.Start(); err != nil {
		return err
	}
	var remote *procs.RemoteError
	if err := q.Join(ctx); errors.As(err, &remote) {
		fmt.Println("main:", remote.Message)
	}

	time.Sleep(200 * time.Millisecond)
	fmt.Println("main: done")
	return nil // and Alex ends here
}
