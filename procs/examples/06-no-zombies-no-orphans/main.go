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

	"shmkit/futexlock"
	"shmkit/procs"
	"shmkit/shm"
)

// News is how the grandchild tells its grandparent how far it is.
type News struct{ Here, Told futexlock.Event }

// middle starts a child and is then killed in the middle of its work.
var middle = procs.Register("middle", func(ctx context.Context, n *shm.Object[News]) error {
	if err := grandchild.Process(n).Start(); err != nil {
		return err
	}
	time.Sleep(time.Hour)
	return nil
})

var grandchild = procs.Register("grandchild", func(ctx context.Context, n *shm.Object[News]) error {
	fmt.Println("grandchild: my parent is", procs.Parent().Name())
	n.Value().Here.Set()
	<-ctx.Done()
	fmt.Println("grandchild:", context.Cause(ctx))
	n.Value().Told.Set()
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

	n, err := shm.New[News]()
	if err != nil {
		return err
	}
	defer n.Close()
	m := middle.Process(n, procs.Name("middle"))
	if err := m.Start(); err != nil {
		return err
	}
	if err := n.Value().Here.Wait(ctx); err != nil {
		return err
	}
	m.Kill() // kill -9: no code of middle runs any more
	fmt.Println("join:", m.Join(ctx))
	return n.Value().Told.Wait(ctx)
}
