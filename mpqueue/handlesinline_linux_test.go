package mpqueue_test

import (
	"bytes"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"shmkit/mpqueue"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

// TestHandlesCloseInLine closes a handle by which a goroutine waits that does not
// sleep, for another one of its process, by another handle, sleeps for both.
func TestHandlesCloseInLine(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	for name, wait := range map[string]func(q *mpqueue.Queue[[]byte]) error{
		"Get":        func(q *mpqueue.Queue[[]byte]) error { _, err := q.Get(background); return err },
		"Put":        func(q *mpqueue.Queue[[]byte]) error { return q.Put(background, text(1)) },
		"Put, block": func(q *mpqueue.Queue[[]byte]) error { return q.Put(background, text(60<<10)) },
	} {
		t.Run(name, func(t *testing.T) {
			capacity, large := 1, 0
			if name == "Put, block" {
				capacity, large = 2, 60<<10
			}
			q := newQueue[[]byte](t, capacity, mpqueue.WithMaxBytes(64<<10))
			if name != "Get" {
				if err := q.Put(background, text(1+large)); err != nil {
					t.Fatal(err)
				}
			}
			stays, gone := anotherHandle(t, q), anotherHandle(t, q)
			first, left := make(chan error, 1), make(chan error, 1)
			go func() { first <- wait(stays) }()
			procstest.WaitBlocked(t, 0, 1)
			go func() { left <- wait(gone) }()
			for goroutinesIn("shm.(*Segment).Lead(") == 0 && goroutinesIn("shm.(*Segment).Sleep(") < 2 {
				time.Sleep(time.Millisecond)
			}
			gone.Close()
			select {
			case err := <-left:
				if err != shm.ErrClosed {
					t.Error(err)
				}
			case <-time.After(5 * time.Second):
				t.Error("who stands in line is not told that its handle is closed")
			}
			stays.Close()
			if err := <-first; err != shm.ErrClosed {
				t.Error(err)
			}
		})
	}
}

// TestTaskDoneOfOthers: while one goroutine copies a message out another one calls
// TaskDone for its own. That ends the task of the older message, and must not free
// the memory that is being copied.
func TestTaskDoneOfOthers(t *testing.T) {
	q := newQueue[[]byte](t, 4, mpqueue.Joinable(), mpqueue.WithMaxBytes(16<<20))
	const rounds, size = 2000, 1 << 20
	go func() {
		for i := range rounds {
			n := size
			if i%8 != 0 {
				n = 10
			}
			q.Put(background, bytes.Repeat([]byte{byte(i)}, n))
		}
		q.CloseSend()
	}()
	errs := make(chan error)
	var torn atomic.Int32
	for range 6 {
		go func() {
			for {
				b, err := q.Get(background)
				if err != nil {
					if errors.Is(err, mpqueue.ErrClosed) {
						err = nil
					}
					errs <- err
					return
				}
				if bytes.Count(b, b[:1]) != len(b) {
					torn.Add(1)
				}
				q.TaskDone()
			}
		}()
	}
	for range 6 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if n := torn.Load(); n > 0 {
		t.Errorf("%d messages are of two", n)
	}
}
