// Each process has its own memory. What is to be shared has to be said.
//
//	x = 100
//	def task():
//	    global x
//	    x = 0
package main

import (
	"context"
	"fmt"
	"sync/atomic"

	"shmkit/procs"
	"shmkit/shm"
)

var x = 100

// task sets the x of its own process, and y, which it shares with its parent.
var task = procs.Register("task", func(ctx context.Context, y *shm.Object[atomic.Int64]) error {
	x = 0
	y.Value().Store(0)
	fmt.Println("child:  x =", x, " y =", y.Value().Load())
	return nil
})

func main() { procs.Main(run) }

func run(ctx context.Context) error {
	y, err := shm.New[atomic.Int64]() // Python's Value('q', 100)
	if err != nil {
		return err
	}
	defer y.Close()
	y.Value().Store(100)

	p := task.Process(y)
	if err := p.Start(); err != nil {
		return err
	}
	if err := p.Join(ctx); err != nil {
		return err
	}
	fmt.Println("parent: x =", x, " y =", y.Value().Load())
	return nil
}
