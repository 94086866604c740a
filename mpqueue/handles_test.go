package mpqueue_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"shmkit/mpqueue"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

// anotherHandle returns one more handle of q in this process.
func anotherHandle[T any](t *testing.T, q *mpqueue.Queue[T]) *mpqueue.Queue[T] {
	t.Helper()
	b, err := q.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	q2 := new(mpqueue.Queue[T])
	if err := q2.UnmarshalBinary(b); err != nil {
		t.Fatal(err)
	}
	return q2
}

// receivedBefore puts 1 and returns it, received by a handle that is closed then.
func receivedBefore(t *testing.T, q, gone *mpqueue.Queue[int]) *mpqueue.Item[int] {
	t.Helper()
	q.Put(background, 1)
	i, err := gone.Receive(background)
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	return i
}

// reservedBefore returns a place reserved by a handle that is closed then.
func reservedBefore(t *testing.T, gone *mpqueue.Queue[int]) *mpqueue.Slot[int] {
	t.Helper()
	s, err := gone.Reserve(background)
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	return s
}

// TestHandlesGiveBack: what has been taken by a handle that is closed can still be
// given back while the process has another, and nothing is in the way of others.
func TestHandlesGiveBack(t *testing.T) {
	for name, leave := range map[string]func(t *testing.T, q, gone *mpqueue.Queue[int]){
		"Done": func(t *testing.T, q, gone *mpqueue.Queue[int]) {
			if err := receivedBefore(t, q, gone).Done(); err != nil {
				t.Error(err)
			}
		},
		"Requeue": func(t *testing.T, q, gone *mpqueue.Queue[int]) {
			if err := receivedBefore(t, q, gone).Requeue(); err != nil {
				t.Error(err)
			}
			if v, err := q.TryGet(); v != 1 || err != nil {
				t.Error(v, err)
			}
		},
		"Abort": func(t *testing.T, _, gone *mpqueue.Queue[int]) { reservedBefore(t, gone).Abort() },
		"Commit": func(t *testing.T, _, gone *mpqueue.Queue[int]) {
			if err := reservedBefore(t, gone).Commit(); err != shm.ErrClosed {
				t.Error(err)
			}
		},
		"Producer": func(t *testing.T, q, gone *mpqueue.Queue[int]) {
			p, err := gone.Producer()
			if err != nil {
				t.Fatal(err)
			}
			p2, err := q.Producer()
			if err != nil {
				t.Fatal(err)
			}
			gone.Close()
			if err := p.Close(); err != nil {
				t.Error(err)
			}
			p2.Put(background, 1)
			if v, err := q.TryGet(); v != 1 || err != nil {
				t.Error(v, err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			q := newQueue[int](t, 1)
			leave(t, q, anotherHandle(t, q))
			for range 3 { // places come round
				if err := q.TryPut(7); err != nil {
					t.Fatal(err)
				}
				if v, err := q.TryGet(); v != 7 || err != nil {
					t.Fatal(v, err)
				}
			}
			if s := q.Stats(); s.Leased+s.Reserved+s.Len != 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// TestHandlesClose closes a handle that another goroutine uses, at a random moment:
// it gets shm.ErrClosed, and what it has not got is there for the other handle.
func TestHandlesClose(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	q := newQueue[int](t, 64)
	rounds := 300
	if testing.Short() {
		rounds = 100
	}
	begin := time.Now()
	for round := range rounds {
		gone := anotherHandle(t, q)
		for i := range 64 {
			if err := q.TryPut(i); err != nil {
				t.Fatalf("round %d: %v: a place is lost", round, err)
			}
		}
		got := make(chan int)
		go func() {
			n := 0
			for {
				v, err := gone.Get(background)
				if err != nil {
					if err != shm.ErrClosed || n == 64 {
						err = nil // it waited, and was let go
					}
					break
				}
				if v != n {
					n = -1
					break
				}
				n++
			}
			got <- n
		}()
		time.Sleep(time.Duration(round) * 100 * time.Nanosecond)
		gone.Close()
		n := <-got
		for ; n < 64; n++ {
			if v, err := q.TryGet(); v != n || err != nil {
				t.Fatalf("round %d: %d, %v; want %d", round, v, err, n)
			}
		}
	}
	t.Logf("%d times closed and emptied in %v", rounds, time.Since(begin))
}

// TestHandlesCloseWakes closes a handle by which other goroutines wait, asleep, while
// the process has another one: they are told at once.
func TestHandlesCloseWakes(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	for name, wait := range map[string]func(q *mpqueue.Queue[int]) error{
		"Get":     func(q *mpqueue.Queue[int]) error { _, err := q.Get(background); return err },
		"Receive": func(q *mpqueue.Queue[int]) error { _, err := q.Receive(background); return err },
		"Put":     func(q *mpqueue.Queue[int]) error { return q.Put(background, 1) },
		"Join":    func(q *mpqueue.Queue[int]) error { return q.Join(background) },
	} {
		t.Run(name, func(t *testing.T) {
			q := newQueue[int](t, 1, mpqueue.Joinable())
			if name == "Put" || name == "Join" {
				q.Put(background, 1)
			}
			var took []time.Duration
			for range 5 {
				gone := anotherHandle(t, q)
				left := make(chan error)
				go func() { left <- wait(gone) }()
				procstest.WaitBlocked(t, 0, 1)
				begin := time.Now()
				gone.Close()
				if err := <-left; err != shm.ErrClosed {
					t.Fatal(err)
				}
				took = append(took, time.Since(begin))
			}
			slices.Sort(took)
			t.Log("let go after", took)
			if took[len(took)/2] > shm.Backstop/3 { // who is not woken is let go between 0 and 100 ms later: 50
				t.Error("too late")
			}
		})
	}
}

// TestHandlesShareTasks: TaskDone is for the oldest item of the process, whichever
// handle Get has returned it by.
func TestHandlesShareTasks(t *testing.T) {
	q := newQueue[int](t, 2, mpqueue.Joinable())
	other := anotherHandle(t, q)
	defer other.Close()
	for i := range 2 {
		q.Put(background, i)
	}
	q.Get(background)
	other.Get(background)
	other.TaskDone()
	short, cancel := context.WithTimeout(background, 20*time.Millisecond)
	defer cancel()
	if err := q.Join(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Join with an open task: %v", err)
	}
	q.TaskDone()
	if err := other.Join(timeout(t)); err != nil {
		t.Error(err)
	}
}

// TestHappensBefore uses plain variables, as users of a channel do: under the race
// detector every line here is a promise.
func TestHappensBefore(t *testing.T) {
	t.Run("Put, Get", func(t *testing.T) {
		q := newQueue[int](t, 1)
		x := 0
		go func() { x = 1; q.Put(background, 1) }()
		q.Get(background)
		x++
	})
	t.Run("Get, Put that needs the place", func(t *testing.T) {
		q := newQueue[int](t, 1)
		q.Put(background, 1)
		x := 0
		go func() { x = 1; q.Get(background) }()
		q.Put(background, 2)
		x++
	})
	t.Run("Done, Put that needs the place", func(t *testing.T) {
		q := newQueue[int](t, 1)
		q.Put(background, 1)
		i, err := q.Receive(background)
		if err != nil {
			t.Fatal(err)
		}
		x := 0
		go func() { x = 1; i.Done() }()
		q.Put(background, 2)
		x++
	})
	t.Run("TaskDone, Join", func(t *testing.T) {
		q := newQueue[int](t, 4, mpqueue.Joinable())
		var results [8]int
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				for {
					i, err := q.Get(background)
					if err != nil {
						return
					}
					results[i] = i
					q.TaskDone()
				}
			})
		}
		for i := range results {
			q.Put(background, i)
		}
		if err := q.Join(timeout(t)); err != nil {
			t.Fatal(err)
		}
		for i, r := range results {
			if i != r {
				t.Error(i, r)
			}
		}
		q.CloseSend()
		wg.Wait()
	})
	t.Run("Requeue, Receive", func(t *testing.T) {
		q := newQueue[int](t, 1)
		q.Put(background, 1)
		i, err := q.Receive(background)
		if err != nil {
			t.Fatal(err)
		}
		x := 0
		go func() { x = 1; i.Requeue() }()
		if i, err = q.Receive(background); err != nil {
			t.Fatal(err)
		}
		x++
		i.Done()
	})
	t.Run("CloseSend, ErrClosed", func(t *testing.T) {
		q := newQueue[int](t, 1)
		x := 0
		go func() { x = 1; q.CloseSend() }()
		q.Get(background)
		x++
	})
	t.Run("batches", func(t *testing.T) {
		q := newQueue[int](t, 2)
		x := [2]int{}
		go func() { x[0] = 1; q.PutBatch(background, []int{1, 2}) }()
		buf := make([]int, 2)
		for n := 0; n < 2; {
			k, _ := q.GetBatch(background, buf)
			n += k
		}
		x[0]++
	})
}
