// A queue: many processes may put, many may get.
//
//	q = Queue(3)
//	q.put('first'); q.put(2); q.put({'count': 3})
//	q.put('fourth', block=False)      # Full
//	q.put('fourth', timeout=3)        # Full, after 3 seconds
//	print(q.get())
//	print(q.get(block=False))         # Empty
package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"shmkit/mpqueue"
	"shmkit/procs"
)

var reader = procs.Register("reader", func(ctx context.Context, q *mpqueue.Queue[any]) error {
	v, err := q.Get(ctx) // waits while the queue is empty
	fmt.Println("child got", v)
	return err
})

func main() { procs.Main(run) }

func run(ctx context.Context) error {
	q, err := mpqueue.New[any](3) // Queue[string] would take strings only
	if err != nil {
		return err
	}
	defer q.Close()
	for _, v := range []any{"first", 2, map[string]int{"count": 3}} {
		if err := q.Put(ctx, v); err != nil { // waits while the queue is full
			return err
		}
	}
	// Unlike in Python these are true at the moment of the question, and Put
	// has put when it returns: no thread is still about to.
	fmt.Println("full", q.Full(), "empty", q.Empty(), "length", q.Len())

	if err := q.TryPut("fourth"); errors.Is(err, mpqueue.ErrFull) {
		fmt.Println("TryPut: full")
	}
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if err := q.Put(short, "fourth"); errors.Is(err, mpqueue.ErrFull) {
		fmt.Println("Put with a timeout: full")
	}

	p := reader.Process(q) // the queue is an argument like any other
	if err := p.Start(); err != nil {
		return err
	}
	if err := p.Join(ctx); err != nil {
		return err
	}
	for range 2 {
		v, err := q.Get(ctx)
		if err != nil {
			return err
		}
		fmt.Println("parent got", v)
	}
	if _, err := q.TryGet(); errors.Is(err, mpqueue.ErrEmpty) {
		fmt.Println("TryGet: empty")
	}
	return nil
}
