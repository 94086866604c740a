// Zombies and orphans, of which the tutorial warns, do not come about.
//
// A zombie is a dead child that nobody has waited for. Every child here is
// waited for by the package, whether the program joins it or not.
//
// An orphan is a child whose parent is dead. Here it is told: its context ends
// with procs.ErrParentDied, even if the parent was killed by kill -9.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"shmkit/procs"
)

// middle starts a child and is then killed in the middle of its work.
var middle = procs.Register("middle", func(ctx context.Context, _ struct{}) error {
	if err := grandchild.Process(struct{}{}).Start(); err != nil {
		return err
	}
	time.Sleep(time.Hour)
	return nil
})

var grandchild = procs.Register("grandchild", func(ctx context.Context, _ struct{}) error {
	fmt.Println("grandchild: my parent is", procs.Parent().Name())
	<-ctx.Done()
	fmt.Println("grandchild:", context.Cause(ctx))
	return nil
})

var quick = procs.Register("quick", func(ctx context.Context, _ struct{}) error { return nil })

func main() { procs.Main(run) }

func run(ctx context.Context) error {
	p := quick.Process(struct{}{})
	if err := p.Start(); err != nil {
		return err
	}
	<-p.Done() // not joined: but it has ended, and
	_, err := os.Stat(fmt.Sprintf("/proc/%d", p.PID()))
	fmt.Println("a zombie is left:", err == nil)

	m := middle.Process(struct{}{}, procs.Name("middle"))
	if err := m.Start(); err != nil {
		return err
	}
	time.Sleep(200 * time.Millisecond)
	m.Kill() // kill -9: no code of middle runs any more
	fmt.Println("join:", m.Join(ctx))
	time.Sleep(200 * time.Millisecond) // for the grandchild to say its word
	return nil
}
