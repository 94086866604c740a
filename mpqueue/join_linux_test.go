package mpqueue_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"shmkit/mpqueue"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

type returnerArgs struct {
	Queue *mpqueue.Queue[int]
	Turns *shm.Object[turns]
}

// returner receives an item and gives it back.
var returner = procstest.Role("mpqueue-returner", func(ctx context.Context, a returnerArgs) error {
	i, err := a.Queue.Receive(ctx)
	if err != nil {
		return err
	}
	a.Turns.Value().there[0].Store(1)
	if !wait(&a.Turns.Value().begin[0]) {
		return errors.New("it does not begin")
	}
	err = i.Requeue()
	a.Turns.Value().done[0].Store(1)
	<-ctx.Done() // its end would wake everybody
	return err
})

// An item is given back by a process that stands still before it has counted it out; it
// is delivered again and dealt with meanwhile. Who then waits for room, or for the end of
// all tasks, still finds it counted, and has to be told when it is not.
func TestRequeueTellsWhoWaits(t *testing.T) {
	for name, call := range map[string]func(ctx context.Context, q *mpqueue.Queue[int]) error{
		"Join": func(ctx context.Context, q *mpqueue.Queue[int]) error { return q.Join(ctx) },
		"Put":  func(ctx context.Context, q *mpqueue.Queue[int]) error { return q.Put(ctx, 2) },
	} {
		t.Run(name, func(t *testing.T) {
			procstest.Watchdog(t, time.Minute)
			q := newQueue[int](t, 1, mpqueue.Joinable())
			o, err := shm.New[turns]()
			if err != nil {
				t.Fatal(err)
			}
			defer o.Close()
			if err := q.Put(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
			p := returner.Start(t, returnerArgs{q, o}, procstest.StopAt("mpqueue.requeue.announced", 1))
			if !wait(&o.Value().there[0]) {
				t.Fatal("a process does not come")
			}
			waits := make(chan error, 1)
			go func() { waits <- call(within(t, 20*time.Second), q) }()
			procstest.WaitBlocked(t, 0, 1)
			o.Value().begin[0].Store(1)
			p.WaitStopped()
			if v, err := q.Get(t.Context()); v != 1 || err != nil {
				t.Fatal(v, err)
			}
			q.TaskDone()
			for _, full := mpqueue.SleepWords(q); mpqueue.Pending(full); _, full = mpqueue.SleepWords(q) {
				time.Sleep(50 * time.Microsecond) // until who was woken has looked
			}
			idle, full := mpqueue.SleepWords(q)
			p.Cont()
			if !wait(&o.Value().done[0]) {
				t.Fatal("a process does not finish")
			}
			idleNow, fullNow := mpqueue.SleepWords(q)
			if name == "Join" && idleNow == idle || name == "Put" && fullNow == full {
				t.Errorf("%s is not told: idle %#x, then %#x; notFull %#x, then %#x", name, idle, idleNow, full, fullNow)
			}
			if err := <-waits; err != nil {
				t.Error(err)
			}
		})
	}
}

// The tasks of a process last as long as it is attached, though it closes its last
// handle of the queue meanwhile: here it has the segment open; it could be a handle that
// is just being opened, or one that has been marshaled.
func TestTasksOutliveTheirHandle(t *testing.T) {
	const name = "tasks-outlive"
	before := mpqueue.TasksKept()
	q, err := mpqueue.Create[int](name, 2, mpqueue.Joinable())
	if err != nil {
		t.Fatal(err)
	}
	defer shm.Remove(name)
	if err := q.Put(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if _, err := q.Get(t.Context()); err != nil {
		t.Fatal(err)
	}
	for again := range 3 {
		s, err := shm.OpenSegment(name, shm.WithKind(mpqueue.KindQueue))
		if err != nil {
			t.Fatal(err)
		}
		q.Close()
		if q, err = mpqueue.Open[int](name); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil || mpqueue.TasksKept() != before+1 {
			t.Fatal(err, mpqueue.TasksKept())
		}
		if again == 1 {
			q.TaskDone()
		}
	}
	if err := q.Join(within(t, 20*time.Second)); err != nil {
		t.Error(err)
	}
	q.Close()
	if n := mpqueue.TasksKept(); n != before {
		t.Errorf("the lists of tasks of %d queues are left", n-before)
	}
}
