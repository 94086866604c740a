package mpqueue_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"shmkit/mpqueue"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

type ringArgs struct {
	Ring, Back *mpqueue.Ring[int]
	From, N    int
}

// ringPutter puts From … From+N−1 and stays, unless N is negative: then it leaves
// in order after −N.
var ringPutter = procstest.Role("ring-putter", func(ctx context.Context, a ringArgs) error {
	leave := a.N < 0
	for i := range max(a.N, -a.N) {
		if err := a.Ring.Put(ctx, a.From+i); err != nil {
			return err
		}
	}
	if leave {
		return a.Ring.Close()
	}
	<-ctx.Done()
	return nil
})

var ringGetter = procstest.Role("ring-getter", func(ctx context.Context, a ringArgs) error {
	for i := range a.N {
		if v, err := a.Ring.Get(ctx); err != nil || v != a.From+i {
			return fmt.Errorf("got %d, %v, want %d", v, err, a.From+i)
		}
	}
	<-ctx.Done()
	return nil
})

// TestRingRoles: a side belongs to one living process, and a dead one is
// replaced.
func TestRingRoles(t *testing.T) {
	ctx := timeout(t)
	r := newRing[int](t, 4)
	p := ringPutter.Start(t, ringArgs{Ring: r, From: 1, N: 2})
	for want := 1; want <= 2; want++ {
		if v, err := r.Get(ctx); v != want || err != nil {
			t.Fatal(v, err)
		}
	}
	err := r.Put(ctx, 9)
	if !errors.Is(err, mpqueue.ErrBusy) || !strings.Contains(err.Error(), fmt.Sprintf("pid %d", p.PID())) {
		t.Fatalf("a second producer: %v", err)
	}
	if err := r.TryPut(9); !errors.Is(err, mpqueue.ErrBusy) {
		t.Fatal(err)
	}
	p.Stop()
	if err := r.TryPut(9); !errors.Is(err, mpqueue.ErrBusy) {
		t.Fatalf("a stopped producer lives: %v", err)
	}
	p.Kill()
	if err := r.Put(ctx, 3); err != nil {
		t.Fatal(err)
	}
	if v, err := r.Get(ctx); v != 3 || err != nil {
		t.Fatal(v, err)
	}
	g := ringGetter.Start(t, ringArgs{Ring: r})
	if _, err := r.TryGet(); err != mpqueue.ErrEmpty {
		t.Fatal(err)
	}
	g.Kill()
}

// TestRingAbandoned: who waits for the dead is told, once; who left in order has
// not abandoned anything.
func TestRingAbandoned(t *testing.T) {
	ctx := timeout(t)
	r := newRing[int](t, 4)
	p := ringPutter.Start(t, ringArgs{Ring: r, From: 1, N: 3})
	for r.Len() < 3 {
		runtime.Gosched()
	}
	p.Kill()
	for want := 1; want <= 3; want++ {
		if v, err := r.Get(ctx); v != want || err != nil {
			t.Fatal(v, err)
		}
	}
	if _, err := r.Get(ctx); !errors.Is(err, mpqueue.ErrAbandoned) {
		t.Fatal(err)
	}
	got := make(chan error)
	go func() {
		v, err := r.Get(ctx)
		if err == nil && v != 4 {
			err = fmt.Errorf("got %d, want 4", v)
		}
		got <- err
	}()
	procstest.WaitBlocked(t, 0, 1)
	p = ringPutter.Start(t, ringArgs{Ring: r, From: 4, N: -1})
	if err := <-got; err != nil {
		t.Fatal("after a successor:", err)
	}
	p.Wait()
	short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	if _, err := r.Get(short); !errors.Is(err, mpqueue.ErrEmpty) {
		t.Fatal("after a producer that left:", err)
	}
	// The same for the producer; and how fast a sleeper learns it.
	r2 := newRing[int](t, 1)
	g := ringGetter.Start(t, ringArgs{Ring: r2, N: 1, From: 1})
	if err := r2.Put(ctx, 1); err != nil {
		t.Fatal(err)
	}
	if err := r2.Put(ctx, 2); err != nil { // as soon as 1 is taken
		t.Fatal(err)
	}
	end := make(chan error)
	go func() { end <- r2.Put(ctx, 3) }()
	procstest.WaitBlocked(t, 0, 1)
	begin := time.Now()
	g.Kill()
	if err := <-end; !errors.Is(err, mpqueue.ErrAbandoned) {
		t.Fatal(err)
	}
	t.Logf("the producer knew of its consumer's death after %v", time.Since(begin))
}

