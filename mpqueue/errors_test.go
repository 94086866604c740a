package mpqueue_test

import (
	"errors"
	"io"
	"io/fs"
	"strings"
	"testing"

	"shmkit/mpqueue"
	"shmkit/shm"
)

// usable fails the test if a message does not pass the queue any more, or if there
// is something in it that should not be.
func usable[T any](t *testing.T, q *mpqueue.Queue[T], v T) {
	t.Helper()
	if n := q.Len(); n != 0 {
		t.Fatalf("%d items are in the queue", n)
	}
	for range q.Cap() + 1 {
		if err := q.TryPut(v); err != nil {
			t.Fatal("the queue cannot be used any more: ", err)
		}
		if _, err := q.TryGet(); err != nil {
			t.Fatal("the queue cannot be used any more: ", err)
		}
	}
	if s := q.Stats(); s.Leased != 0 || s.Reserved != 0 {
		t.Fatalf("left over: %+v", s)
	}
}

func TestErrorClosedQueue(t *testing.T) {
	q := newQueue[[]byte](t, 4)
	early, err := q.ReserveSize(background, 3)
	if err != nil {
		t.Fatal(err)
	}
	q.Put(background, []byte("before"))
	q.CloseSend()
	if err := q.CloseSend(); err != nil {
		t.Error("again:", err)
	}
	for what, put := range map[string]func() error{
		"Put": func() error { return q.Put(background, nil) }, "TryPut": func() error { return q.TryPut(nil) },
		"large":       func() error { return q.Put(background, make([]byte, 5000)) },
		"PutBatch":    func() error { _, err := q.PutBatch(background, [][]byte{nil}); return err },
		"ReserveSize": func() error { _, err := q.ReserveSize(background, 1); return err },
		"Write":       func() error { return q.Write(background, 1, func([]byte) error { panic("called") }) },
		"Commit":      early.Commit,
		"Producer":    func() error { _, err := q.Producer(); return err },
	} {
		if err := put(); err != mpqueue.ErrClosed || !errors.Is(err, io.EOF) {
			t.Errorf("%s after CloseSend: %v", what, err)
		}
	}
	if b, err := q.Get(background); string(b) != "before" || err != nil {
		t.Errorf("what was put before: %q, %v", b, err)
	}
	if _, err := q.Get(background); err != mpqueue.ErrClosed {
		t.Error(err)
	}
	if s := q.Stats(); s.Reserved != 0 || s.Leased != 0 || !s.Closed {
		t.Errorf("%+v", s)
	}
}

