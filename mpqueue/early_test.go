package mpqueue_test

import (
	"context"
	"errors"
	"testing"

	"shmkit/mpqueue"
	"shmkit/procs/procstest"
)

// early is what became of a queue that was made, filled and emptied while the
// packages of the program were initialised: before main, in a child even before
// it has looked at what its parent gave it.
var early = func() error {
	q, err := mpqueue.New[string](2)
	if err != nil {
		return err
	}
	got := make(chan string)
	go func() { // sleeps before there is anything
		v, _ := q.Get(context.Background())
		got <- v
	}()
	if err := q.Put(context.Background(), "to a goroutine"); err != nil {
		return err
	}
	if v := <-got; v != "to a goroutine" {
		return errors.New("got " + v)
	}
	if err := q.TryPut("to myself"); err != nil {
		return err
	}
	if v, err := q.TryGet(); v != "to myself" || err != nil {
		return errors.Join(err, errors.New("got "+v))
	}
	return q.Close()
}()

var earlyRole = procstest.Role("mpqueue-early", func(ctx context.Context, q *mpqueue.Queue[string]) error {
	if early != nil {
		return early
	}
	return q.Put(ctx, "later")
})

// TestQueueBeforeMain: a queue can be used by the initialisation of a package, in a
// program and in its children, and what they are given afterwards is not hurt.
func TestQueueBeforeMain(t *testing.T) {
	if early != nil {
		t.Fatal(early)
	}
	q := newQueue[string](t, 1)
	if s := earlyRole.Start(t, q).Wait(); s.Err != nil {
		t.Fatal(s)
	}
	if v, err := q.TryGet(); v != "later" || err != nil {
		t.Fatal(v, err)
	}
}
