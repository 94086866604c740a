// Producers and consumers of 包子, several of each, and an end.
//
// The tutorial's consumers wait for ever: nobody tells them that no more will
// come. Here the last cook closes the queue for everybody; the eaters empty it
// and see its end.
package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"shmkit/mpqueue"
	"shmkit/procs"
)

type cookArgs struct {
	Queue *mpqueue.Queue[string]
	Count int
}

var cook = procs.Register("cook", func(ctx context.Context, a cookArgs) error {
	me := procs.Current().Name()
	for i := range a.Count {
		pause()
		bun := fmt.Sprintf("包子 %d of %s", i, me)
		if err := a.Queue.Put(ctx, bun); err != nil { // waits while the queue is full
			return err
		}
		fmt.Println(me, "cooked", bun)
	}
	return nil
})

var eat = procs.RegisterFunc("eat", func(ctx context.Context, q *mpqueue.Queue[string]) (eaten int, err error) {
	me := procs.Current().Name()
	for bun, err := range q.All(ctx) { // ends when the queue is closed and empty
		if err != nil {
			return eaten, err
		}
		pause()
		fmt.Println(me, "ate", bun)
		eaten++
	}
	return eaten, nil
})

func pause() { time.Sleep(rand.N(30 * time.Millisecond)) }

func main() { procs.Main(run) }

func run(ctx context.Context) error {
	q, err := mpqueue.New[string](3)
	if err != nil {
		return err
	}
	defer q.Close()

	c := cookArgs{q, 4}
	cooks := []*procs.Process{cook.Process(c), cook.Process(c), cook.Process(c)}
	eaters := []*procs.ResultProcess[int]{eat.Process(q), eat.Process(q)}
	for _, p := range append(cooks, eaters[0].Process, eaters[1].Process) {
		if err := p.Start(); err != nil {
			return err
		}
	}
	for _, p := range cooks {
		err = errors.Join(err, p.Join(ctx))
	}
	err = errors.Join(err, q.CloseSend()) // no more 包子: for everybody
	total := 0
	for _, p := range eaters {
		eaten, e := p.Result(ctx)
		total, err = total+eaten, errors.Join(err, e)
	}
	fmt.Println("all 包子 eaten:", total)
	return err
}
