package futexlock_test

import (
	"context"
	"reflect"
	"strings"
	"testing"
	"unsafe"

	"shmkit/futexlock"
	"shmkit/shm"
)

// strayCalls are the methods that change a lock or wait for it. In a segment that
// this process is not attached to they would do that for nobody, or for others than
// it looks.
func strayCalls(tab *table) map[string]func() {
	ctx := context.Background()
	h := futexlock.NewHolder()
	return map[string]func(){
		"Mutex.Lock":                 func() { tab.Mu.Lock() },
		"Mutex.LockContext":          func() { tab.Mu.LockContext(ctx) },
		"Mutex.TryLock":              func() { tab.Mu.TryLock() },
		"Mutex.Unlock":               tab.Mu.Unlock,
		"Mutex.Consistent":           tab.Mu.Consistent,
		"RWMutex.Lock":               func() { tab.RW.Lock() },
		"RWMutex.LockContext":        func() { tab.RW.LockContext(ctx) },
		"RWMutex.TryLock":            func() { tab.RW.TryLock() },
		"RWMutex.RLock":              func() { tab.RW.RLock() },
		"RWMutex.RLockContext":       func() { tab.RW.RLockContext(ctx) },
		"RWMutex.TryRLock":           func() { tab.RW.TryRLock() },
		"RWMutex.RUnlock":            tab.RW.RUnlock,
		"RWMutex.Unlock":             tab.RW.Unlock,
		"RWMutex.Consistent":         tab.RW.Consistent,
		"RecursiveMutex.Lock":        func() { tab.Rec.Lock(h) },
		"RecursiveMutex.LockContext": func() { tab.Rec.LockContext(ctx, h) },
		"RecursiveMutex.TryLock":     func() { tab.Rec.TryLock(h) },
		"RecursiveMutex.Unlock":      func() { tab.Rec.Unlock(h) },
		"RecursiveMutex.Consistent":  func() { tab.Rec.Consistent(h) },
		"Semaphore.Init":             func() { tab.Sem.Init(1, 1) },
		"Semaphore.Acquire":          func() { tab.Sem.Acquire(ctx, 1) },
		"Semaphore.Release":          func() { tab.Sem.Release(1) },
		"Semaphore.TryAcquire":       func() { tab.Sem.TryAcquire(1) },
		"Semaphore.AcquireOwned":     func() { tab.Sem.AcquireOwned(ctx) },
		"Semaphore.TryAcquireOwned":  func() { tab.Sem.TryAcquireOwned() },
		"Cond.Wait":                  func() { tab.Cond.Wait(ctx, &tab.Free) },
		"Cond.WaitFor":               func() { tab.Cond.WaitFor(ctx, &tab.Free, func() bool { return false }) },
		"Cond.Signal":                tab.Cond.Signal,
		"Cond.SignalN":               func() { tab.Cond.SignalN(0) },
		"Cond.Broadcast":             tab.Cond.Broadcast,
		"Event.Set":                  tab.Event.Set,
		"Event.Clear":                tab.Event.Clear,
		"Event.Wait":                 func() { tab.Event.Wait(ctx) },
		"Barrier.Init":               func() { tab.Bar.Init(1) },
		"Barrier.Wait":               func() { tab.Bar.Wait(ctx) },
		"Barrier.Abort":              tab.Bar.Abort,
		"Barrier.Reset":              tab.Bar.Reset,
		"Barrier.Leave":              tab.Bar.Leave,
		"Once.Do":                    func() { tab.Once.Do(func() error { return nil }) },
		"Once.DoContext":             func() { tab.Once.DoContext(ctx, func() error { return nil }) },
		"WaitGroup.Add":              func() { tab.Group.Add(0) },
		"WaitGroup.Done":             tab.Group.Done,
		"WaitGroup.Wait":             func() { tab.Group.Wait(ctx) },
		"WaitGroup.Take":             func() { tab.Group.Take() },
		"WaitGroup.Tasks":            func() { tab.Group.Tasks() },
		"WaitGroup.Reset":            tab.Group.Reset,
	}
}