func TestErrorTooLarge(t *testing.T) {
	q := newQueue[[]byte](t, 2, mpqueue.WithMaxBytes(1<<20))
	large := make([]byte, 1<<20+1)
	for what, put := range map[string]func() error{
		"Put": func() error { return q.Put(background, large) }, "TryPut": func() error { return q.TryPut(large) },
		"ReserveSize": func() error { _, err := q.ReserveSize(background, len(large)); return err },
		"PutBatch":    func() error { _, err := q.PutBatch(background, [][]byte{large}); return err },
	} {
		if err := put(); !errors.Is(err, mpqueue.ErrTooLarge) || !strings.Contains(err.Error(), "1048577") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if s := q.Stats(); s.Puts != 0 {
		t.Errorf("something was written: %+v", s)
	}
	usable(t, q, large[:1<<20])
	none := newQueue[string](t, 2, mpqueue.WithMaxBytes(0)) // no arena at all
	if err := none.Put(background, strings.Repeat("x", 113)); !errors.Is(err, mpqueue.ErrTooLarge) {
		t.Error(err)
	}
	usable(t, none, strings.Repeat("x", 112))
}

func TestErrorOtherType(t *testing.T) {
	q, err := mpqueue.Create[point]("points", 4)
	if err != nil {
		t.Skip(err) // no names on this system
	}
	defer shm.Remove("points")
	defer q.Close()
	var le *shm.LayoutError
	if _, err := mpqueue.Open[string]("points"); !errors.As(err, &le) || !strings.Contains(err.Error(), "points") {
		t.Error("as a queue of string:", err)
	}
	if _, err := mpqueue.Open[struct{ X, Z int }]("points"); !errors.As(err, &le) {
		t.Error("with another field:", err)
	}
	if _, err := mpqueue.Open[point]("points", mpqueue.WithCodec(mpqueue.JSON[point]())); !errors.As(err, &le) {
		t.Error("through a codec:", err)
	}
	if _, err := shm.Open[point]("points"); !errors.As(err, &le) {
		t.Error("as an object:", err)
	}
	if _, err := mpqueue.OpenRing[point]("points"); !errors.As(err, &le) {
		t.Error("as a ring:", err)
	}
	if _, err := mpqueue.Create[point]("points", 4); !errors.Is(err, fs.ErrExist) {
		t.Error("again:", err)
	}
	if _, err := mpqueue.Open[point]("no points"); !errors.Is(err, fs.ErrNotExist) {
		t.Error("another name:", err)
	}
	ref, err := q.Segment().Reference() // not sent: nobody will open it
	if err != nil {
		t.Fatal(err)
	}
	var other mpqueue.Queue[string]
	if err := other.UnmarshalBinary(ref); !errors.As(err, &le) {
		t.Error("by its handle:", err)
	}
	same, err := mpqueue.Open[point]("points")
	if err != nil {
		t.Fatal(err)
	}
	defer same.Close()
	q.Put(background, point{1, 2})
	if v, err := same.Get(background); v != (point{1, 2}) || err != nil {
		t.Error(v, err)
	}
	usable(t, same, point{3, 4})
}

// wild is a codec that panics on demand.
type wild struct{ during func() }

func (w wild) Append(b []byte, v int) ([]byte, error) {
	if v == -1 {
		panic("wild Append")
	}
	return append(b, byte(v)), nil
}

func (w wild) Decode(b []byte) (int, error) {
	w.during()
	if b[0] == 13 {
		panic("wild Decode")
	}
	return int(b[0]), nil
}

// A codec is somebody's own code: what it panics with is the caller's, and while it
// runs nobody has to wait for the queue.
func TestErrorWildCodec(t *testing.T) {
	var q *mpqueue.Queue[int]
	held := 0
	w := wild{func() {
		for q.TryPut(7) == nil {
			held++
		}
	}}
	q = newQueue[int](t, 1, mpqueue.WithCodec[int](w))
	mustPanic(t, "wild Append", func() { q.Put(background, -1) })
	mustPanic(t, "wild Append", func() { q.TryPut(-1) })
	for what, get := range map[string]func(){
		"Get": func() { q.Get(background) }, "TryGet": func() { q.TryGet() }, "Receive": func() { q.Receive(background) },
	} {
		if err := q.Put(background, 13); err != nil {
			t.Fatal(what, err)
		}
		held = 0
		mustPanic(t, "wild Decode", get)
		if held != 1 && what != "Receive" {
			t.Errorf("%s: a slot is held while the codec runs", what)
		}
		if held == 1 {
			if i, err := q.TryReceive(); err != nil || i.Value() != 7 || i.Done() != nil {
				t.Fatal(what, err)
			}
		}
	}
	w.during()
	q.TryGet()
}

func TestErrorItemAndSlot(t *testing.T) {
	q := newQueue[[]byte](t, 2)
	q.Put(background, []byte("x"))
	i, err := q.Receive(background)
	if err != nil {
		t.Fatal(err)
	}
	if err := i.Done(); err != nil {
		t.Fatal(err)
	}
	if err := i.Done(); err != mpqueue.ErrDone {
		t.Error("Done twice:", err)
	}
	if err := i.Requeue(); err != mpqueue.ErrDone {
		t.Error("Requeue after Done:", err)
	}
	mustPanic(t, "Value of an Item that is done", func() { i.Value() })
	mustPanic(t, "Bytes of an Item that is done", func() { i.Bytes() })
	usable(t, q, []byte("y"))

	for _, n := range []int{1, 5000} {
		s, err := q.ReserveSize(background, n)
		if err != nil {
			t.Fatal(err)
		}
		mustPanic(t, "Resize", func() { s.Resize(n + 1) })
		mustPanic(t, "Resize", func() { s.Resize(-1) })
		s.Resize(0)
		s.Resize(n) // what has been reserved is still there
		s.Abort()
		mustPanic(t, "Commit of a Slot that is committed or aborted", func() { s.Commit() })
		mustPanic(t, "Bytes of a Slot", func() { s.Bytes() })
		s.Abort()
		usable(t, q, []byte("y"))
	}
	mustPanic(t, "ReserveSize(-1)", func() { q.ReserveSize(background, -1) })
	mustPanic(t, "Reserve of a type without a fixed size", func() { q.Reserve(background) })

	for _, capacity := range []int{1, 0} {
		q := newQueue[int](t, capacity)
		s, err := q.Reserve(background)
		if err != nil {
			t.Fatal(err)
		}
		mustPanic(t, "Resize of a Slot of int", func() { s.Resize(3) })
		s.Abort()
	}

	j := newQueue[int](t, 2, mpqueue.Joinable())
	j.Put(background, 1)
	j.Get(background)
	j.TaskDone()
	mustPanic(t, "TaskDone without an item", j.TaskDone)
	usableTask(t, j)
	mustPanic(t, "Join on a queue that is not Joinable", func() { q.Join(background) })
}

func usableTask(t *testing.T, q *mpqueue.Queue[int]) {
	t.Helper()
	if err := q.Put(background, 2); err != nil {
		t.Fatal(err)
	}
	if v, err := q.Get(background); v != 2 || err != nil {
		t.Fatal(v, err)
	}
	q.TaskDone()
	if err := q.Join(background); err != nil {
		t.Fatal(err)
	}
}

// After Close every call of this process says so; none panics or hangs, and none
// sees anything in the queue.
func TestErrorAfterClose(t *testing.T) {
	q, err := mpqueue.New[[]byte](4, mpqueue.Joinable())
	if err != nil {
		t.Fatal(err)
	}
	q.Put(background, []byte("left"))
	q.Put(background, []byte("leased"))
	q.Get(background)
	i, err := q.Receive(background)
	if err != nil {
		t.Fatal(err)
	}
	s, err := q.ReserveSize(background, 10)
	if err != nil {
		t.Fatal(err)
	}
	p, err := q.Producer()
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := q.Close(); err != nil {
			t.Error("Close:", err)
		}
	}
	for what, f := range map[string]func() error{
		"Put": func() error { return q.Put(background, nil) }, "TryPut": func() error { return q.TryPut(nil) },
		"large": func() error { return q.TryPut(make([]byte, 5000)) },
		"Get":   func() error { _, err := q.Get(background); return err }, "TryGet": func() error { _, err := q.TryGet(); return err },
		"Receive":     func() error { _, err := q.Receive(background); return err },
		"TryReceive":  func() error { _, err := q.TryReceive(); return err },
		"PutBatch":    func() error { _, err := q.PutBatch(background, [][]byte{nil}); return err },
		"GetBatch":    func() error { _, err := q.GetBatch(background, make([][]byte, 1)); return err },
		"ReserveSize": func() error { _, err := q.ReserveSize(background, 1); return err },
		"Commit":      s.Commit, "Done": i.Done, "Requeue": i.Requeue, "CloseSend": q.CloseSend,
		"Join":          func() error { return q.Join(background) },
		"Producer":      func() error { _, err := q.Producer(); return err },
		"Put of one":    func() error { return p.Put(background, nil) },
		"MarshalBinary": func() error { _, err := q.MarshalBinary(); return err },
		"a loop of Gets": func() (err error) {
			for _, err = range q.All(background) {
			}
			return err
		},
	} {
		if err := f(); !errors.Is(err, shm.ErrClosed) {
			t.Errorf("%s after Close: %v", what, err)
		}
	}
	s.Abort()
	q.TaskDone()
	if q.Len() != 0 || !q.Empty() || q.Cap() != 4 {
		t.Error(q.Len(), q.Empty(), q.Full(), q.Cap())
	}
	q.Stats()
}