// mirror sends back what it gets. It does not spin: every round goes through
// sleep on both sides.
var ringMirror = procstest.Role("ring-mirror", func(ctx context.Context, a ringArgs) error {
	runtime.GOMAXPROCS(1)
	mpqueue.WaitFences()
	for v, err := range a.Ring.All(ctx) {
		if err == nil {
			err = a.Back.Put(ctx, v)
		}
		if err != nil {
			return err
		}
	}
	if n := mpqueue.RingLate(a.Ring) + mpqueue.RingLate(a.Back); n > 0 {
		return fmt.Errorf("%d wakes were lost", n)
	}
	return nil
})

// TestRingWakes sends numbers to and fro through sleep, publishing by plain
// stores: no wake may be lost. A lost one would be made up for by the backstop,
// and counted.
func TestRingWakes(t *testing.T) {
	for _, forbidden := range []bool{false, true} {
		t.Run(fmt.Sprintf("membarrier=%v", !forbidden), func(t *testing.T) {
			mpqueue.ForbidMembarrier(forbidden)
			defer mpqueue.ForbidMembarrier(false)
			ctx := timeout(t)
			there, back := newRing[int](t, 1), newRing[int](t, 1)
			p := ringMirror.Start(t, ringArgs{Ring: there, Back: back})
			mpqueue.WaitFences()
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
			rounds := 5000
			if testing.Short() {
				rounds = 500
			}
			begin := time.Now()
			for i := range rounds {
				if err := there.Put(ctx, i); err != nil {
					t.Fatal(err)
				}
				if v, err := back.Get(ctx); v != i || err != nil {
					t.Fatal(v, err)
				}
			}
			t.Logf("%v a round", time.Since(begin)/time.Duration(rounds))
			there.CloseSend()
			if s := p.Wait(); s.Err != nil {
				t.Fatal(s)
			}
			if n := mpqueue.RingLate(there) + mpqueue.RingLate(back); n > 0 {
				t.Errorf("%d wakes were lost", n)
			}
		})
	}
}

// TestRingFence shows that the fence between sleeper and publisher is needed, and
// that it is enough.
func TestRingFence(t *testing.T) {
	if runtime.GOMAXPROCS(0) < 2 {
		t.Skip("one processor: nobody runs at the same time")
	}
	if !mpqueue.PlainPublishing() {
		t.Skip("here every publishing store is a fence")
	}
	mpqueue.WaitFences()
	const d = 300 * time.Millisecond
	rounds, blind := 0, 0
	for begin := time.Now(); blind == 0 && time.Since(begin) < 10*time.Second; {
		r, b := mpqueue.Litmus(d, false)
		rounds, blind = rounds+r, blind+b
	}
	t.Logf("of %d rounds without a fence %d were blind", rounds, blind)
	if blind == 0 {
		t.Error("so this test is blind, too")
	}
	rounds, blind = mpqueue.Litmus(d, true)
	t.Logf("of %d rounds with the fence %d were blind", rounds, blind)
	if blind > 0 {
		t.Errorf("with the fence %d of %d rounds were blind", blind, rounds)
	}
}

// TestRingCosts: no allocation while nobody sleeps.
func TestRingCosts(t *testing.T) {
	if shm.RaceEnabled {
		t.Skip("the race detector allocates")
	}
	r := newRing[message64](t, 64)
	b, err := mpqueue.NewByteRing(1 << 12)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	var m message64
	buf := make([]byte, 100)
	batch := make([]message64, 10)
	for what, f := range map[string]func(){
		"Put and Get":           func() { r.Put(background, m); r.Get(background) },
		"TryPut and TryGet":     func() { r.TryPut(m); r.TryGet(); r.TryGet() },
		"PutBatch and GetBatch": func() { r.PutBatch(background, batch); r.GetBatch(background, batch) },
		"Reserve and Peek": func() {
			r.Reserve(background, 1)
			r.Commit(1)
			r.Peek(background, 1)
			r.Discard(1)
		},
		"Write and Read": func() { b.Write(buf); b.Read(buf) },
	} {
		f()
		if n := testing.AllocsPerRun(1000, f); n > 0 {
			t.Errorf("%s: %v allocations", what, n)
		}
	}
}
