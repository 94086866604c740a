package mpqueue_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"shmkit/mpqueue"
	"shmkit/procs/procstest"
)

// What people complain of in queues over pipes, turned round.

var hasty = procstest.Role("mpqueue-hasty", func(ctx context.Context, a childArgs) error {
	for i := range a.N {
		b := bytes.Repeat([]byte{byte(i)}, 100_000)
		if err := a.Bytes.Put(ctx, b); err != nil {
			return err
		}
		clear(b) // what Put has taken is not this any more
	}
	if a.N == 1 {
		os.Exit(0)
	}
	return syscall.Kill(os.Getpid(), syscall.SIGKILL)
})

// Put is done when it returns: the child may end at once, be it by exit or by
// SIGKILL, without anything that has to be flushed, and its parent may wait for its
// end before it gets anything, however large that is.
func TestPutThenGone(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	for _, n := range []int{1, 30} {
		q := newQueue[[]byte](t, 100)
		p := hasty.Start(t, childArgs{Bytes: q, N: n})
		if s := p.Wait(); s.Err != nil && !s.Killed() {
			t.Fatal(s)
		}
		if q.Len() != n {
			t.Fatalf("%d of %d messages", q.Len(), n)
		}
		for i := range n {
			b, err := q.TryGet()
			if err != nil || len(b) != 100_000 || bytes.Count(b, []byte{byte(i)}) != len(b) {
				t.Fatalf("message %d: %d bytes, %v", i, len(b), err)
			}
		}
	}
}

var announcer = procstest.Role("mpqueue-announcer", func(ctx context.Context, a childArgs) error {
	for i := range a.N {
		if err := a.Queue.Put(ctx, i); err != nil {
			return err
		}
		a.Go.Value().Store(int32(i + 1))
		for a.Go.Value().Load() > 0 { // until it has been got
		}
	}
	return nil
})

// When a Put has returned, TryGet gets: there is no moment at which the queue seems
// empty to somebody who knows better.
func TestNoSpuriousEmpty(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	n := 5000
	if testing.Short() {
		n = 500
	}
	q, turn := newQueue[int](t, 8), counter(t)
	p := announcer.Start(t, childArgs{Queue: q, Go: turn, N: n})
	for i := range n {
		for turn.Value().Load() != int32(i+1) && p.Alive() {
		}
		if q.Empty() || q.Len() != 1 {
			t.Fatalf("item %d was put, Len is %d", i, q.Len())
		}
		if v, err := q.TryGet(); v != i || err != nil {
			t.Fatalf("item %d was put, TryGet says %d, %v", i, v, err)
		}
		turn.Value().Store(0)
	}
	if s := p.Wait(); s.Err != nil {
		t.Fatal(s)
	}
}

var endSeeker = procstest.Role("mpqueue-end-seeker", func(ctx context.Context, a childArgs) error {
	n := 0
	for v, err := range a.Queue.All(ctx) {
		if err != nil {
			return err
		}
		n += v
	}
	a.Go.Value().Add(int32(n))
	_, err := a.Queue.Get(ctx)
	if !errors.Is(err, io.EOF) {
		return errors.New("after the end: " + err.Error())
	}
	return nil
})

