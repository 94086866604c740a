package mpqueue_test

import (
	"context"
	"errors"
	"slices"
	"syscall"
	"testing"
	"time"

	"shmkit/mpqueue"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

// TestPipeManyWait: a thousand goroutines, each in another way of 500 pipes, sleep
// on few threads, and wake each for its own message.
func TestPipeManyWait(t *testing.T) {
	ctx := timeout(t)
	const n = 500
	var ends [][2]*mpqueue.Conn
	got := make(chan error)
	for range n {
		a, b, err := mpqueue.Pipe(mpqueue.WithPipeSize(4096))
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		defer b.Close()
		ends = append(ends, [2]*mpqueue.Conn{a, b})
		for _, c := range []*mpqueue.Conn{a, b} {
			go func() { got <- recvError(c.RecvBytes(ctx, nil)) }()
		}
	}
	asleep := func() (k int) {
		for _, e := range ends {
			k += mpqueue.PipeSleepers(e[0])
		}
		return k
	}
	for begin := time.Now(); asleep() < 2*n; time.Sleep(time.Millisecond) {
		if time.Since(begin) > 20*time.Second {
			t.Fatalf("%d sleep", asleep())
		}
	}
	if k := threads(t); k > 50 {
		t.Errorf("%d threads", k)
	}
	var took []time.Duration
	for _, e := range ends {
		for i := range 2 {
			begin := time.Now()
			if err := errors.Join(e[i].SendBytes(ctx, nil), <-got); err != nil {
				t.Fatal(err)
			}
			took = append(took, time.Since(begin))
		}
	}
	slices.Sort(took)
	t.Logf("woken after p50 %v, at most %v", took[len(took)/2], took[len(took)-1])
	if took[len(took)/2] >= shm.Backstop/2 {
		t.Error("only the backstop woke them")
	}
}

type pipeIdleArgs struct {
	Conn *mpqueue.Conn
	Used *shm.Object[int64] // ns of processor time in a second
}

var pipeIdler = procstest.Role("pipe-idler", func(ctx context.Context, a pipeIdleArgs) error {
	used := func() int64 {
		var r syscall.Rusage
		syscall.Getrusage(syscall.RUSAGE_SELF, &r)
		return r.Utime.Nano() + r.Stime.Nano()
	}
	wait := func(d time.Duration) {
		short, cancel := context.WithTimeout(ctx, d)
		defer cancel()
		a.Conn.RecvBytes(short, nil)
	}
	wait(100 * time.Millisecond) // what is done only at first
	before := used()
	wait(time.Second)
	*a.Used.Value() = used() - before
	return nil
})

// TestPipeIdle: who waits uses no processor.
func TestPipeIdle(t *testing.T) {
	o, err := shm.New[int64]()
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	least := time.Second
	for n := 0; n < 5 && least.Seconds() > busyIdle(); n++ {
		_, b := newPipe(t) // the one before has gone with the role before
		if s := pipeIdler.Start(t, pipeIdleArgs{b, o}).Wait(); s.Err != nil {
			t.Fatal(s)
		}
		used := time.Duration(*o.Value())
		t.Logf("a second of waiting used %v of a processor", used)
		least = min(least, used)
	}
	if least.Seconds() > busyIdle() {
		t.Error("1 ms is allowed")
	}
}
