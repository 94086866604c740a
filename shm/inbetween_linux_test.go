package shm_test

import (
	"errors"
	"io/fs"
	"sync/atomic"
	"testing"
	"time"

	"shmkit/procs/procstest"
	"shmkit/shm"
)

// While one goroutine touches the pages of a large segment others attach, and the
// dead are swept.
func TestPrefaultBlocksNobody(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	inside := make(chan error)
	defer shm.Prefaulted(func() {
		go func() {
			shm.SweepDead(0)
			s, err := shm.NewSegment(1)
			if err == nil {
				err = s.Close()
			}
			inside <- err
		}()
		select {
		case err := <-inside:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(5 * time.Second):
			t.Error("an attach stops everybody else")
			go func() { <-inside }()
		}
	})()
	s, err := shm.NewSegment(1<<20, shm.WithPrefault())
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
}

// Only what was reserved is touched: nothing else was compared with the memory
// that there is.
func TestPrefaultSparse(t *testing.T) {
	const size, reserved = 64 << 20, 1 << 20
	s, err := shm.NewSegment(size, shm.WithSparse(reserved), shm.WithPrefault())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	before := addressable(t, s)
	t.Logf("%d bytes of %d have memory, %d were reserved", before, size, reserved)
	if before >= size/2 {
		t.Error("what is not reserved was touched")
	}
}

// The owner of an arena that sees no bit raises the generation just after another
// process has compared it. That one keeps the block, and can pass it on.
func TestArenaPassedOn(t *testing.T) {
	o, err := shm.New[int64]()
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	shm.RaiseGen(o.Segment())
	b, err := o.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	var p shm.Object[int64]
	if err := p.UnmarshalBinary(b); err != nil {
		t.Errorf("a handle of an object that is open: %v", err)
	} else {
		p.Close()
	}
}

// A segment that is closed between the two looks of a search is not found again.
func TestFindWhileClosing(t *testing.T) {
	for range 100 { // until the place for its address is free
		o, err := shm.NewSlice[atomic.Uint32](1<<10, shm.WithOwnSegment())
		if err != nil {
			t.Fatal(err)
		}
		defer o.Close()
		w := &o.Data()[0]
		if !shm.NearIsFree(w) {
			continue
		}
		a := shm.AddressOf(w)
		restore := shm.Walked(func() { o.Close() })
		shm.FindAt(a)
		restore()
		if shm.FindAt(a) != nil {
			t.Error("a closed segment is found")
		}
		return
	}
	t.Skip("every place is taken")
}

// The first segment is one also if its place in the table of what was found lately
// belongs to another.
func TestFirstCollides(t *testing.T) {
	const pages = 1 << 11 // more than there are places: some word has the place
	other, err := shm.NewSlice[atomic.Uint32](pages*1024, shm.WithOwnSegment())
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	o, err := shm.NewSlice[atomic.Uint32](1, shm.WithOwnSegment())
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	w := &o.Data()[0]
	for i := 0; i < len(other.Data()); i += 1024 {
		if v := &other.Data()[i]; shm.SameHash(v, w) && shm.NearIsFree(v) {
			shm.Find(v)
		}
	}
	shm.ForgetFirst()
	if got := shm.SelfAt(w); got != o.Segment().Self() {
		t.Errorf("token %v, want %v", got, o.Segment().Self())
	}
	if !shm.FirstIs(o.Segment()) {
		t.Error("the segment that was used first is not the first one")
	}
}

// Of a segment that is only looked at no new locks are made known: that would be
// writing into it.
func TestPeekAddsNoLocks(t *testing.T) {
	s, err := shm.CreateSegment("looked", 4096)
	if err != nil {
		t.Fatal(err)
	}
	defer shm.Remove("looked")
	defer s.Close()
	p, err := shm.Peek("looked")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if _, err := shm.At[account](p, 0); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("At: %v, want fs.ErrPermission", err)
	}
}

// A name that nobody uses is removed, also if it was to be kept; one in use is not.
func TestRemoveUnused(t *testing.T) {
	s, err := shm.CreateSegment("unused", 1, shm.WithKeep())
	if err != nil {
		t.Fatal(err)
	}
	if gone, err := shm.RemoveUnused("unused"); gone || err != nil {
		t.Errorf("in use: %v, %v", gone, err)
	}
	s.Close()
	if gone, err := shm.RemoveUnused("unused"); !gone || err != nil {
		t.Errorf("not in use: %v, %v", gone, err)
	}
	if _, err := shm.RemoveUnused("unused"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("not there: %v", err)
	}
}
