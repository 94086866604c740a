package mpqueue_test

import (
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"shmkit/mpqueue"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

var founder = procstest.Role("mpqueue-founder", func(ctx context.Context, ready *shm.Object[atomic.Int32]) error {
	q, err := mpqueue.Create[string]("estate", 8)
	if err != nil {
		return err
	}
	for _, v := range []string{"held", "first", "second"} {
		if err := q.Put(ctx, v); err != nil {
			return err
		}
	}
	if _, err := q.Receive(ctx); err != nil {
		return err
	}
	ready.Value().Store(1)
	<-ctx.Done()
	return nil
})

// TestLeftBehind opens a queue by its name after the only process that had it was
// killed: what was in it is there, what the dead one held comes again, marked.
func TestLeftBehind(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	defer shm.Remove("estate")
	ready := counter(t)
	p := founder.Start(t, ready)
	until(t, ready, 1)
	if _, err := mpqueue.Create[string]("estate", 8); !errors.Is(err, fs.ErrExist) {
		t.Fatal("while it lives:", err)
	}
	p.Kill()
	q, err := mpqueue.Open[string]("estate")
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"held", "first", "second"} {
		it, err := q.Receive(background)
		if err != nil || it.Value() != want || it.Redelivered() != (i == 0) {
			t.Fatalf("got %v, %v, want %q", it, err, want)
		}
		it.Done()
	}
	for _, err := range append(shm.Check(q.Segment()), mpqueue.Leaks(q)...) {
		t.Error(err)
	}
	q.Put(background, "forgotten")
	q.Close()
	if q, err = mpqueue.Create[string]("estate", 2); err != nil { // nobody is there: replaced
		t.Fatal(err)
	}
	if !q.Empty() || q.Cap() != 2 {
		t.Error(q.Len(), q.Cap())
	}
	q.Close()
}

type mayflyArgs struct {
	Queue *mpqueue.Queue[int]
	Puts  bool
}

var mayfly = procstest.Role("mpqueue-mayfly", func(ctx context.Context, a mayflyArgs) error {
	if a.Puts {
		return a.Queue.Put(ctx, 2)
	}
	_, err := a.Queue.Receive(ctx)
	if err == nil {
		<-ctx.Done()
	}
	return err
})

// TestManyLives lets more processes die in one slot of the participant table than
// the words of the queue can tell apart: each must find nothing of its predecessors,
// and leave nothing that its successors could be taken for.
func TestManyLives(t *testing.T) {
	procstest.Watchdog(t, 2*time.Minute)
	lives := 140 // words have 6 bits
	if testing.Short() {
		lives = 20
	}
	q := newQueue[int](t, 2, mpqueue.WithSegment(shm.WithParticipants(2)))
	r := rand.New(rand.NewPCG(uint64(procstest.Seed(t)), 0))
	puts := []string{"mpqueue.put.claimed", "mpqueue.put.filled", "mpqueue.put.committed"}
	gets := []string{"mpqueue.get.claimed", "mpqueue.receive.leased", "mpqueue.get.released"}
	for life := range lives {
		a := mayflyArgs{q, life%2 == 0}
		point := puts[r.IntN(3)]
		if !a.Puts {
			point = gets[r.IntN(3)]
			if err := q.Put(background, 3); err != nil {
				t.Fatal(life, err)
			}
		}
		p := mayfly.Start(t, a, procstest.KillAt(point, 1))
		if s := p.Wait(); !s.Killed() {
			t.Fatal(life, s)
		}
		switch v, err := q.TryGet(); {
		case !a.Puts:
			if v != 3 || err != nil {
				t.Fatalf("life %d, killed at %s: %d, %v", life, point, v, err)
			}
		case point == "mpqueue.put.committed":
			if v != 2 || err != nil {
				t.Fatalf("life %d, killed at %s: %d, %v", life, point, v, err)
			}
		case err != mpqueue.ErrEmpty:
			t.Fatalf("life %d, killed at %s: %d, %v", life, point, v, err)
		}
		if n := q.Len(); n != 0 {
			t.Fatalf("life %d, killed at %s: %d items left", life, point, n)
		}
	}
	for _, err := range mpqueue.Leaks(q) {
		t.Error(err)
	}
	if n := q.Segment().Claims(); n < lives {
		t.Errorf("%d processes were attached", n)
	}
}

type duty struct {
	done [2000]atomic.Uint32
	kept atomic.Uint32 // 1: workers call TaskDone before the work, a planted bug
}

type dutyArgs struct {
	Queue *mpqueue.Queue[int]
	Duty  *shm.Object[duty]
}

var dutiful = procstest.Role("mpqueue-dutiful", func(ctx context.Context, a dutyArgs) error {
	d := a.Duty.Value()
	for {
		v, err := a.Queue.Get(ctx)
		if err != nil {
			if errors.Is(err, mpqueue.ErrClosed) {
				return nil
			}
			return err
		}
		if d.kept.Load() == 1 {
			a.Queue.TaskDone()
		}
		for range 50 {
			yield()
		}
		d.done[v].Add(1)
		if d.kept.Load() == 0 {
			a.Queue.TaskDone()
		}
	}
})

// TestJoinTorture kills workers of a Joinable queue all of the time. When Join
// returns, every single item has been dealt with.
func TestJoinTorture(t *testing.T) {
	procstest.Watchdog(t, 2*time.Minute)
	r := rand.New(rand.NewPCG(uint64(procstest.Seed(t)), 0))
	kills := 40
	if testing.Short() {
		kills = 8
	}
	early, all, again := joinTorture(t, r, kills, false)
	t.Logf("%d items, %d kills: %d were dealt with twice", all, kills, again)
	if early != 0 || again > kills {
		t.Errorf("Join returned with %d of %d items to be done; %d done again", early, all, again)
	}
	for range 5 {
		if early, _, _ = joinTorture(t, r, kills, true); early != 0 {
			return
		}
	}
	t.Error("workers that call TaskDone too early were not noticed")
}

func joinTorture(t *testing.T, r *rand.Rand, kills int, plant bool) (early, all, again int) {
	q := newQueue[int](t, 16, mpqueue.Joinable())
	o, err := shm.New[duty]()
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	d := o.Value()
	if plant {
		d.kept.Store(1)
	}
	workers := make([]*procstest.Proc, 3)
	start := func(i int) { workers[i] = dutiful.Start(t, dutyArgs{q, o}) }
	for i := range workers {
		start(i)
	}
	defer func() {
		for _, w := range workers {
			w.Kill()
		}
	}()
	for range kills {
		for range r.IntN(40) {
			if err := q.Put(background, all); err != nil {
				t.Fatal(err)
			}
			all++
		}
		i := r.IntN(len(workers))
		workers[i].Kill()
		start(i)
		if r.IntN(3) > 0 {
			continue
		}
		// Another dies while we are in Join.
		killed := make(chan int)
		go func() {
			i := r.IntN(len(workers))
			workers[i].Kill()
			killed <- i
		}()
		if err := q.Join(background); err != nil {
			t.Fatal(err)
		}
		for v := range all {
			if d.done[v].Load() == 0 {
				early++
			}
		}
		start(<-killed)
		if early > 0 {
			return early, all, again
		}
	}
	if err := q.Join(background); err != nil {
		t.Fatal(err)
	}
	for v := range all {
		switch d.done[v].Load() {
		case 0:
			early++
		case 1:
		default:
			again++
		}
	}
	return early, all, again
}
