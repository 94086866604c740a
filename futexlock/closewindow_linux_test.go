package futexlock

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"shmkit/procs/procstest"
	"shmkit/shm"
	"shmkit/shm/fault"
)

// A window is a moment of an operation in which another goroutine of the process
// can have learned that the object is not needed any more, and close it. The block
// then becomes another object's. What the operation has still to do must not be done
// to that.
type window struct {
	name, point string
	run         func(point string) error
}

// closesIn returns the window of op at the point, of a T that prepare has made.
func closesIn[T any](name, point string, prepare, op func(*T)) window {
	return window{name, point, func(point string) error {
		o, err := shm.New[T]()
		if err != nil {
			return err
		}
		prepare(o.Value())
		bytesOf := func(v *T) []byte { return unsafe.Slice((*byte)(unsafe.Pointer(v)), unsafe.Sizeof(*v)) }
		var was []byte
		var next *shm.Object[T]
		closed := make(chan error, 1)
		fault.Call(point, func() {
			was = bytes.Clone(bytesOf(o.Value()))
			go func() {
				err := o.Close()
				if err == nil {
					next, err = shm.New[T]()
				}
				if err == nil {
					// The worst that can lie there next: the same once more.
					copy(bytesOf(next.Value()), was)
				}
				closed <- err
			}()
			for len(closed) == 0 && !closeWaits() {
				runtime.Gosched()
			}
		})
		op(o.Value())
		if was == nil {
			return errors.New("the operation did not come by the point")
		}
		if err := <-closed; err != nil {
			return err
		}
		defer next.Close()
		if next.Value() != o.Value() {
			return errors.New("the block is not used again")
		}
		if now := bytesOf(next.Value()); !bytes.Equal(now, was) {
			return fmt.Errorf("the next object in its place was changed: %x, it was %x", now, was)
		}
		clear(bytesOf(next.Value()))
		return nil
	}}
}

// closeWaits reports whether a Close waits until somebody has left a slow path.
func closeWaits() bool {
	b := make([]byte, 1<<18)
	return strings.Contains(string(b[:runtime.Stack(b, true)]), "shm.(*passage).wait(")
}

var someHolder = NewHolder()

// windows are all operations that go on after the step that lets others go on. Each
// is made to believe that somebody waits.
var windows = []window{
	closesIn("Mutex.Unlock", "futexlock.unlock.released",
		func(m *Mutex) { m.Lock(); m.word.Or(waited) }, (*Mutex).Unlock),
	closesIn("RecursiveMutex.Unlock", "futexlock.unlock.released",
		func(r *RecursiveMutex) { r.Lock(someHolder); r.word.Or(waited) }, func(r *RecursiveMutex) { r.Unlock(someHolder) }),
	closesIn("RWMutex.Unlock", "futexlock.rwmutex.opened",
		func(rw *RWMutex) { rw.Lock() }, (*RWMutex).Unlock),
	closesIn("RWMutex.RUnlock, alone", "futexlock.rwmutex.opened",
		func(rw *RWMutex) {
			seg := shm.Find(rw)
			rw.writeLock(context.Background(), seg, new(shm.Stay), uint32(seg.Self()), gateShared)
		}, (*RWMutex).RUnlock),
	closesIn("Semaphore.Release", "futexlock.semaphore.given",
		func(s *Semaphore) { s.bell.Or(waited) }, func(s *Semaphore) { s.Release(1) }),
	closesIn("Semaphore.Release, cells", "futexlock.semaphore.given",
		func(s *Semaphore) { s.Init(0, 2); s.bell.Or(waited) }, func(s *Semaphore) { s.Release(2) }),
	closesIn("Permit.Release", "futexlock.semaphore.given",
		func(s *Semaphore) {
			s.Init(1, 1)
			somePermit, _ = s.AcquireOwned(context.Background())
			s.bell.Or(waited)
		}, func(*Semaphore) { somePermit.Release() }),
	closesIn("Cond.Signal", "futexlock.cond.signalled",
		func(c *Cond) { c.state.Or(condWaited) }, (*Cond).Signal),
	closesIn("Cond.Broadcast", "futexlock.cond.broadcast",
		func(c *Cond) { c.state.Or(condWaited) }, (*Cond).Broadcast),
	closesIn("Event.Set", "futexlock.event.set",
		func(e *Event) { e.word.Or(eventWaited) }, (*Event).Set),
	closesIn("Event.Set, woken", "futexlock.event.woke",
		func(e *Event) { e.word.Or(eventWaited) }, (*Event).Set),
	closesIn("Barrier.Abort", "futexlock.barrier.broken",
		func(b *Barrier) { b.Init(2) }, (*Barrier).Abort),
	closesIn("Barrier.Reset", "futexlock.barrier.reset",
		func(b *Barrier) { b.Init(2); b.cells[7].Store(partyCell(0, 7)) }, (*Barrier).Reset),
	closesIn("Barrier.Wait", "futexlock.barrier.complete",
		func(b *Barrier) { b.Init(1) }, func(b *Barrier) { b.Wait(context.Background()) }),
	closesIn("Once.Do", "futexlock.once.ended",
		func(*Once) {}, func(o *Once) { o.Do(func() error { return nil }) }),
	closesIn("WaitGroup.Done", "futexlock.waitgroup.done",
		func(w *WaitGroup) { w.Add(1); w.bell.Or(waited) }, (*WaitGroup).Done),
	closesIn("WaitGroup.Take", "futexlock.waitgroup.moved",
		func(w *WaitGroup) { w.cells[3].Store(charged(0, goneTasks, load(1))); w.bell.Or(waited) }, func(w *WaitGroup) { w.Take() }),
}