// The end is for everybody: each of several processes that wait sees it, after
// everything that came before it.
func TestEndForEverybody(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	q, sum := newQueue[int](t, 3), counter(t)
	var readers []*procstest.Proc
	for range 3 {
		readers = append(readers, endSeeker.Start(t, childArgs{Queue: q, Go: sum}))
	}
	for i := range 100 {
		if err := q.Put(background, i); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range readers {
		procstest.WaitBlocked(t, r.PID(), 1)
	}
	takes(t, "all see the end", 0, func() {
		q.CloseSend()
		for _, r := range readers {
			if s := r.Wait(); s.Err != nil {
				t.Error(s)
			}
		}
	})
	if got := sum.Value().Load(); got != 100*99/2 {
		t.Errorf("they got %d", got)
	}
}

var waitingGetter = procstest.Role("mpqueue-waiting-getter", func(ctx context.Context, a childArgs) error {
	for {
		if _, err := a.Queue.Get(ctx); err != nil {
			return err
		}
	}
})

// Who is killed while it waits in Get takes nothing with it that others need.
func TestKilledWhileWaiting(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	q := newQueue[int](t, 4)
	p := waitingGetter.Start(t, childArgs{Queue: q})
	procstest.WaitBlocked(t, p.PID(), 1)
	p.Kill()
	q.Put(background, 1)
	if v, err := q.TryGet(); v != 1 || err != nil {
		t.Fatal(v, err)
	}
	takes(t, "Get with a deadline after the death of another getter", 20*time.Millisecond, func() {
		if _, err := q.Get(within(t, 20*time.Millisecond)); !errors.Is(err, mpqueue.ErrEmpty) {
			t.Error(err)
		}
	})
}

var halfWay = procstest.Role("mpqueue-half-way", func(ctx context.Context, a childArgs) error {
	return a.Bytes.Put(ctx, bytes.Repeat([]byte("x"), 10_000_000))
})

// Who is killed in the middle of a large Put leaves nothing of it, and holds up
// nobody: deadlines hold, and later messages pass.
func TestKilledWhilePutting(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	q := newQueue[[]byte](t, 4)
	p := halfWay.Start(t, childArgs{Bytes: q}, procstest.KillAt("mpqueue.put.filled", 1))
	if s := p.Wait(); !s.Killed() {
		t.Fatal(s)
	}
	takes(t, "Get with a deadline", 20*time.Millisecond, func() {
		if _, err := q.Get(within(t, 20*time.Millisecond)); !errors.Is(err, mpqueue.ErrEmpty) {
			t.Error(err)
		}
	})
	q.Put(background, []byte("later"))
	if b, err := q.Get(background); string(b) != "later" || err != nil {
		t.Fatal(len(b), err)
	}
}

var postman = procstest.Role("mpqueue-postman", func(ctx context.Context, a childArgs) error {
	q, err := a.Posts.Get(ctx)
	if err != nil {
		return err
	}
	defer q.Close()
	return q.Put(ctx, 42)
})

// A queue can be sent through a queue, to a process that is running already.
func TestQueueThroughQueue(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	posts, q := newQueue[*mpqueue.Queue[int]](t, 2), newQueue[int](t, 2)
	p := postman.Start(t, childArgs{Posts: posts})
	procstest.WaitBlocked(t, p.PID(), 1)
	if err := posts.Put(background, q); err != nil {
		t.Fatal(err)
	}
	if v, err := q.Get(background); v != 42 || err != nil {
		t.Fatal(v, err)
	}
	if s := p.Wait(); s.Err != nil {
		t.Fatal(s)
	}
}

// What the caller changes after Put does not change what was put, and a value that
// cannot be encoded is the error of its own Put, not of somebody's Get.
func TestPutIsASnapshot(t *testing.T) {
	q := newQueue[[]string](t, 4)
	v := []string{"a", "b"}
	if err := q.Put(background, v); err != nil {
		t.Fatal(err)
	}
	v[0] = "changed"
	if got, err := q.Get(background); !slices.Equal(got, []string{"a", "b"}) || err != nil {
		t.Fatal(got, err)
	}
	a := newQueue[any](t, 4)
	if err := a.Put(background, func() {}); err == nil || !strings.Contains(err.Error(), "func()") {
		t.Fatal(err)
	}
	if a.Len() != 0 {
		t.Fatal(a.Len())
	}
	if err := a.Put(background, "fine"); err != nil {
		t.Fatal(err)
	}
	if got, err := a.Get(background); got != "fine" || err != nil {
		t.Fatal(got, err)
	}
}
