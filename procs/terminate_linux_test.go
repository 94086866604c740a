package procs_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"shmkit/futexlock"
	"shmkit/mpqueue"
	"shmkit/procs"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

// A ward is what Python's manual warns to terminate a process in.
type ward struct {
	Mutex *shm.Object[futexlock.Mutex]
	Queue *mpqueue.Queue[int]
	Flag  *shm.Object[flag]
}

func newWard(t *testing.T) ward {
	t.Helper()
	m, err := shm.New[futexlock.Mutex]()
	if err != nil {
		t.Fatal(err)
	}
	q, err := mpqueue.New[int](8)
	if err != nil {
		t.Fatal(err)
	}
	w := ward{m, q, newFlag(t)}
	t.Cleanup(func() {
		for _, err := range append(shm.Check(m.Segment()), shm.Check(q.Segment())...) {
			t.Errorf("after test: %v", err)
		}
		m.Close()
		q.Close()
	})
	return w
}

// hold takes the lock, passes three messages, and stops for ever: inside Put if
// the test has armed a point there, else with the lock in its hand.
var hold = procstest.Role("hold", func(ctx context.Context, w ward) error {
	if err := w.Mutex.Value().Lock(); err != nil {
		return err
	}
	for i := range 3 {
		if err := w.Queue.Put(ctx, i); err != nil {
			return err
		}
	}
	w.Flag.Value().Raised.Store(1)
	<-ctx.Done()
	select {} // stubborn: it dies with the lock
})

// Whatever a process is doing when it is terminated or killed: the lock goes to
// the next one, who is told, the messages whose Put had returned are there, and
// the queue works on. When Join returns the recovery is over.
func TestTerminateInTheMiddle(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	for _, c := range []struct {
		name    string
		opts    []procstest.Option
		arrived int
		end     func(*procstest.Proc)
	}{
		{"terminate, holding", nil, 3, func(p *procstest.Proc) { p.Terminate() }},
		{"kill, holding", nil, 3, func(p *procstest.Proc) { p.Process.Kill() }},
		{"stopped in Put", []procstest.Option{procstest.StopAt("mpqueue.put.claimed", 3)}, 2, func(p *procstest.Proc) {
			p.WaitStopped()
			p.Process.Kill()
		}},
		{"killed in Put", []procstest.Option{procstest.KillAt("mpqueue.put.claimed", 3)}, 2, func(*procstest.Proc) {}},
		{"killed after the commit", []procstest.Option{procstest.KillAt("mpqueue.put.committed", 2)}, 2, func(*procstest.Proc) {}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWard(t)
			p := hold.Start(t, w, append(c.opts, procstest.With(procs.Grace(20*time.Millisecond)))...)
			if c.opts == nil {
				awaitFlag(t, w.Flag, 1)
			}
			c.end(p)
			p.Wait()
			begin := time.Now()
			if err := w.Mutex.Value().Lock(); !errors.Is(err, futexlock.ErrOwnerDied) {
				t.Errorf("Lock = %v", err)
			}
			took := time.Since(begin)
			t.Logf("the lock came %v after the end", took)
			if took > time.Second {
				t.Errorf("the lock came %v after the end", took)
			}
			w.Mutex.Value().Consistent()
			w.Mutex.Value().Unlock()
			for want := range c.arrived {
				if v, err := w.Queue.Get(t.Context()); v != want || err != nil {
					t.Errorf("Get = %d, %v, want %d", v, err, want)
				}
			}
			if v, err := w.Queue.TryGet(); !errors.Is(err, mpqueue.ErrEmpty) {
				t.Errorf("TryGet = %d, %v", v, err)
			}
			for i := range 20 { // more than once around the ring
				if err := w.Queue.Put(t.Context(), i); err != nil {
					t.Fatal(err)
				}
				if v, err := w.Queue.Get(t.Context()); v != i || err != nil {
					t.Fatalf("Get = %d, %v, want %d", v, err, i)
				}
			}
		})
	}
}

// postbox receives handles of objects that did not exist when it was started.
var postbox = procs.Register("postbox", func(ctx context.Context, q *mpqueue.Queue[string]) error {
	for text, err := range q.All(ctx) {
		if err != nil {
			return err
		}
		var o shm.Object[counter]
		if err := o.UnmarshalText([]byte(text)); err != nil {
			return err
		}
		o.Value().N.Add(1)
		if err := o.Close(); err != nil {
			return err
		}
	}
	return nil
})

func TestHandlesThroughAQueue(t *testing.T) {
	q, err := mpqueue.New[string](2)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	p := start(t, postbox.Process(q))
	var all []*shm.Object[counter]
	for range 5 {
		o := newCounter(t)
		all = append(all, o)
		text, err := o.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		if err := q.Put(t.Context(), string(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := q.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if err := p.Join(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i, o := range all {
		if n := o.Value().N.Load(); n != 1 {
			t.Errorf("object %d was counted %d times", i, n)
		}
	}
}

// A result may hold a handle of what the parent has, too.
var giveBack = procs.RegisterFunc("give back", func(_ context.Context, o *shm.Object[counter]) (map[string]*shm.Object[counter], error) {
	return map[string]*shm.Object[counter]{"it": o}, nil
})

// makeNew returns a handle of an object that ends with the process.
var makeNew = procs.RegisterFunc("make new", func(context.Context, struct{}) (*shm.Object[counter], error) {
	return shm.New[counter]()
})

func TestHandlesInResults(t *testing.T) {
	o := newCounter(t)
	p := giveBack.Process(o)
	start(t, p.Process)
	got, err := p.Result(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got["it"].Value().N.Store(9)
	if o.Value().N.Load() != 9 {
		t.Error("the handle leads to another object")
	}
	got["it"].Close()

	n := makeNew.Process(struct{}{})
	start(t, n.Process)
	_, err = n.Result(t.Context())
	var handle *shm.HandleError
	if !errors.As(err, &handle) {
		t.Errorf("Result = %v", err)
	}
	if err != nil && fmt.Sprint(err) == "" {
		t.Error("no words")
	}
}
