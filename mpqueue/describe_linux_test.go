package mpqueue_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"shmkit/mpqueue"
	"shmkit/procs"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

type shownArgs struct {
	Queue *mpqueue.Queue[int]
	Gets  bool
}

// shown stops in the middle of an operation.
var shown = procstest.Role("mpqueue-shown", func(ctx context.Context, a shownArgs) error {
	if a.Gets {
		_, err := a.Queue.Get(ctx)
		return err
	}
	return a.Queue.Put(ctx, 1)
})

// TestDescribe looks at a queue as shmctl does: what is in it, who is in the middle
// of what, who waits, and how much has passed.
func TestDescribe(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	q, err := mpqueue.Create[int]("described", 10)
	if err != nil {
		t.Fatal(err)
	}
	defer shm.Remove("described")
	defer q.Close()
	look := func() shm.Item {
		t.Helper()
		s, err := shm.Peek("described")
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		items := shm.Describe(s)
		if len(items) != 1 {
			t.Fatalf("%+v", items)
		}
		t.Log(items[0])
		return items[0]
	}
	says := func(want ...string) {
		t.Helper()
		it := look()
		for _, w := range want {
			if !strings.Contains(it.State, w) {
				t.Errorf("%q does not say %q", it.State, w)
			}
		}
	}
	says("0 of 10 items")
	for i := range 5 {
		q.Put(background, i)
	}
	i, err := q.Receive(background)
	if err != nil {
		t.Fatal(err)
	}
	says("4 of 10 items", "1 leased by")
	i.Requeue()
	says("5 of 10 items", "1 to be delivered again")
	writer := shown.Start(t, shownArgs{q, false}, procstest.StopAt("mpqueue.put.claimed", 1), procstest.With(procs.Name("cook")))
	writer.WaitStopped()
	q.Get(background) // the one that comes back
	reader := shown.Start(t, shownArgs{q, true}, procstest.StopAt("mpqueue.get.claimed", 1), procstest.With(procs.Name("guest")))
	reader.WaitStopped()
	says("3 of 10 items", "cook (pid ", "writes position 5", "guest (pid ", "reads position 1")
	writer.Kill()
	reader.Cont()
	if s := reader.Wait(); s.Err != nil {
		t.Fatal(s)
	}
	p, err := q.Producer()
	if err != nil {
		t.Fatal(err)
	}
	says("3 of 10 items", "is registered as a producer")
	p.Close()
	says("closed")
	want := []shm.Counter{{Name: "puts", Value: 6}, {Name: "gets", Value: 2}, {Name: "redelivered", Value: 1}, {Name: "aborted", Value: 1}, {Name: "dropped"}}
	if got := look().Counters; !slices.Equal(got, want) {
		t.Errorf("counted %v, want %v", got, want)
	}
}
