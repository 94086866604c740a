package shm_test

import (
	"context"
	"errors"
	"io/fs"
	"sync/atomic"
	"testing"
	"time"

	"shmkit/shm"
)

// noContext is what callers pass that never give up.
var noContext context.Context

func TestObject(t *testing.T) {
	o, err := shm.New[struct {
		N atomic.Int64
		A [10]uint32
	}](shm.WithOwnSegment())
	if err != nil {
		t.Fatal(err)
	}
	v := o.Value()
	v.N.Store(7)
	v.A[9] = 3
	b, err := o.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	var p shm.Object[struct {
		N atomic.Int64
		A [10]uint32
	}]
	if err := p.UnmarshalBinary(b); err != nil {
		t.Fatal(err)
	}
	if p.Value() != v {
		t.Fatal("one process, two mappings")
	}
	var q shm.Object[int64]
	var le *shm.LayoutError
	if err := q.UnmarshalBinary(b); !errors.As(err, &le) {
		t.Fatalf("wrong type: %v", err)
	}
	s := shm.Find(&v.A[9])
	if s == nil || s.ID() != o.Segment().ID() {
		t.Fatal("Find does not find")
	}
	for _, err := range shm.Check(o.Segment()) {
		t.Error(err)
	}
	o.Close()
	p.Close()
	if v.N.Load() != 0 || shm.Find(&v.A[9]) != nil {
		t.Fatal("still there after Close")
	}
}

func TestNamed(t *testing.T) {
	name := "test-named"
	o, err := shm.Create[int64](name)
	if err != nil {
		t.Fatal(err)
	}
	*o.Value() = 42
	if _, err := shm.Create[int64](name); !errors.Is(err, fs.ErrExist) {
		t.Fatal(err)
	}
	o.Close()
	o, err = shm.Open[int64](name)
	if err != nil || *o.Value() != 42 {
		t.Fatal(err)
	}
	all, err := shm.List()
	t.Logf("%+v %v", all, err)
	o.Close()
	o, err = shm.Create[int64](name) // stale: replaced
	if err != nil || *o.Value() != 0 {
		t.Fatal(err)
	}
	o.Close()
	if gone, err := shm.Collect(); err != nil || len(gone) != 1 {
		t.Fatal(gone, err)
	}
	if _, err := shm.Open[int64](name); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
}

func TestSleep(t *testing.T) {
	for _, on := range []bool{true, false} {
		shm.AllowWaitv(on)
		o, err := shm.New[atomic.Uint32]()
		if err != nil {
			t.Fatal(err)
		}
		w := o.Value()
		s := o.Segment()
		begin := time.Now()
		if r := s.Sleep(context.Background(), w, 0, 0); r != shm.Timeout {
			t.Fatal(r)
		}
		t.Log("slice", time.Since(begin))
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		begin = time.Now()
		for r := shm.Changed; r != shm.Cancelled; {
			r = s.Sleep(ctx, w, 0, 0)
		}
		t.Log("deadline of 20 ms", time.Since(begin))
		cancel()
		got := make(chan shm.WakeReason)
		go func() {
			for {
				if r := s.Sleep(noContext, w, 0, 0); r == shm.Woken || r == shm.Changed && w.Load() != 0 {
					got <- r
					return
				}
			}
		}()
		for shm.Wake(w, 1) == 0 {
		}
		t.Log(<-got)
		go func() {
			for {
				if r := s.Sleep(noContext, w, 0, 0); r == shm.Closed {
					got <- r
					return
				}
			}
		}()
		o.Close()
		t.Log(<-got)
	}
	shm.AllowWaitv(true)
}

func TestPointers(t *testing.T) {
	if _, err := shm.New[struct{ T time.Time }](); err == nil {
		t.Fatal("accepted")
	} else {
		t.Log(err)
	}
}
