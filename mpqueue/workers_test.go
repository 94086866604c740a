package mpqueue_test

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"shmkit/mpqueue"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

type workArgs struct {
	Queue  *mpqueue.Queue[int]
	Letter *mpqueue.Queue[int]
	Ready  *shm.Object[atomic.Int32]
}

// taker gets an item and never finishes it.
var taker = procstest.Role("taker", func(ctx context.Context, a workArgs) error {
	if _, err := a.Queue.Get(ctx); err != nil {
		return err
	}
	a.Ready.Value().Add(1)
	<-ctx.Done()
	return nil
})

var leaser = procstest.Role("leaser", func(ctx context.Context, a workArgs) error {
	if _, err := a.Queue.Receive(ctx); err != nil {
		return err
	}
	a.Ready.Value().Add(1)
	<-ctx.Done()
	return nil
})

var registered = procstest.Role("registered", func(ctx context.Context, a workArgs) error {
	p, err := a.Queue.Producer()
	if err != nil {
		return err
	}
	if err := p.Put(ctx, 42); err != nil {
		return err
	}
	a.Ready.Value().Add(1)
	<-ctx.Done()
	return nil
})

func counter(t *testing.T) *shm.Object[atomic.Int32] {
	t.Helper()
	o, err := shm.New[atomic.Int32]()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.Close() })
	return o
}

func until(t *testing.T, o *shm.Object[atomic.Int32], n int32) {
	t.Helper()
	for begin := time.Now(); o.Value().Load() < n; time.Sleep(time.Millisecond) {
		if time.Since(begin) > 20*time.Second {
			t.Fatal("nothing happens")
		}
	}
}

// TestJoinDeath kills a process between Get and TaskDone: Join must wait for the
// item to be done by another.
func TestJoinDeath(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	q, ready := newQueue[int](t, 8, mpqueue.Joinable()), counter(t)
	q.Put(background, 7)
	p := taker.Start(t, workArgs{Queue: q, Ready: ready})
	until(t, ready, 1)
	p.Kill()
	joined := make(chan error)
	go func() { joined <- q.Join(background) }()
	v, err := q.Get(background)
	if err != nil || v != 7 {
		t.Fatal(v, err)
	}
	select {
	case err := <-joined:
		t.Fatal("Join returned early:", err)
	default:
	}
	q.TaskDone()
	if err := <-joined; err != nil {
		t.Fatal(err)
	}
}

// TestDeadLetter kills consumers of one item until it is given up.
func TestDeadLetter(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	letters, ready := newQueue[int](t, 8), counter(t)
	q := newQueue[int](t, 8, mpqueue.WithMaxDeliveries(2), mpqueue.WithDeadLetter(letters))
	q.Put(background, 13)
	for n := range int32(2) {
		p := leaser.Start(t, workArgs{Queue: q, Ready: ready})
		until(t, ready, n+1)
		p.Kill()
		p.Wait()
	}
	q.Put(background, 14)
	if v, err := q.Get(background); v != 14 || err != nil {
		t.Fatal(v, err)
	}
	if v, err := letters.Get(background); v != 13 || err != nil {
		t.Fatal(v, err)
	}
	mustPanic(t, "WithDeadLetter", func() { mpqueue.New[string](1, mpqueue.WithDeadLetter(letters)) })
}

func TestAtMostOnce(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	q, ready := newQueue[int](t, 8, mpqueue.WithDelivery(mpqueue.AtMostOnce)), counter(t)
	q.Put(background, 1)
	p := leaser.Start(t, workArgs{Queue: q, Ready: ready})
	until(t, ready, 1)
	p.Kill()
	p.Wait()
	q.Put(background, 2)
	if v, err := q.Get(background); v != 2 || err != nil {
		t.Fatal(v, err)
	}
}

func TestProducers(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	q, ready := newQueue[int](t, 8), counter(t)
	p := registered.Start(t, workArgs{Queue: q, Ready: ready})
	until(t, ready, 1)
	p.Kill()
	if v, err := q.Get(background); v != 42 || err != nil {
		t.Fatal(v, err)
	}
	if _, err := q.Get(background); err != mpqueue.ErrAbandoned || errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	q = newQueue[int](t, 8)
	a, err := q.Producer()
	if err != nil {
		t.Fatal(err)
	}
	b, _ := q.Producer()
	a.Close()
	if err := b.Put(background, 1); err != nil {
		t.Fatal(err)
	}
	b.Close()
	b.Close()
	if v, err := q.Get(background); v != 1 || err != nil {
		t.Fatal(v, err)
	}
	if _, err := q.Get(background); err != mpqueue.ErrClosed {
		t.Fatal(err)
	}
	if _, err := q.Producer(); err != mpqueue.ErrClosed {
		t.Fatal(err)
	}
}
