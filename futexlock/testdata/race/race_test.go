// Package race is a user's program for the race detector: data on the Go heap
// that each type of package futexlock protects. With the variable LEAVE_OUT the
// lock of that name is left out.
package race

import (
	"context"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"shmkit/futexlock"
	"shmkit/shm"
)

type locks struct {
	Mu    futexlock.Mutex
	Rec   futexlock.RecursiveMutex
	RW    futexlock.RWMutex
	Sem   futexlock.Semaphore
	Cond  futexlock.Cond
	Event futexlock.Event
	Bar   futexlock.Barrier
	Once  futexlock.Once
	Group futexlock.WaitGroup
}

var ctx = context.Background()

// sections runs a section in three goroutines.
func sections(lock, unlock func(), x *int) {
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for range 200 {
				lock()
				*x++
				unlock()
				runtime.Gosched()
			}
		})
	}
	wg.Wait()
}

// after writes x in one goroutine and reads it in another, after what orders
// the two.
func after(give, take func(), x *int) {
	var wg sync.WaitGroup
	wg.Go(func() {
		*x = 1
		give()
	})
	wg.Go(func() {
		take()
		time.Sleep(10 * time.Millisecond)
		if *x != 1 {
			panic("read before it was written")
		}
	})
	wg.Wait()
}

func TestProtected(t *testing.T) {
	o, err := shm.New[locks]()
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	l := o.Value()
	l.Sem.Init(1, 1)
	l.Bar.Init(2)
	counted := object[futexlock.Semaphore](t)
	counted.Init(1, 0)
	h := sync.Pool{New: func() any { return futexlock.NewHolder() }}
	var holder futexlock.Holder
	var permit futexlock.Permit
	nothing := func() {}
	for name, f := range map[string]func(out bool, x *int){
		"Mutex": func(out bool, x *int) {
			lock, unlock := func() { l.Mu.Lock() }, l.Mu.Unlock
			if out {
				lock, unlock = nothing, nothing
			}
			sections(lock, unlock, x)
		},
		"RecursiveMutex": func(out bool, x *int) {
			lock := func() { n := h.Get().(futexlock.Holder); l.Rec.Lock(n); holder = n }
			unlock := func() { n := holder; l.Rec.Unlock(n) }
			if out {
				lock, unlock = nothing, nothing
			}
			sections(lock, unlock, x)
		},
		"RWMutex": func(out bool, x *int) {
			lock, unlock := func() { l.RW.Lock() }, l.RW.Unlock
			rlock, runlock := func() { l.RW.RLock() }, l.RW.RUnlock
			if out {
				rlock, runlock = nothing, nothing
			}
			var wg sync.WaitGroup
			wg.Go(func() { sections(lock, unlock, x) })
			for range 2 {
				wg.Go(func() {
					for y := 0; y < 200; y++ {
						rlock()
						if *x < 0 {
							panic("never")
						}
						runlock()
						runtime.Gosched()
					}
				})
			}
			wg.Wait()
		},
		"Semaphore": func(out bool, x *int) {
			lock, unlock := func() { counted.Acquire(ctx, 1) }, func() { counted.Release(1) }
			if out {
				lock, unlock = nothing, nothing
			}
			sections(lock, unlock, x)
		},
		"Permit": func(out bool, x *int) {
			lock := func() { p, _ := l.Sem.AcquireOwned(ctx); permit = p }
			unlock := func() { p := permit; p.Release() }
			if out {
				lock, unlock = nothing, nothing
			}
			sections(lock, unlock, x)
		},
		"Cond": func(out bool, x *int) {
			ready := false
			give := func() { l.Mu.Lock(); ready = true; l.Cond.Signal(); l.Mu.Unlock() }
			take := func() {
				l.Mu.Lock()
				l.Cond.WaitFor(ctx, &l.Mu, func() bool { return ready })
				l.Mu.Unlock()
			}
			if out {
				take = nothing
			}
			after(give, take, x)
		},
		"Event": func(out bool, x *int) {
			take := func() { l.Event.Wait(ctx) }
			if out {
				take = nothing
			}
			after(l.Event.Set, take, x)
		},
		"IsSet": func(out bool, x *int) {
			e := object[futexlock.Event](t)
			take := func() {
				for !e.IsSet() {
				}
			}
			if out {
				take = nothing
			}
			after(e.Set, take, x)
		},
		"Barrier": func(out bool, x *int) {
			meet := func() { l.Bar.Wait(ctx) }
			if out {
				meet = nothing
			}
			after(meet, meet, x)
		},
		"Once": func(out bool, x *int) {
			do := func() { l.Once.Do(func() error { time.Sleep(time.Millisecond); *x = 2; return nil }) }
			var wg sync.WaitGroup
			for range 2 {
				wg.Go(func() {
					if !out {
						do()
					} else {
						*x = 2
					}
					time.Sleep(5 * time.Millisecond)
					_ = *x
				})
			}
			wg.Wait()
		},
		"WaitGroup": func(out bool, x *int) {
			l.Group.Add(1)
			take := func() { l.Group.Wait(ctx) }
			if out {
				take = nothing
			}
			after(l.Group.Done, take, x)
		},
	} {
		t.Run(name, func(t *testing.T) { f(os.Getenv("LEAVE_OUT") == name, new(int)) })
	}
}

func object[T any](t *testing.T) *T {
	o, err := shm.New[T]()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.Close() })
	return o.Value()
}
