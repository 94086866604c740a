// Create and start a process, the second way: a type with a Run method.
//
//	class Task(Process):
//	    def __init__(self, name): super().__init__(); self.name = name
//	    def run(self): ...
//	p = Task('Alex')
//	p.start()
package main

import (
	"context"
	"fmt"
	"time"

	"shmkit/procs"
)

// Task is what the process does. Its fields are its arguments.
type Task struct{ Name string }

// Run is called in the child, on a copy of the Task.
func (t Task) Run(ctx context.Context) error {
	fmt.Println(t.Name, "is running")
	time.Sleep(300 * time.Millisecond)
	fmt.Println(t.Name, "is done")
	return nil
}

var tasks = procs.RegisterRunner[Task]("task")

func main() { procs.Main(run) }

func run(ctx context.Context) error {
	p := tasks.Process(Task{Name: "Alex"})
	if err := p.Start(); err != nil {
		return err
	}
	fmt.Println("main: started", p.Name())

	// p.run() without p.start() calls the method right here, in this process.
	// Only what start started can be joined.
	q := tasks.Process(Task{Name: "Bob"})
	if err := q.Run(ctx); err != nil {
		return err
	}
	fmt.Println("main:", q.Join(ctx))
	return p.Join(ctx)
}