// strayLooks are the methods that only look: they answer anywhere.
func strayLooks(tab *table) map[string]func() {
	return map[string]func(){
		"Mutex.Owner":          func() { tab.Mu.Owner() },
		"Mutex.State":          func() { tab.Mu.State() },
		"RWMutex.Owner":        func() { tab.RW.Owner() },
		"RWMutex.State":        func() { tab.RW.State() },
		"RecursiveMutex.Owner": func() { tab.Rec.Owner() },
		"RecursiveMutex.State": func() { tab.Rec.State() },
		"Semaphore.Value":      func() { tab.Sem.Value() },
		"Semaphore.State":      func() { tab.Sem.State() },
		"Cond.State":           func() { tab.Cond.State() },
		"Event.IsSet":          func() { tab.Event.IsSet() },
		"Event.State":          func() { tab.Event.State() },
		"Barrier.Parties":      func() { tab.Bar.Parties() },
		"Barrier.Waiting":      func() { tab.Bar.Waiting() },
		"Barrier.Broken":       func() { tab.Bar.Broken() },
		"Barrier.State":        func() { tab.Bar.State() },
		"Once.Done":            func() { tab.Once.Done() },
		"Once.State":           func() { tab.Once.State() },
		"WaitGroup.State":      func() { tab.Group.State() },
	}
}

// allStray calls every method on the locks of tab, which lie in no segment that this
// process is attached to.
func allStray(t *testing.T, tab *table) {
	t.Helper()
	for name, f := range strayCalls(tab) {
		t.Run(name, func(t *testing.T) { mustPanic(t, "no attached segment", f) })
	}
	for name, f := range strayLooks(tab) {
		t.Run(name, func(*testing.T) { f() })
	}
}

// Every method is in one of the lists.
func TestStrayListsAreWhole(t *testing.T) {
	calls, looks := strayCalls(new(table)), strayLooks(new(table))
	for _, lock := range []any{
		new(futexlock.Mutex), new(futexlock.RecursiveMutex), new(futexlock.RWMutex), new(futexlock.Semaphore), new(futexlock.Cond),
		new(futexlock.Event), new(futexlock.Barrier), new(futexlock.Once), new(futexlock.WaitGroup),
	} {
		typ := reflect.TypeOf(lock)
		for i := range typ.NumMethod() {
			name := typ.Elem().Name() + "." + typ.Method(i).Name
			if (calls[name] == nil) == (looks[name] == nil) {
				t.Errorf("%s is in none of the lists, or in both", name)
			}
		}
	}
}

// Every method that does something says so when its lock lies in no segment, also
// where there would be nothing to do.
func TestStrayLocks(t *testing.T) {
	allStray(t, new(table))
	// As a copy of a lock looks.
	_, tab := newTable(t)
	tab.Once.Do(func() error { return nil })
	tab.Event.Set()
	stray := new(table)
	copy(bytesOf(&stray.Once), bytesOf(&tab.Once))
	copy(bytesOf(&stray.Event), bytesOf(&tab.Event))
	if !stray.Once.Done() || !stray.Event.IsSet() {
		t.Fatal(stray.Once.State(), stray.Event.State())
	}
	allStray(t, stray)
}

func bytesOf[T any](v *T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(v)), unsafe.Sizeof(*v))
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
	allStray(t, tab)
	// For people it answers all the same.
	o.Value().Mu.Lock()
	if s := tab.Mu.State(); !strings.Contains(s, "this process") && !strings.Contains(s, "pid") {
		t.Errorf("State: %q", s)
	}
	o.Value().Mu.Unlock()
	o.Close()
	t.Run("closed", func(t *testing.T) { allStray(t, o.Value()) })
}

// A permit of a segment that was closed has come back then.
func TestStrayPermit(t *testing.T) {
	o, err := shm.New[futexlock.Semaphore](shm.WithOwnSegment())
	if err != nil {
		t.Fatal(err)
	}
	o.Value().Init(1, 1)
	p, err := o.Value().AcquireOwned(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	o.Close()
	mustPanic(t, "no attached segment", p.Release)
}
