package mpqueue_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"shmkit/mpqueue"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

// What a program expects of a queue between processes, one test for each
// expectation, with a child at the other end.

type childArgs struct {
	Queue *mpqueue.Queue[int]
	Bytes *mpqueue.Queue[[]byte]
	Bools *mpqueue.Queue[bool]
	Posts *mpqueue.Queue[*mpqueue.Queue[int]]
	Go    *shm.Object[atomic.Int32] // how far the parent is
	N     int
}

// takes fails the test unless f takes about as long as it should: no less, and
// far more only on a machine that is far too busy.
func takes(t *testing.T, what string, should time.Duration, f func()) {
	t.Helper()
	begin := time.Now()
	f()
	d := time.Since(begin)
	t.Logf("%s: %v", what, d.Round(10*time.Microsecond))
	if d < should || d > 10*should+time.Second {
		t.Errorf("%s took %v, want %v", what, d, should)
	}
}

var drainer = procstest.Role("mpqueue-drainer", func(ctx context.Context, a childArgs) error {
	for a.Go.Value().Load() == 0 {
		time.Sleep(100 * time.Microsecond)
	}
	for range a.N {
		if _, err := a.Queue.Get(ctx); err != nil {
			return err
		}
	}
	return nil
})

// A queue takes as many items as it says, then waits as long as it is told and no
// longer, and has room again when another process has drained it.
func TestFullAcrossProcesses(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	q, start := newQueue[int](t, 6), counter(t)
	p := drainer.Start(t, childArgs{Queue: q, Go: start, N: 6})
	if !q.Empty() || q.Full() || q.Len() != 0 || q.Cap() != 6 {
		t.Fatal(q.Len(), q.Cap())
	}
	for i, put := range []func(int) error{
		q.TryPut, func(i int) error { return q.Put(background, i) }, func(i int) error { return q.Put(done, i) },
		func(i int) error { return q.Put(within(t, time.Hour), i) }, q.TryPut,
		func(i int) error { _, err := q.PutBatch(background, []int{i}); return err },
	} {
		if err := put(i); err != nil {
			t.Fatal(i, err)
		}
		if q.Len() != i+1 {
			t.Fatalf("%d items put, Len is %d", i+1, q.Len())
		}
	}
	if q.Empty() || !q.Full() {
		t.Fatal("it is full")
	}
	const wait = 50 * time.Millisecond
	takes(t, "TryPut", 0, func() {
		if err := q.TryPut(7); err != mpqueue.ErrFull {
			t.Error(err)
		}
	})
	takes(t, "Put with a context that is done", 0, func() {
		if err := q.Put(done, 7); !errors.Is(err, mpqueue.ErrFull) || !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	takes(t, "Put with a deadline", wait, func() {
		if err := q.Put(within(t, wait), 7); !errors.Is(err, mpqueue.ErrFull) || !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
	start.Value().Store(1)
	if s := p.Wait(); s.Err != nil {
		t.Fatal(s)
	}
	if !q.Empty() || q.Full() || q.Len() != 0 {
		t.Fatal("it is drained")
	}
}

var filler = procstest.Role("mpqueue-filler", func(ctx context.Context, a childArgs) error {
	for i := range a.N {
		if err := a.Queue.Put(ctx, 2+i); err != nil {
			return err
		}
	}
	a.Go.Value().Store(1)
	return nil
})

// What a child has put is there in its order, for every way to get it, and then
// nothing, as long as one is willing to wait.
func TestEmptyAcrossProcesses(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	q, there := newQueue[int](t, 10), counter(t)
	if !q.Empty() {
		t.Fatal("it is new")
	}
	filler.Start(t, childArgs{Queue: q, Go: there, N: 5})
	until(t, there, 1)
	if q.Empty() || q.Len() != 5 {
		t.Fatal(q.Len())
	}
	for i, get := range []func() (int, error){
		func() (int, error) { return q.Get(background) }, q.TryGet, func() (int, error) { return q.Get(done) },
		func() (int, error) { return q.Get(within(t, time.Hour)) },
		func() (int, error) {
			i, err := q.Receive(background)
			if err != nil {
				return 0, err
			}
			return i.Value(), i.Done()
		},
	} {
		if v, err := get(); v != 2+i || err != nil {
			t.Fatalf("got %d, %v, want %d", v, err, 2+i)
		}
		if q.Len() != 4-i {
			t.Fatalf("%d items left, Len is %d", 4-i, q.Len())
		}
	}
	const wait = 200 * time.Millisecond
	takes(t, "TryGet", 0, func() {
		if _, err := q.TryGet(); err != mpqueue.ErrEmpty {
			t.Error(err)
		}
	})
	takes(t, "Get with a context that is done", 0, func() {
		if _, err := q.Get(done); !errors.Is(err, mpqueue.ErrEmpty) || !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	takes(t, "Get with a deadline", wait, func() {
		if _, err := q.Get(within(t, wait)); !errors.Is(err, mpqueue.ErrEmpty) || !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}

var observer = procstest.Role("mpqueue-observer", func(ctx context.Context, a childArgs) error {
	for range 2 { // before and after its first item
		if err := a.Bools.Put(ctx, a.Queue.Empty()); err != nil {
			return err
		}
		if err := a.Queue.Put(ctx, 1); err != nil {
			return err
		}
	}
	return nil
})

// A child sees the same queue: empty, and then not.
func TestEmptySeenByChild(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	q, answers := newQueue[int](t, 4), newQueue[bool](t, 4)
	p := observer.Start(t, childArgs{Queue: q, Bools: answers})
	if s := p.Wait(); s.Err != nil {
		t.Fatal(s)
	}
	for _, want := range []bool{true, false} {
		if got, err := answers.Get(background); got != want || err != nil {
			t.Fatal(got, err)
		}
	}
	if !answers.Empty() {
		t.Fatal("there is more")
	}
	q.Get(background)
	q.Get(background)
}

const quit = -1

var taskWorker = procstest.Role("mpqueue-task-worker", func(ctx context.Context, a childArgs) error {
	for {
		v, err := a.Queue.Get(ctx)
		if err != nil {
			return err
		}
		time.Sleep(time.Millisecond) // the work
		a.Go.Value().Add(1)
		a.Queue.TaskDone()
		if v == quit {
			return nil
		}
	}
})

// Join returns when four workers have dealt with everything, and the workers end
// when they are told so.
func TestJoinWorkers(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	q, worked := newQueue[int](t, 100, mpqueue.Joinable()), counter(t)
	var workers []*procstest.Proc
	for range 4 {
		workers = append(workers, taskWorker.Start(t, childArgs{Queue: q, Go: worked}))
	}
	for i := range 10 {
		q.Put(background, i)
	}
	if err := q.Join(background); err != nil || worked.Value().Load() != 10 {
		t.Fatalf("joined with %d of 10 tasks done: %v", worked.Value().Load(), err)
	}
	for range workers {
		q.Put(background, quit)
	}
	for _, w := range workers {
		if s := w.Wait(); s.Err != nil {
			t.Fatal(s)
		}
	}
	if err := q.Join(background); err != nil {
		t.Fatal(err)
	}
}
