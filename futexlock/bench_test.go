//lint:file-ignore SA2001 the critical sections are empty: the locks alone are measured

package futexlock_test

import (
	"context"
	"sync"
	"testing"

	"shmkit/futexlock"
)

// The locks alone: nobody else wants them. They lie in one segment, the first
// that this process uses, but those that say segment=second. Beside each its like
// from package sync.
func BenchmarkUncontended(b *testing.B) {
	run := func(name string, f func()) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f()
			}
		})
	}
	ctx := context.Background()
	_, tab := newTable(b)
	mu := &tab.Mu
	run("op=Lock+Unlock/impl=futexlock", func() { mu.Lock(); mu.Unlock() })
	var smu sync.Mutex
	other := object[futexlock.Mutex](b)
	run("op=Lock+Unlock/impl=futexlock/segment=second", func() { other.Lock(); other.Unlock() })
	run("op=Lock+Unlock/impl=sync", func() { smu.Lock(); smu.Unlock() })

	rec, h := &tab.Rec, futexlock.NewHolder()
	run("op=Recursive/impl=futexlock", func() { rec.Lock(h); rec.Unlock(h) })

	rw := &tab.RW
	run("op=RLock+RUnlock/impl=futexlock", func() { rw.RLock(); rw.RUnlock() })
	otherRW := object[futexlock.RWMutex](b)
	run("op=RLock+RUnlock/impl=futexlock/segment=second", func() { otherRW.RLock(); otherRW.RUnlock() })
	run("op=RWLock+Unlock/impl=futexlock", func() { rw.Lock(); rw.Unlock() })
	var srw sync.RWMutex
	run("op=RLock+RUnlock/impl=sync", func() { srw.RLock(); srw.RUnlock() })
	run("op=RWLock+Unlock/impl=sync", func() { srw.Lock(); srw.Unlock() })

	counted, celled := object[futexlock.Semaphore](b), &tab.Sem
	counted.Init(1, 0)
	celled.Init(2, 2)
	run("op=Acquire+Release/impl=futexlock/permits=counted", func() { counted.Acquire(ctx, 1); counted.Release(1) })
	run("op=Acquire+Release/impl=futexlock/permits=cells", func() { celled.Acquire(ctx, 1); celled.Release(1) })
	run("op=Acquire+Release/impl=futexlock/permits=owned", func() { p, _ := celled.AcquireOwned(ctx); p.Release() })
	ch := make(chan struct{}, 1)
	run("op=Acquire+Release/impl=chan", func() { ch <- struct{}{}; <-ch })

	ev := &tab.Event
	ev.Set()
	run("op=IsSet/impl=futexlock", func() { ev.IsSet() })
	run("op=Wait/impl=futexlock/event=set", func() { ev.Wait(ctx) })

	cond := &tab.Cond
	run("op=Signal/impl=futexlock/waiters=0", func() { cond.Signal() })
	scond := sync.NewCond(&smu)
	run("op=Signal/impl=sync/waiters=0", func() { scond.Signal() })

	once := &tab.Once
	once.Do(func() error { return nil })
	run("op=Do/impl=futexlock", func() { once.Do(func() error { return nil }) })
	var sonce sync.Once
	run("op=Do/impl=sync", func() { sonce.Do(func() {}) })

	group := &tab.Group
	run("op=Add+Done/impl=futexlock", func() { group.Add(1); group.Done() })
	var sgroup sync.WaitGroup
	run("op=Add+Done/impl=sync", func() { sgroup.Add(1); sgroup.Done() })

	bar := &tab.Bar
	bar.Init(1)
	run("op=Barrier/impl=futexlock/parties=1", func() { bar.Wait(ctx) })
}
