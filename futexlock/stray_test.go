package futexlock_test

import (
	"context"
	"strings"
	"testing"

	"shmkit/futexlock"
	"shmkit/shm"
)

// strayCalls are the methods that need to know who this process is.
func strayCalls(tab *table) map[string]func() {
	ctx := context.Background()
	h := futexlock.NewHolder()
	return map[string]func(){
		"Mutex.Lock":           func() { tab.Mu.Lock() },
		"Mutex.LockContext":    func() { tab.Mu.LockContext(ctx) },
		"Mutex.TryLock":        func() { tab.Mu.TryLock() },
		"Mutex.Unlock":         tab.Mu.Unlock,
		"Mutex.Consistent":     tab.Mu.Consistent,
		"RWMutex.Lock":         func() { tab.RW.Lock() },
		"RWMutex.LockContext":  func() { tab.RW.LockContext(ctx) },
		"RWMutex.TryLock":      func() { tab.RW.TryLock() },
		"RWMutex.RLock":        func() { tab.RW.RLock() },
		"RWMutex.RLockContext": func() { tab.RW.RLockContext(ctx) },
		"RWMutex.TryRLock":     func() { tab.RW.TryRLock() },
		"RWMutex.RUnlock":      tab.RW.RUnlock,
		"RWMutex.Unlock":       tab.RW.Unlock,
		"RWMutex.Consistent":   tab.RW.Consistent,
		"Recursive.Lock":       func() { tab.Rec.Lock(h) },
		"Recursive.TryLock":    func() { tab.Rec.TryLock(h) },
		"Recursive.Unlock":     func() { tab.Rec.Unlock(h) },
		"Semaphore.Acquire":    func() { tab.Sem.Acquire(ctx, 1) },
		"Semaphore.Release":    func() { tab.Sem.Release(1) },
		"Semaphore.Try":        func() { tab.Sem.TryAcquire(1) },
		"Semaphore.Owned":      func() { tab.Sem.AcquireOwned(ctx) },
		"Semaphore.TryOwned":   func() { tab.Sem.TryAcquireOwned() },
		"Cond.Wait":            func() { tab.Cond.Wait(ctx, &tab.Free) },
		"Event.Wait":           func() { tab.Event.Wait(ctx) },
		"Barrier.Wait":         func() { tab.Bar.Wait(ctx) },
		"Barrier.Leave":        tab.Bar.Leave,
		"Once.Do":              func() { tab.Once.Do(func() error { return nil }) },
		"Once.DoContext":       func() { tab.Once.DoContext(ctx, func() error { return nil }) },
		"WaitGroup.Add":        func() { tab.Group.Add(1) },
		"WaitGroup.Done":       tab.Group.Done,
		"WaitGroup.Wait":       func() { tab.Group.Wait(ctx) },
		"WaitGroup.Take":       func() { tab.Group.Take() },
		"WaitGroup.Tasks":      func() { tab.Group.Tasks() },
		"WaitGroup.Reset":      tab.Group.Reset,
	}
}

// Every method says so when its lock lies in no segment.
func TestStrayLocks(t *testing.T) {
	for name, f := range strayCalls(new(table)) {
		t.Run(name, func(t *testing.T) { mustPanic(t, "no attached segment", f) })
	}
}

// A process that only looks at a segment is nobody there. What it took would be
// free for everybody else, so it may take nothing.
func TestPeekedLocksAreStray(t *testing.T) {
	o, err := shm.New[table](shm.WithOwnSegment())
	if err != nil {
		t.Fatal(err)
	}
	text := o.Segment().ID().String()
	p, err := shm.Peek(text)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	tab, err := shm.At[table](p, 0)
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range strayCalls(tab) {
		t.Run(name, func(t *testing.T) { mustPanic(t, "no attached segment", f) })
	}
	// For people it answers all the same.
	o.Value().Mu.Lock()
	if s := tab.Mu.State(); !strings.Contains(s, "this process") && !strings.Contains(s, "pid") {
		t.Errorf("State: %q", s)
	}
	o.Value().Mu.Unlock()
	o.Close()
	for name, f := range strayCalls(o.Value()) {
		t.Run("closed/"+name, func(t *testing.T) { mustPanic(t, "no attached segment", f) })
	}
}
