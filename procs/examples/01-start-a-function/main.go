// Create and start a process, the first way: a function and its arguments.
//
//	p = Process(target=task, args=('Alex',))
//	p.start()
//	print('主函数')
package main

import (
	"context"
	"fmt"
	"time"

	"shmkit/procs"
)

// task is known to parent and child under its name. Its argument is typed: a
// wrong one does not compile.
var task = procs.Register("task", func(ctx context.Context, name string) error {
	fmt.Println(name, "is running")
	time.Sleep(300 * time.Millisecond)
	fmt.Println(name, "is done")
	return nil
})

func main() { procs.Main(run) }

func run(ctx context.Context) error {
	p := task.Process("Alex") // only an object: nothing runs yet
	if err := p.Start(); err != nil {
		return err
	}
	fmt.Println("main: started", p.Name())
	return nil // Main waits for Alex, as Python does at its end
}
