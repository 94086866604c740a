package shm_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"shmkit/futexlock"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

func descriptors(t testing.TB) int {
	e, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(e)
}

func mappings(t testing.TB) int {
	b, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, c := range b {
		if c == '\n' {
			n++
		}
	}
	return n
}

// 10,000 mutexes cost a handful of descriptors and mappings, do not overlap, and
// start as zeros, also where others were before.
func TestArenaManyObjects(t *testing.T) {
	const n = 10000
	fds, maps := descriptors(t), mappings(t)
	for round := range 2 {
		var all []*shm.Object[futexlock.Mutex]
		begin := time.Now()
		for range n {
			o, err := shm.New[futexlock.Mutex]()
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, o)
		}
		each := time.Since(begin) / n
		seen := map[*futexlock.Mutex]bool{}
		for _, o := range all {
			m := o.Value()
			if seen[m] {
				t.Fatal("two objects in one block")
			}
			seen[m] = true
			if err := m.Lock(); err != nil {
				t.Fatal("not zero: ", err)
			}
		}
		t.Logf("round %d: %d mutexes, %v each, %d descriptors, %d mappings", round, n, each, descriptors(t)-fds, mappings(t)-maps)
		if d := descriptors(t) - fds; d > 40 {
			t.Errorf("%d descriptors", d)
		}
		for _, o := range all {
			o.Close() // locked: the next one in this block must not notice
		}
	}
	for _, err := range shm.CheckAll() {
		t.Error(err)
	}
}

// An arena in which nothing is left goes away.
func TestArenaGoes(t *testing.T) {
	fds := descriptors(t)
	o, err := shm.New[[3000]byte]()
	if err != nil {
		t.Fatal(err)
	}
	o.Close()
	waitFor(t, "the arena is gone", func() bool { return descriptors(t) <= fds })
}

func TestArenaOwnSegment(t *testing.T) {
	a, err := shm.New[int64]()
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	b, err := shm.New[int64](shm.WithOwnSegment())
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if a.Segment().Kind() != shm.KindArena || b.Segment().Kind() != shm.KindObject {
		t.Errorf("kinds %d and %d", a.Segment().Kind(), b.Segment().Kind())
	}
	if s := shm.Find(a.Value()); s == nil || s.ID() != a.Segment().ID() {
		t.Error("Find does not find the arena")
	}
}

// A handle that was kept too long is refused, also when another object lies
// where its own was.
func TestArenaStaleHandle(t *testing.T) {
	for _, again := range []bool{false, true} {
		o, err := shm.New[int64]()
		if err != nil {
			t.Fatal(err)
		}
		other, err := shm.New[int64]() // keeps the arena
		if err != nil {
			t.Fatal(err)
		}
		b, err := o.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		*o.Value() = 42
		if again { // opened by its receiver, so that the sender need not keep it
			var r shm.Object[int64]
			if err := r.UnmarshalBinary(b); err != nil {
				t.Fatal(err)
			}
			r.Close()
		}
		where := o.Value()
		o.Close()
		var reused *shm.Object[int64]
		for range 3 {
			n, err := shm.New[int64]()
			if err != nil {
				t.Fatal(err)
			}
			defer n.Close()
			if *n.Value() != 0 {
				t.Fatal("a new object is not zero")
			}
			if n.Value() == where {
				reused = n
			}
		}
		var r shm.Object[int64]
		err = r.UnmarshalBinary(b)
		if again {
			var he *shm.HandleError
			if !errors.As(err, &he) || !errors.Is(err, fs.ErrNotExist) || reused == nil {
				t.Errorf("a handle of a closed object: %v; reused %v", err, reused != nil)
			}
		} else if err != nil || *r.Value() != 42 || reused != nil {
			t.Errorf("a pinned object: %v; reused %v", err, reused != nil)
		}
		r.Close()
		other.Close()
	}
	shm.DropPins()
}

// A block of another type, or outside the arena, is refused.
func TestArenaWrongHandle(t *testing.T) {
	o, err := shm.New[int64]()
	if err != nil {
		t.Fatal(err)
	}
	defer shm.DropPins()
	defer o.Close()
	b, _ := o.MarshalBinary()
	var f shm.Object[float64]
	var le *shm.LayoutError
	if err := f.UnmarshalBinary(b); !errors.As(err, &le) {
		t.Errorf("an int64 as a float64: %v", err)
	}
	var s shm.Slice[int64]
	if err := s.UnmarshalBinary(b); !errors.As(err, &le) {
		t.Errorf("an object as a slice: %v", err)
	}
	binary.LittleEndian.PutUint32(b[28:], 1<<20)
	var r shm.Object[int64]
	if err := r.UnmarshalBinary(b); !errors.Is(err, shm.ErrCorrupt) {
		t.Errorf("a block outside: %v", err)
	}
}

