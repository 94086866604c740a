package shm_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	"shmkit/futexlock"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

type collectorArgs struct {
	Report *shm.Object[[2]uint64]
	N      int
}

// collector plays a process that is attached to many segments.
var collector = procstest.Role("collector", func(ctx context.Context, a collectorArgs) error {
	begin := time.Now()
	for i := range a.N {
		o, err := shm.Create[int64](fmt.Sprint("many-", i), shm.WithParticipants(4))
		if err != nil {
			return err
		}
		*o.Value() = int64(i)
	}
	shm.StoreUint64(&a.Report.Value()[1], uint64(time.Since(begin)))
	shm.StoreUint64(&a.Report.Value()[0], 1)
	<-ctx.Done()
	return nil
})

// 5,000 times in and out leave nothing behind, and the slots are taken in turn.
func TestAttachDetach(t *testing.T) {
	name := "cycles"
	o, err := shm.Create[account](name, shm.WithKeep())
	if err != nil {
		t.Fatal(err)
	}
	o.Close()
	defer shm.Remove(name)
	fds, maps := descriptors(t), mappings(t)
	n := 5000
	if testing.Short() {
		n = 1000
	}
	tokens := map[shm.Token]bool{}
	slots := map[int]int{}
	begin := time.Now()
	for range n {
		o, err := shm.Open[account](name)
		if err != nil {
			t.Fatal(err)
		}
		me := o.Segment().Self()
		if tokens[me] {
			t.Fatalf("token %v twice", me)
		}
		tokens[me] = true
		slots[me.Slot()]++
		o.Value().Mu.Lock() // closing is dying: the next one is told
		if err := o.Close(); err != nil {
			t.Fatal(err)
		}
	}
	runtime.GC() // Mappings go when the collector has run.
	t.Logf("%d cycles, %v each, %d slots; %d descriptors, %d mappings more", n, time.Since(begin)/time.Duration(n), len(slots), descriptors(t)-fds, mappings(t)-maps)
	if descriptors(t) > fds || mappings(t) > maps+200 {
		t.Errorf("%d descriptors, %d mappings more", descriptors(t)-fds, mappings(t)-maps)
	}
	if len(slots) < 8 {
		t.Errorf("only %d slots were used", len(slots))
	}
}

// guest attaches and stays.
var guest = procstest.Role("guest", func(ctx context.Context, name string) error {
	o, err := shm.Open[account](name)
	if err != nil {
		return err
	}
	defer o.Close()
	o.Value().Balance++
	<-ctx.Done()
	return nil
})

func TestTooManyParticipants(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	o, err := shm.Create[account]("table", shm.WithParticipants(2))
	if err != nil {
		t.Fatal(err)
	}
	defer shm.Remove("table")
	defer o.Close()
	for round := range int64(5) {
		p := guest.Start(t, "table")
		waitFor(t, "the guest", func() bool { return shm.LoadInt64(&o.Value().Balance) == round+1 })
		q := guest.Start(t, "table")
		if err := q.Join(t.Context()); err == nil {
			t.Error("three in a table for two")
		} else if round == 0 {
			t.Log(err)
		}
		p.Kill()
	}
	// In one process: an error that errors.Is can tell.
	a, err := shm.Create[account]("single", shm.WithParticipants(1))
	if err != nil {
		t.Fatal(err)
	}
	defer shm.Remove("single")
	defer shm.DropPins()
	defer a.Close()
	b, err := a.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	other := stranger.Start(t, b)
	if err := other.Join(t.Context()); err == nil {
		t.Error("two in a table for one")
	} else {
		t.Log(err)
	}
}

// stranger wants to attach by a handle, and must be told why it cannot.
var stranger = procstest.Role("stranger", func(ctx context.Context, b []byte) error {
	var o shm.Object[account]
	err := o.UnmarshalBinary(b)
	var he *shm.HandleError
	if !errors.Is(err, shm.ErrTooManyParticipants) || !errors.As(err, &he) {
		return fmt.Errorf("not told: %w", err)
	}
	return err
})

// Locks are found wherever they lie in T, in arrays of arrays, and in ranges
// that At and SliceAt add; more groups than the map holds are refused.
func TestLockMap(t *testing.T) {
	type deep struct {
		_ [3]byte
		A [2][3]futexlock.Mutex
		B [4]struct {
			N  int32
			In [2]struct {
				Mu futexlock.Mutex
				N  byte
			}
		}
		Z futexlock.Event
	}
	o, err := shm.New[deep](shm.WithOwnSegment())
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	kinds := map[string]int{}
	for _, it := range shm.Describe(o.Segment()) {
		kinds[it.Kind]++
	}
	if kinds["futexlock.Mutex"] != 6+8 || kinds["futexlock.Event"] != 1 {
		t.Errorf("found %v", kinds)
	}
	if l, err := shm.LayoutOf[deep](); err != nil || l.Locks() != 15 {
		t.Errorf("LayoutOf counts %d locks, %v", l.Locks(), err)
	}
	s, err := shm.NewSegment(1 << 16)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := shm.SliceAt[account](s, 64, 100); err != nil {
		t.Fatal(err)
	}
	if _, err := shm.At[account](s, 64+16*50); err != nil { // one of those
		t.Fatal(err)
	}
	if n := len(shm.Describe(s)); n != 100 {
		t.Errorf("%d locks, want 100", n)
	}
	groups := 1
	for ; groups < 100; groups++ {
		if _, err = shm.At[account](s, 4096+groups*64); err != nil {
			break
		}
	}
	if groups != 64 || err == nil {
		t.Errorf("%d groups of locks went in, %v", groups, err)
	}
	if _, err := shm.At[uint64](s, 3); err == nil {
		t.Error("a misaligned At")
	}
	if _, err := shm.SliceAt[uint64](s, 0, 1<<13+1); err == nil {
		t.Error("a SliceAt beyond the end")
	}
}