var somePermit Permit

// notDied closes an object at the point, under a goroutine that is about to take its
// lock, and returns an error if the next holder, in another process, would be told that
// a holder died inside: nobody was. waits says that the goroutine waits, told returns
// the word that says who died.
func notDied[T any](point string, hold, release func(*T), lock func(*T, context.Context) error, waits func(*T) bool, told func(*T) uint32) error {
	for {
		o, err := shm.New[T]()
		if err != nil {
			return err
		}
		v := o.Value()
		hold(v)
		end, closed := make(chan error, 1), make(chan error, 1)
		go func() { end <- lock(v, context.Background()) }()
		for !waits(v) {
			runtime.Gosched()
		}
		var early atomic.Bool // Close did not find the goroutine inside
		fault.Call(point, func() {
			go func() { closed <- o.Close() }()
			for len(closed) == 0 && !closeWaits() {
				runtime.Gosched()
			}
			if len(closed) > 0 {
				early.Store(true)
			}
		})
		func() {
			defer func() {
				if recover() != nil {
					early.Store(true) // its slice ended: we still held the lock
				}
			}()
			release(v)
		}()
		if err := <-closed; err != nil {
			return err
		}
		if err := <-end; !errors.Is(err, shm.ErrClosed) && !early.Load() {
			return fmt.Errorf("%T: %v, want shm.ErrClosed", v, err)
		}
		if s := told(v); s&ownerDied != 0 && !early.Load() {
			return fmt.Errorf("%T: closed under one that was about to take it: %#x, a holder died", v, s)
		}
		if !early.Load() {
			return nil
		}
	}
}

var closer = procstest.Role("closer", func(context.Context, struct{}) error {
	all := []error{
		notDied("futexlock.lock.woken", func(m *Mutex) { m.Lock() }, (*Mutex).Unlock, (*Mutex).LockContext,
			func(m *Mutex) bool { return m.word.Load()&waited != 0 }, func(m *Mutex) uint32 { return m.word.Load() }),
		notDied("futexlock.rwmutex.writing", func(rw *RWMutex) { rw.RLock() }, (*RWMutex).RUnlock, (*RWMutex).LockContext,
			func(rw *RWMutex) bool { return rw.gate.Load()&gateClosed != 0 }, func(rw *RWMutex) uint32 { return rw.gate.Load() }),
	}
	for _, w := range windows {
		if err := w.run(w.point); err != nil {
			all = append(all, fmt.Errorf("%s, closed at %s: %w", w.name, w.point, err))
		}
	}
	return errors.Join(all...)
})

func TestClosedInsideOperations(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	// In a process of its own, where points are on from the start.
	p := closer.Start(t, struct{}{}, procstest.KillAt("futexlock.nowhere", 1))
	if s := p.Wait(); s.Code != 0 {
		t.Error(s)
	}
}
