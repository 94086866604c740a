package mpqueue_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"runtime"
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

// TestPipeThreads: a thousand goroutines that all wait in one pipe, at both ends, share
// few threads and use no processor, and Close ends every one of them.
func TestPipeThreads(t *testing.T) {
	ctx := timeout(t)
	a, b := newPipe(t, mpqueue.WithPipeSize(4096))
	const n = 500
	ends := make(chan error)
	for range n {
		go func() { ends <- second(a.Recv(ctx)) }()
		go func() { ends <- second(b.Recv(ctx)) }()
	}
	for begin := time.Now(); goroutinesIn("mpqueue.(*way).sleep(") < 2*n; time.Sleep(time.Millisecond) {
		if time.Since(begin) > 20*time.Second {
			t.Fatalf("%d wait", goroutinesIn("mpqueue.(*way).sleep("))
		}
	}
	if k := threads(t); k > 50 {
		t.Errorf("%d threads", k)
	}
	const watch = 300 * time.Millisecond
	least := time.Hour // of two sleepers, one for each end
	for try := 0; try < 5 && least.Seconds() > 2*busyIdle()*watch.Seconds(); try++ {
		before := processorTime()
		time.Sleep(watch)
		used := processorTime() - before
		t.Logf("%v of waiting used %v of a processor", watch, used)
		least = min(least, used)
	}
	if least.Seconds() > 2*busyIdle()*watch.Seconds() {
		t.Error("who waits is busy")
	}
	a.Close()
	b.Close()
	for range 2 * n {
		if err := <-ends; !errors.Is(err, shm.ErrClosed) && err != io.EOF {
			t.Error(err)
		}
	}
}

// goroutinesIn returns how many goroutines of this process are in a call of that name.
func goroutinesIn(call string) int {
	b := make([]byte, 4<<20)
	return bytes.Count(b[:runtime.Stack(b, true)], []byte(call))
}

// processorTime is what this process has used.
func processorTime() time.Duration {
	var r syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

type pipeIdleArgs struct {
	Conn *mpqueue.Conn
	Used *shm.Object[int64] // ns of processor time in a second
}

var pipeIdler = procstest.Role("pipe-idler", func(ctx context.Context, a pipeIdleArgs) error {
	wait := func(d time.Duration) {
		short, cancel := context.WithTimeout(ctx, d)
		defer cancel()
		a.Conn.RecvBytes(short, nil)
	}
	wait(100 * time.Millisecond) // what is done only at first
	before := processorTime()
	wait(time.Second)
	*a.Used.Value() = int64(processorTime() - before)
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
