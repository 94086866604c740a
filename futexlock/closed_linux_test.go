package futexlock_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"shmkit/futexlock"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

// A closable is a lock that is held, and a way to wait for it.
type closable struct {
	name string
	open func(t *testing.T, opts ...shm.Option) opened
}

type opened struct {
	wait  func(ctx context.Context) error
	close func() error
	next  func() any // makes another object of the same type, and returns where it lies
	at    any        // where this one lies
}

// closing returns a closable: hold makes that wait has to wait.
func closing[T any](name string, hold func(*T), wait func(context.Context, *T) error) closable {
	return closable{name, func(t *testing.T, opts ...shm.Option) opened {
		o, err := shm.New[T](opts...)
		if err != nil {
			t.Fatal(err)
		}
		hold(o.Value())
		return opened{
			wait:  func(ctx context.Context) error { return wait(ctx, o.Value()) },
			close: o.Close,
			next: func() any {
				n, err := shm.New[T](opts...)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { n.Close() })
				return n.Value()
			},
			at: o.Value(),
		}
	}}
}

// condAndMutex lie beside each other; shut is held.
type condAndMutex struct {
	Cond futexlock.Cond
	Mu   futexlock.Mutex
}

// panics makes an error of what a function without one says.
func panics(f func()) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v: %w", r, shm.ErrClosed)
		}
	}()
	f()
	return nil
}

// runs keeps o running until the process ends.
func runs(o *futexlock.Once) {
	running := make(chan struct{})
	go o.Do(func() error { close(running); select {} })
	<-running
}

var closables = []closable{
	closing("Mutex", func(m *futexlock.Mutex) { m.Lock() },
		func(ctx context.Context, m *futexlock.Mutex) error { return m.LockContext(ctx) }),
	closing("Mutex.Lock", func(m *futexlock.Mutex) { m.Lock() },
		func(ctx context.Context, m *futexlock.Mutex) error { return panics(func() { m.Lock() }) }),
	closing("RecursiveMutex", func(r *futexlock.RecursiveMutex) { r.Lock(futexlock.NewHolder()) },
		func(ctx context.Context, r *futexlock.RecursiveMutex) error {
			return r.LockContext(ctx, futexlock.NewHolder())
		}),
	closing("RWMutex, read", func(rw *futexlock.RWMutex) { rw.Lock() },
		func(ctx context.Context, rw *futexlock.RWMutex) error { return rw.RLockContext(ctx) }),
	closing("RWMutex, write", func(rw *futexlock.RWMutex) { rw.Lock() },
		func(ctx context.Context, rw *futexlock.RWMutex) error { return rw.LockContext(ctx) }),
	closing("RWMutex, write after reader", func(rw *futexlock.RWMutex) { rw.RLock() },
		func(ctx context.Context, rw *futexlock.RWMutex) error { return rw.LockContext(ctx) }),
	closing("Semaphore", func(s *futexlock.Semaphore) {},
		func(ctx context.Context, s *futexlock.Semaphore) error { return s.Acquire(ctx, 1) }),
	closing("Semaphore, two", func(s *futexlock.Semaphore) { s.Init(1, 4) },
		func(ctx context.Context, s *futexlock.Semaphore) error { return s.Acquire(ctx, 2) }),
	closing("Semaphore, owned", func(s *futexlock.Semaphore) { s.Init(0, 1) },
		func(ctx context.Context, s *futexlock.Semaphore) error { _, err := s.AcquireOwned(ctx); return err }),
	closing("Cond", func(*condAndMutex) {},
		func(ctx context.Context, c *condAndMutex) error {
			return panics(func() {
				c.Mu.Lock()
				c.Cond.Wait(ctx, &c.Mu)
			})
		}),
	closing("Event", func(*futexlock.Event) {},
		func(ctx context.Context, e *futexlock.Event) error { return e.Wait(ctx) }),
	closing("Barrier", func(b *futexlock.Barrier) { b.Init(9) },
		func(ctx context.Context, b *futexlock.Barrier) error { _, err := b.Wait(ctx); return err }),
	closing("Once", runs,
		func(ctx context.Context, o *futexlock.Once) error {
			return o.DoContext(ctx, func() error { return nil })
		}),
	closing("WaitGroup", func(w *futexlock.WaitGroup) { w.Add(1) },
		func(ctx context.Context, w *futexlock.WaitGroup) error { return w.Wait(ctx) }),
}