func TestArenaSlice(t *testing.T) {
	s, err := shm.NewSlice[uint16](100)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Data()) != 100 || cap(s.Data()) != 100 || s.Segment().Kind() != shm.KindArena {
		t.Fatal(len(s.Data()), cap(s.Data()))
	}
	s.Data()[99] = 7
	b, _ := s.MarshalBinary()
	var r shm.Slice[uint16]
	if err := r.UnmarshalBinary(b); err != nil || len(r.Data()) != 100 || r.Data()[99] != 7 {
		t.Fatal(err)
	}
	r.Close()
	s.Close()
}

// Sleepers on an object that their process closes are told, and whatever it
// held there is released as if it had died.
func TestArenaClose(t *testing.T) {
	o, err := shm.New[pair]()
	if err != nil {
		t.Fatal(err)
	}
	other, err := shm.New[pair]()
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	p := locker.Start(t, o)
	v := o.Value()
	waitFor(t, "the other is there", func() bool { return v.Stage.Load() == 1 })
	if err := v.Mu.Lock(); err != nil {
		t.Fatal(err)
	}
	got := make(chan shm.WakeReason)
	go func() {
		for {
			if r := o.Segment().Sleep(noContext, &v.Word, 0, 0); r != shm.Timeout {
				got <- r
				return
			}
		}
	}()
	waitFor(t, "asleep", func() bool { return shm.Asleep() == 1 })
	v.Stage.Store(2)
	procstest.WaitBlocked(t, p.PID(), 1)
	o.Close()
	if r := <-got; r != shm.Closed {
		t.Errorf("the sleeper was told %v", r)
	}
	if s := p.Wait(); s.Err != nil {
		t.Error(s)
	}
}

// Close of a block wakes who sleeps there: it does not wait for the ends of their
// sleeps.
func TestArenaCloseWakes(t *testing.T) {
	const rounds, bound = 20, 5 * time.Millisecond
	var all time.Duration
	for range rounds {
		o, err := shm.New[atomic.Uint32]()
		if err != nil {
			t.Fatal(err)
		}
		got := make(chan shm.WakeReason)
		go func() { got <- o.Segment().Sleep(noContext, o.Value(), 0, 0) }()
		waitFor(t, "asleep", func() bool { return shm.Asleep() == 1 })
		begin := time.Now()
		o.Close()
		all += time.Since(begin)
		if r := <-got; r != shm.Closed {
			t.Logf("the sleeper was told %v", r)
		}
	}
	t.Logf("a Close under a sleeper took %v (bound %v)", all/rounds, bound)
	if all > rounds*10*bound {
		t.Error("it takes ten times the bound")
	}
}

type pair struct {
	Mu    futexlock.Mutex
	Word  atomic.Uint32
	Stage atomic.Uint32
	_     [600]byte // a size that no other test uses: the arena is nearly empty
}

// locker locks what the test holds, and wants to be told that the holder is
// gone.
var locker = procstest.Role("locker", func(ctx context.Context, o *shm.Object[pair]) error {
	v := o.Value()
	v.Stage.Store(1)
	for v.Stage.Load() != 2 {
		time.Sleep(time.Millisecond)
	}
	if err := v.Mu.Lock(); !errors.Is(err, futexlock.ErrOwnerDied) {
		return errors.Join(errors.New("the holder has closed the object"), err)
	}
	v.Mu.Consistent()
	v.Mu.Unlock()
	return nil
})

// What only a dead process held is free again, in the arena of a living one.
func TestArenaSweep(t *testing.T) {
	keep, err := shm.New[int64]()
	if err != nil {
		t.Fatal(err)
	}
	defer keep.Close()
	o, err := shm.New[pair]()
	if err != nil {
		t.Fatal(err)
	}
	p := locker.Start(t, o)
	waitFor(t, "the other is there", func() bool { return o.Value().Stage.Load() == 1 })
	where := o.Value()
	shm.SettlePins()
	o.Close()
	taken := func() bool {
		n, err := shm.New[pair]()
		if err != nil {
			t.Fatal(err)
		}
		defer n.Close()
		return n.Value() == where
	}
	if taken() {
		t.Error("a block was taken that another process holds")
	}
	p.Kill()
	found := false
	var all []*shm.Object[pair]
	for range 5000 { // until the arena is scanned
		n, err := shm.New[pair]()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, n)
		found = found || n.Value() == where
	}
	for _, n := range all {
		n.Close()
	}
	if !found {
		t.Error("the block of the dead process is not used again")
	}
}
