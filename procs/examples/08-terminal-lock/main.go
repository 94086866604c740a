// Several processes share one terminal, with a lock or without.
//
//	lock = Lock()
//	p = Process(target=task, args=(lock,))
//
// One is killed while it holds the lock, which in Python stops the others for
// ever. Here the next one gets the lock, and is told.
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

type args struct {
	Lock *shm.Object[futexlock.Mutex] // nil: without
	Who  string
	Work time.Duration
}

var task = procs.Register("task", func(ctx context.Context, a args) error {
	if a.Lock != nil {
		err := a.Lock.Value().LockContext(ctx)
		if errors.Is(err, futexlock.ErrOwnerDied) {
			fmt.Println(a.Who, "has the lock of one who died")
			a.Lock.Value().Consistent() // a terminal needs no repair
		} else if err != nil {
			return err
		}
		defer a.Lock.Value().Unlock()
	}
	fmt.Println(a.Who, "is running")
	time.Sleep(a.Work)
	fmt.Println(a.Who, "is done")
	return nil
})

func main() { procs.Main(run) }

func run(ctx context.Context) error {
	l, err := shm.New[futexlock.Mutex]()
	if err != nil {
		return err
	}
	fmt.Println("-- without a lock")
	err = three(ctx, nil, false)
	fmt.Println("-- with a lock")
	err = errors.Join(err, three(ctx, l, false))
	fmt.Println("-- with a lock whose first holder is killed")
	return errors.Join(err, three(ctx, l, true))
}

// three runs three tasks, and may kill the first while it holds the lock.
func three(ctx context.Context, l *shm.Object[futexlock.Mutex], kill bool) error {
	var tasks [3]*procs.Process
	for i := range tasks {
		work := 50 * time.Millisecond
		if kill && i == 0 {
			work = time.Hour
		}
		tasks[i] = task.Process(args{l, fmt.Sprint("task ", i), work})
		if err := tasks[i].Start(); err != nil {
			return err
		}
		for held := !kill; !held; time.Sleep(50 * time.Millisecond) { // until somebody has it
			_, held = l.Value().Owner()
		}
	}
	if kill {
		tasks[0].Kill()
	}
	tasks[0].Join(ctx) // an error, if it was killed
	return errors.Join(tasks[1].Join(ctx), tasks[2].Join(ctx))
}
