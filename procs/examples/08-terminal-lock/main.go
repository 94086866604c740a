// Several processes share one terminal. Without a lock their lines mix; with
// one they take turns.
//
//	lock = Lock()
//	p = Process(target=task, args=(lock,))
//
// One of them is killed while it holds the lock, which in Python stops the
// others for ever. Here the next one gets the lock, and is told.
package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"shmkit/futexlock"
	"shmkit/procs"
	"shmkit/shm"
)

type lock = shm.Object[futexlock.Mutex]

type args struct {
	Lock *lock // nil: without
	Who  string
}

var task = procs.Register("task", func(ctx context.Context, a args) error {
	if a.Lock != nil {
		err := a.Lock.Value().LockContext(ctx)
		if errors.Is(err, futexlock.ErrOwnerDied) {
			fmt.Println(a.Who, "has the lock of one who died")
			a.Lock.Value().Consistent() // the terminal needs no repair
		} else if err != nil {
			return err
		}
		defer a.Lock.Value().Unlock()
	}
	fmt.Println(a.Who, "is running")
	time.Sleep(100 * time.Millisecond)
	fmt.Println(a.Who, "is done")
	return nil
})

func main() { procs.Main(run) }

func run(ctx context.Context) error {
	fmt.Println("-- without a lock")
	if err := three(ctx, nil, 0); err != nil {
		return err
	}
	l, err := shm.New[futexlock.Mutex]()
	if err != nil {
		return err
	}
	defer l.Close()
	fmt.Println("-- with a lock")
	if err := three(ctx, l, 0); err != nil {
		return err
	}
	fmt.Println("-- with a lock whose first holder is killed")
	return three(ctx, l, 1)
}

// three runs three tasks and kills the first so many.
func three(ctx context.Context, l *lock, kill int) error {
	for i := range 3 {
		p := task.Process(args{l, fmt.Sprint("task ", i)})
		if err := p.Start(); err != nil {
			return err
		}
		time.Sleep(20 * time.Millisecond) // so that the first is the first
		if i < kill {
			p.Kill()
		}
		defer p.Join(ctx)
	}
	return nil
}
