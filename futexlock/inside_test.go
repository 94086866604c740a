package futexlock

import (
	"testing"

	"shmkit/shm"
)

// A goroutine that reads alone, by the write side, leaves. Another of its process
// has counted itself in a cell and is about to see that the gate is shut: it must
// find its count again.
func TestRUnlockOfOneThatReadsAlone(t *testing.T) {
	o, err := shm.New[RWMutex]()
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	rw := o.Value()
	seg := shm.Find(rw)
	self := uint32(seg.Self())
	if _, err := rw.writeLock(t.Context(), seg, new(shm.Stay), self, gateShared); err != nil {
		t.Fatal(err)
	}
	passing := class(rw.gate.Load()) // of the gate as it was open
	c := rw.enter(seg, self, passing)
	rw.RUnlock()
	if s := rw.State(); holderOf(rw.write.Load()) != 0 || rw.gate.Load()&gateClosed != 0 {
		t.Errorf("after RUnlock: %s", s)
	}
	if !rw.unread(c, self, passing) {
		t.Error("RUnlock took the count of another goroutine")
	}
}

// Two goroutines of a process are inside, one by the lane and one by the cell, and
// both leave by the lane at the same time; in a lane that a writer has shut, and in
// one that is open.
func TestRUnlockTakesOneTooMany(t *testing.T) {
	for _, open := range []bool{false, true} {
		o, err := shm.New[RWMutex]()
		if err != nil {
			t.Fatal(err)
		}
		defer o.Close()
		rw := o.Value()
		self := uint32(shm.Find(rw).Self())
		rw.RLock() // by the cell, and opens the lane
		rw.RLock() // by the lane
		c := rw.homeLane(self)
		if v := c.Load(); !laneIsOpen(v) || laneReaders(v) != 1 || rw.State() != "read by 2 in 1 processes" {
			t.Fatalf("lane %#x: %s", v, rw.State())
		}
		if !open {
			shutLane(c)
		}
		first, second := c.Add(^(laneReader - 1)), c.Add(^(laneReader - 1))
		if !laneIsOpen(first) && !rw.leftLane(c, first) {
			t.Error("the one in the lane could not leave")
		}
		if laneIsOpen(second) || rw.leftLane(c, second) {
			t.Error("two left by a lane with one in it")
		}
		rw.runlockSlow()
		if s := rw.State(); s != "unlocked" || laneInside(c.Load()) != 0 || laneIsOpen(c.Load()) != open {
			t.Errorf("%s, lane %#x", s, c.Load())
		}
		if ok, err := rw.TryLock(); !ok || err != nil {
			t.Fatal(ok, err)
		}
		// RLock adds to a lane that was shut meanwhile, and another leaves by that.
		rw.Unlock()
		rw.RLock()
		if c.Add(laneReader); laneIsOpen(c.Load()) {
			shutLane(c)
		}
		rw.RUnlock()
		rw.backFromLane(c)
		if s := rw.State(); s != "unlocked" || laneInside(c.Load()) != 0 {
			t.Errorf("%s, lane %#x", s, c.Load())
		}
		mustMisuse(t, rw.RUnlock)
	}
}

func mustMisuse(t *testing.T, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	f()
}

// Init, or Close, under one that gathers permits: it does not look for them for
// ever.
func TestGatheredPermitsVanish(t *testing.T) {
	o, err := shm.New[Semaphore]()
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	s := o.Value()
	s.Init(4, 4)
	const self = 7
	mine := permitAs(0, permitTaking, self)
	if n := change(s.celled(), self, 3, permitFree, func(v uint64) uint64 { return v | mine }); n != 3 {
		t.Fatal(n)
	}
	s.Init(4, 4)
	if letGo(s.celled(), 3, mine, permitOut) {
		t.Error("let go of permits that nobody has")
	}
	if v := s.Value(); v != 4 {
		t.Errorf("%d free, want 4", v)
	}
}

// A process has closed the segment while it held a RecursiveMutex, and opened it
// again: it is somebody else now. Another holder of it is about to write its name.
func TestRecursiveMutexOfAnEarlierToken(t *testing.T) {
	o, err := shm.New[RecursiveMutex]()
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	r, h := o.Value(), NewHolder()
	self := uint32(shm.Find(r).Self())
	r.word.Store(self)
	r.holder.Store(h.in(self + 1))
	if ok, _ := r.TryLock(h); ok {
		t.Error("locked again what another holds")
	}
	mustMisuse(t, func() { r.Unlock(h) })
	r.word.Store(0)
}

// The process whose task is to be taken was done with it in that moment, and another
// goroutine of ours has added one in its cell: that is ours already.
func TestTakeOfOnesOwn(t *testing.T) {
	o, err := shm.New[WaitGroup]()
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	w := o.Value()
	seg := shm.Find(w)
	self := uint32(seg.Self())
	was := charged(0, self, load(1))
	w.cells[9].Store(was)
	w.underLock(seg, self, func(self uint32) {
		if err := w.move(9, self, load(1), load(oneTaken)); err != ErrNoTask {
			t.Error(err)
		}
	})
	if open, lost := w.Tasks(); w.cells[9].Load() != was || open != 1 || lost != 0 {
		t.Errorf("cell %#x, it was %#x; %s", w.cells[9].Load(), was, w.State())
	}
	w.Done()
}

func TestEarlierEpochs(t *testing.T) {
	for _, c := range []struct {
		e, than uint32
		want    bool
	}{{0, 0, false}, {0, 1, true}, {1, 0, false}, {epochMask, 0, true}, {0, epochMask, false}, {0, 2047, true}, {0, 2048, false}} {
		if got := earlier(c.e, c.than); got != c.want {
			t.Errorf("earlier(%d, %d) = %v", c.e, c.than, got)
		}
	}
}
