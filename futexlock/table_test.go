package futexlock_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"shmkit/futexlock"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

func TestMain(m *testing.M) {
	if text, ok := os.LookupEnv(strangerKey); ok {
		beStranger(text)
	}
	procstest.Main(m)
}

// table is what the processes of a test share: one lock of each type, and data
// for them to protect.
type table struct {
	Mu    futexlock.Mutex
	Rec   futexlock.RecursiveMutex
	RW    futexlock.RWMutex
	Sem   futexlock.Semaphore
	Cond  futexlock.Cond
	Event futexlock.Event
	Bar   futexlock.Barrier
	Once  futexlock.Once
	Group futexlock.WaitGroup

	Pair  pair             // protected by a lock
	Step  [8]atomic.Uint32 // progress that roles report
	Count [8]atomic.Int64
	Stop  atomic.Uint32

	Sems [1]futexlock.Semaphore
	Free futexlock.Mutex
}

// pair is two counters that are equal whenever nobody is inside the lock. They
// are written one after the other, so that somebody who gets in at the wrong
// time sees them differ.
type pair struct{ A, B int64 }

// work goes from one sound state to the next. It returns an error if the state
// that it finds is unsound and nobody has said so.
func (p *pair) work(told bool) error {
	a, b := atomic.LoadInt64(&p.A), atomic.LoadInt64(&p.B)
	if a != b {
		if !told {
			return fmt.Errorf("A is %d and B is %d, and nobody was told that a holder died", a, b)
		}
		atomic.StoreInt64(&p.B, a)
	}
	atomic.StoreInt64(&p.A, a+1)
	for range 20 {
		if atomic.LoadInt64(&p.A) != a+1 {
			return fmt.Errorf("A changed while we were inside")
		}
	}
	atomic.StoreInt64(&p.B, a+1)
	return nil
}

// job is what a process of a test does: one of the acts, on a table.
type job struct {
	Table *shm.Object[table]
	Act   string
	N     int
}

// act is something that a process can do.
type act func(ctx context.Context, t *table, n int) error

var acts = map[string]act{}

// player plays any act.
var player = procstest.Role("player", func(ctx context.Context, j job) error {
	f := acts[j.Act]
	if f == nil {
		return fmt.Errorf("no act %q", j.Act)
	}
	return f(ctx, j.Table.Value(), j.N)
})

// play starts a process that does an act.
func play(t testing.TB, o *shm.Object[table], name string, n int, opts ...procstest.Option) *procstest.Proc {
	t.Helper()
	return player.Start(t, job{o, name, n}, opts...)
}

// newTable makes a table for one test. When the test ends it is checked.
func newTable(t testing.TB) (*shm.Object[table], *table) {
	t.Helper()
	o, err := shm.New[table](shm.WithOwnSegment())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		shm.SweepDead(0)
		for _, err := range shm.Check(o.Segment()) {
			t.Error(err)
		}
		o.Close()
	})
	return o, o.Value()
}

// object makes a T in shared memory for the length of a test.
func object[T any](t testing.TB) *T {
	t.Helper()
	o, err := shm.New[T]()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, err := range shm.Check(o.Segment()) {
			t.Error(err)
		}
		if err := o.Close(); err != nil {
			t.Error(err)
		}
	})
	return o.Value()
}

// await waits until a word is at least want.
func await(t testing.TB, w *atomic.Uint32, want uint32) {
	t.Helper()
	for start := time.Now(); w.Load() < want; time.Sleep(100 * time.Microsecond) {
		if time.Since(start) > 20*time.Second {
			t.Fatalf("waited 20 s for %d, have %d", want, w.Load())
		}
	}
}

// withoutWaitv reports whether shm does without futex_waitv: it is denied, or this
// is a program of 32 bits or one that an emulator runs.
func withoutWaitv() bool {
	return os.Getenv("SHMKIT_NO_WAITV") != "" || strconv.IntSize < 64 || procstest.Emulated()
}

// within logs what f takes, and fails t if that is ten times the bound, or half
// a second: less can be the doing of a machine with other work, and where four
// others wait for every processor, seconds can.
func within(t testing.TB, what string, bound time.Duration, f func()) time.Duration {
	t.Helper()
	if withoutWaitv() {
		bound = max(bound, 100*time.Millisecond) // nobody rings: sleepers look by themselves
	}
	start := time.Now()
	f()
	d := time.Since(start)
	t.Logf("%s: %v (bound %v)", what, d.Round(time.Microsecond), bound)
	limit := max(10*bound, 500*time.Millisecond)
	if busy() {
		limit = max(limit, 10*time.Second)
	}
	if d > limit {
		t.Errorf("%s took %v, the bound is %v", what, d, bound)
	}
	return d
}

// busy reports whether more than four threads wanted each processor lately.
func busy() bool {
	var load float64
	text, _ := os.ReadFile("/proc/loadavg")
	fmt.Sscan(string(text), &load)
	return load > float64(4*runtime.NumCPU())
}

// seconds is a context for what must not hang.
func seconds(t testing.TB, n int) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(n)*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// mustPanic fails t unless f panics with this package's prefix and text.
func mustPanic(t testing.TB, text string, f func()) {
	t.Helper()
	defer func() {
		t.Helper()
		r := recover()
		if s := fmt.Sprint(r); r == nil || !strings.HasPrefix(s, "futexlock: ") || !strings.Contains(s, text) {
			t.Errorf("panic %v, want one with %q", r, text)
		}
	}()
	f()
}

func pid() int64 { return int64(os.Getpid()) }
