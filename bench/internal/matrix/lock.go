package matrix

import (
	"context"
	"errors"
	"fmt"
	"os"
	"structs"
	"sync"
	"time"

	"shmkit/bench/internal/machine"
	"shmkit/bench/internal/stage"
	"shmkit/futexlock"
	"shmkit/procs"
	"shmkit/shm"
)

// lockBox is what the holders of a lock share: the locks that live in shared
// memory, and the number that they protect. It is counted up without atomics,
// so two holders at once lose a count.
type lockBox struct {
	_     structs.HostLayout
	Mutex futexlock.Mutex
	_     [128]byte
	RW    futexlock.RWMutex
	_     [128]byte
	Count uint64
	_     [128]byte
	Last  [maxProducers]struct {
		At int64
		_  [128]byte
	}
}

// holding is what a holder is told.
type holding struct {
	Impl   string
	Number int
	Count  int
	Box    *shm.Object[lockBox]
	Board  *shm.Object[board]
	Path   string                      // of the file, for flock
	Inside int                         // goroutines that contend, in each process
	Locks  *shm.Slice[futexlock.Mutex] // nil, or as many to lock one after the other
}

var holder = procs.Register("bench.matrix.holder", func(ctx context.Context, h holding) error { return h.hold(ctx) })

// lockKinds are the locks that are compared. Python's and C's are measured by
// themselves.
var lockKinds = []string{"futexlock", "futexlock-rlock", "sync", "flock", "py-lock"}

// pair returns the functions that take and give back the lock.
func (h holding) pair() (lock, unlock func() error, err error) {
	box := h.Box.Value()
	nothing := func(f func()) func() error { return func() error { f(); return nil } }
	switch h.Impl {
	case "futexlock":
		return box.Mutex.Lock, nothing(box.Mutex.Unlock), nil
	case "futexlock-rlock":
		return box.RW.RLock, nothing(box.RW.RUnlock), nil
	case "sync":
		var mu sync.Mutex
		return nothing(mu.Lock), nothing(mu.Unlock), nil
	case "flock":
		f, err := os.OpenFile(h.Path, os.O_RDWR, 0) // Each process its own: a lock belongs to the open file.
		if err != nil {
			return nil, nil, err
		}
		return func() error { return flock(f, true) }, func() error { return flock(f, false) }, nil
	default:
		return nil, nil, fmt.Errorf("no lock %q", h.Impl)
	}
}

func (h holding) hold(ctx context.Context) error {
	lock, unlock, err := h.pair()
	if err != nil {
		return err
	}
	l, err := h.Board.Value().Workers[h.Number].Begin(ctx, &h.Board.Value().Gate, 0)
	if err != nil {
		return err
	}
	defer l.End()
	var group sync.WaitGroup
	errs := make([]error, max(1, h.Inside))
	for i := range errs {
		group.Go(func() {
			if h.Locks != nil {
				errs[i] = h.wander()
			} else {
				errs[i] = h.contend(lock, unlock)
			}
		})
	}
	group.Wait()
	h.Box.Value().Last[h.Number].At = machine.Now()
	return errors.Join(errs...)
}

func (h holding) contend(lock, unlock func() error) error {
	box := h.Box.Value()
	for range h.Count {
		if err := lock(); err != nil {
			return err
		}
		if h.Impl != "futexlock-rlock" { // Readers must not write.
			box.Count++
		}
		if err := unlock(); err != nil {
			return err
		}
	}
	return nil
}

// wander takes one lock after the other, in an order that no cache foresees.
func (h holding) wander() error {
	locks := h.Locks.Data()
	for i := range h.Count {
		m := &locks[mix(uint64(i*maxProducers+h.Number))>>32*uint64(len(locks))>>32]
		if err := m.Lock(); err != nil {
			return err
		}
		m.Unlock()
	}
	return nil
}

// crowd says who contends for what.
type crowd struct {
	impl       string
	processes  int // 0: two, or one for a lock that cannot leave its process
	goroutines int // of all processes together; 0: one each
	count      int // times that each goroutine takes the lock
	locks      int // 0: one
}

// holdOnce lets the crowd take the lock and returns how long that took.
func holdOnce(ctx context.Context, w crowd) (_ sample, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, endless, fmt.Errorf("lock/impl=%s: no end after %v", w.impl, endless))
	defer cancel()
	if w.processes == 0 {
		w.processes = 2
	}
	if w.goroutines == 0 {
		w.goroutines = w.processes
	}
	if w.impl == "sync" {
		w.processes = 1
	}
	h := holding{Impl: w.impl, Count: w.count, Inside: max(1, w.goroutines/w.processes)}
	if h.Box, err = shm.New[lockBox](shm.WithOwnSegment()); err != nil {
		return sample{}, err
	}
	defer h.Box.Close()
	if h.Board, err = shm.New[board](shm.WithOwnSegment()); err != nil {
		return sample{}, err
	}
	defer h.Board.Close()
	if w.locks > 0 {
		if h.Locks, err = shm.NewSlice[futexlock.Mutex](w.locks); err != nil {
			return sample{}, err
		}
		defer h.Locks.Close()
	}
	if w.impl == "flock" {
		f, err := os.CreateTemp("", "shmkit-bench")
		if err != nil {
			return sample{}, err
		}
		defer os.Remove(f.Name())
		defer f.Close()
		h.Path = f.Name()
	}
	crew := stage.NewCrew(ctx)
	var group sync.WaitGroup
	var cells []*stage.Cell
	for i := range w.processes {
		h.Number = i
		cells = append(cells, &h.Board.Value().Workers[i].Cell)
		crew.Start(holder.Process(h, procs.Name(fmt.Sprintf("holder-%d", i)), procs.Daemon()), &group)
	}
	begin := open(crew, orders{Board: h.Board}, cells...)
	if err := crew.Wait(); err != nil {
		return sample{}, fmt.Errorf("lock/impl=%s: %w", w.impl, err)
	}
	s := sample{messages: w.processes * h.Inside * w.count}
	if got := h.Box.Value().Count; w.impl != "futexlock-rlock" && w.locks == 0 && got != uint64(s.messages) {
		return sample{}, fmt.Errorf("lock/impl=%s: counted %d, not %d: two were inside at once", w.impl, got, s.messages)
	}
	for i := range w.processes {
		s.time = max(s.time, time.Duration(h.Box.Value().Last[i].At-begin))
	}
	s.used, _ = stage.Sum(cells...)
	return s, nil
}

// lockRow measures one lock under n holders that do nothing else.
func lockRow(ctx context.Context, impl string, n int, e Effort) (Row, error) {
	c := Case{Axis: "lock", Impl: impl, Size: 8, Producers: n, Consumers: 0, Batch: 1, Mode: "hybrid"}
	if impl == "flock" || impl == "py-lock" {
		c.Mode = "block"
	}
	if impl == "py-lock" && pythonPath() == "" {
		return skipped(c, "no python3 on this machine"), nil
	}
	once := func(count int) (sample, error) {
		return holdOnce(ctx, crowd{impl: impl, processes: n, goroutines: n, count: max(1, count/n)})
	}
	if impl == "py-lock" {
		once = func(count int) (sample, error) {
			a, err := python(ctx, pythonArgs{What: "lock", Producers: n, Count: max(1, count/n)})
			s := sample{time: time.Duration(a.Seconds * 1e9), messages: a.Messages}
			s.used.CPU = -1
			return s, err
		}
	}
	r, err := growth(c, e, 2000, once)
	r.Procs = fmt.Sprint(n)
	return r, err
}