// waiting returns how many goroutines of this process wait for locks: in the
// kernel, or in line.
func waiting() int {
	b := make([]byte, 1<<20)
	b = b[:runtime.Stack(b, true)]
	n := 0
	for g := range strings.SplitSeq(string(b), "\n\n") {
		if strings.Contains(g, "shm.(*Segment).Sleep(") || strings.Contains(g, "shm.(*Segment).Lead(") {
			n++
		}
	}
	return n
}

// What this process closes under its own waiters ends their wait: those that sleep
// and those that stand in line, in a segment of its own and in a block of an arena.
// When Close of a block returns they have come out of it, since it may be another
// object's then.
func TestClosedUnderWaiters(t *testing.T) {
	const waiters = 4
	procstest.Watchdog(t, time.Minute)
	for place, opts := range map[string][]shm.Option{"arena": nil, "segment": {shm.WithOwnSegment()}} {
		for _, c := range closables {
			t.Run(place+"/"+c.name, func(t *testing.T) {
				before := waiting()
				o := c.open(t, opts...)
				errs := make(chan error, waiters)
				for range waiters {
					go func() { errs <- o.wait(t.Context()) }()
				}
				for begin := time.Now(); waiting() < before+waiters; runtime.Gosched() {
					if time.Since(begin) > 10*time.Second {
						t.Fatalf("%d of %d wait", waiting()-before, waiters)
					}
				}
				if err := o.close(); err != nil {
					t.Fatal(err)
				}
				if n := waiting() - before; n > 0 && place == "arena" {
					t.Errorf("%d still wait after Close", n)
				}
				if place == "arena" && o.next() != o.at {
					t.Error("the block is not used again")
				}
				for range waiters {
					if err := <-errs; !errors.Is(err, shm.ErrClosed) {
						t.Errorf("%v, want shm.ErrClosed", err)
					}
				}
			})
		}
	}
}

// A closed object's user code may close it: an action of a barrier, what a Once
// runs. Nobody waits for itself, and nobody touches what comes after it.
func TestClosedByItsOwnCode(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	b, err := shm.New[futexlock.Barrier]()
	if err != nil {
		t.Fatal(err)
	}
	var after *shm.Object[futexlock.Barrier]
	b.Value().Init(1)
	_, err = b.Value().Wait(t.Context(), func() (err error) {
		b.Close()
		after, err = shm.New[futexlock.Barrier]()
		return err
	})
	if !errors.Is(err, shm.ErrClosed) {
		t.Errorf("Barrier.Wait: %v, want shm.ErrClosed", err)
	}
	if after.Value() != b.Value() {
		t.Error("the block is not used again")
	}
	if s := after.Value().State(); after.Value().Broken() || s != "not initialised" {
		t.Errorf("the next Barrier in its place: %s", s)
	}
	after.Close()

	o, err := shm.New[futexlock.Once]()
	if err != nil {
		t.Fatal(err)
	}
	var next *shm.Object[futexlock.Once]
	err = o.Value().Do(func() (err error) {
		o.Close()
		next, err = shm.New[futexlock.Once]()
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if next.Value() != o.Value() {
		t.Error("the block is not used again")
	}
	if next.Value().Done() {
		t.Error("the next Once in its place is done")
	}
	next.Close()
}

// A waiter of a Cond has its signal, and its Mutex is closed before it has it back.
// It must not lock what comes after.
func TestClosedBeforeRelock(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	c, err := shm.New[futexlock.Cond]()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	m, err := shm.New[futexlock.Mutex]()
	if err != nil {
		t.Fatal(err)
	}
	before := waiting()
	end := make(chan error)
	go func() {
		end <- panics(func() {
			m.Value().Lock()
			c.Value().Wait(t.Context(), m.Value())
		})
	}()
	for waiting() == before {
		runtime.Gosched()
	}
	m.Close()
	n, err := shm.New[futexlock.Mutex]()
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	if n.Value() != m.Value() {
		t.Error("the block is not used again")
	}
	c.Value().Signal()
	if err := <-end; !errors.Is(err, shm.ErrClosed) {
		t.Errorf("%v, want shm.ErrClosed", err)
	}
	if ok, err := n.Value().TryLock(); !ok {
		t.Errorf("the next Mutex in its place is %s (%v)", n.Value().State(), err)
	}
}
