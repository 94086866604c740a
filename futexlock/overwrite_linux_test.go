package futexlock_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"shmkit/futexlock"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

// uses is every way to use a lock, as far as a context bounds it.
var uses = map[string]func(ctx context.Context, tab *table){
	"Mutex": func(ctx context.Context, tab *table) {
		if ok, _ := held(tab.Mu.LockContext(ctx)); ok {
			tab.Mu.Consistent()
			tab.Cond.Wait(ctx, &tab.Mu)
			tab.Mu.Unlock()
		}
	},
	"TryLock": func(ctx context.Context, tab *table) {
		if ok, _ := tab.Mu.TryLock(); ok {
			tab.Mu.Unlock()
		}
	},
	"RecursiveMutex": func(ctx context.Context, tab *table) {
		h := futexlock.NewHolder()
		if ok, _ := held(tab.Rec.LockContext(ctx, h)); ok {
			tab.Rec.Unlock(h)
		}
	},
	"RLock": func(ctx context.Context, tab *table) {
		if ok, _ := held(tab.RW.RLockContext(ctx)); ok {
			tab.RW.RUnlock()
		}
	},
	"TryRLock": func(ctx context.Context, tab *table) {
		if ok, _ := tab.RW.TryRLock(); ok {
			tab.RW.RUnlock()
		}
	},
	"RWMutex": func(ctx context.Context, tab *table) {
		if ok, _ := held(tab.RW.LockContext(ctx)); ok {
			tab.RW.Unlock()
		}
	},
	"Semaphore": func(ctx context.Context, tab *table) {
		if tab.Sem.Acquire(ctx, 1) == nil {
			tab.Sem.Release(1)
		}
	},
	"Semaphore of 3": func(ctx context.Context, tab *table) {
		if tab.Sem.Acquire(ctx, 3) == nil {
			tab.Sem.Release(3)
		}
	},
	"Semaphore owned": func(ctx context.Context, tab *table) {
		if p, err := tab.Sem.AcquireOwned(ctx); err == nil {
			p.Release()
		}
	},
	"Signal":      func(ctx context.Context, tab *table) { tab.Cond.SignalN(3); tab.Cond.Broadcast() },
	"Event":       func(ctx context.Context, tab *table) { tab.Event.Wait(ctx); tab.Event.Clear() },
	"Event.Set":   func(ctx context.Context, tab *table) { tab.Event.Set() },
	"Barrier":     func(ctx context.Context, tab *table) { tab.Bar.Wait(ctx) },
	"Barrier 2":   func(ctx context.Context, tab *table) { tab.Bar.Wait(ctx, func() error { return nil }); tab.Bar.Reset() },
	"Leave":       func(ctx context.Context, tab *table) { tab.Bar.Leave() },
	"Once":        func(ctx context.Context, tab *table) { tab.Once.DoContext(ctx, func() error { return ctx.Err() }) },
	"WaitGroup":   func(ctx context.Context, tab *table) { tab.Group.Wait(ctx) },
	"Take":        func(ctx context.Context, tab *table) { tab.Group.Take() },
	"Add":         func(ctx context.Context, tab *table) { tab.Group.Add(1); tab.Group.Done() },
	"Group.Reset": func(ctx context.Context, tab *table) { tab.Group.Reset() },
	"State": func(ctx context.Context, tab *table) {
		_ = fmt.Sprint(tab.Mu.State(), tab.Rec.State(), tab.RW.State(), tab.Sem.State(), tab.Cond.State(),
			tab.Event.State(), tab.Bar.State(), tab.Once.State(), tab.Group.State())
	},
}

// Bytes of locks are overwritten: by bits, by bytes, by words, under all who use
// them. Nobody panics but to say that somebody gives back what it does not have,
// and nobody waits longer than its context says.
func TestOverwrittenBytes(t *testing.T) {
	procstest.Watchdog(t, 2*time.Minute)
	rounds := 400
	if testing.Short() {
		rounds = 100
	}
	rnd := rand.New(rand.NewPCG(uint64(procstest.Seed(t)), 5))
	o, err := shm.New[table](shm.WithOwnSegment())
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	tab := o.Value()
	bytes := o.Segment().Data()
	end, _ := shm.Offset(o.Segment(), &tab.Pair) // the locks come first
	seg := o.Segment()
	heads := []int{headOf(seg, &tab.Mu), headOf(seg, &tab.Rec), headOf(seg, &tab.RW), headOf(seg, &tab.Sem), headOf(seg, &tab.Cond),
		headOf(seg, &tab.Event), headOf(seg, &tab.Bar), headOf(seg, &tab.Once), headOf(seg, &tab.Group)}
	panics, late := 0, time.Duration(0)
	for round := range rounds {
		clear(bytes)
		tab.Sem.Init(3, 4)
		tab.Bar.Init(2)
		var did []string
		// The words that matter are few among cells: half of the damage is there.
		spoil := func() {
			at := rnd.IntN(end)
			if rnd.IntN(2) == 0 {
				at = heads[rnd.IntN(len(heads))] + rnd.IntN(16)
			}
			old := bytes[at]
			switch rnd.IntN(3) {
			case 0:
				bytes[at] ^= 1 << rnd.IntN(8)
			case 1:
				bytes[at] = byte(rnd.Uint32())
			default:
				bytes[at] = 0xff
			}
			did = append(did, fmt.Sprintf("%d: %#x, was %#x", at, bytes[at], old))
		}
		for range 1 + rnd.IntN(6) {
			spoil()
		}
		var mu sync.Mutex
		running := map[string]bool{}
		for name := range uses {
			running[name] = true
		}
		var wg sync.WaitGroup
		begin := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Millisecond)
		for name, f := range uses {
			wg.Go(func() {
				defer func() {
					r := recover()
					mu.Lock()
					defer mu.Unlock()
					delete(running, name)
					if r == nil {
						return
					}
					panics++
					if _, bad := r.(runtime.Error); bad || !strings.HasPrefix(fmt.Sprint(r), "futexlock: ") {
						t.Errorf("round %d, %s: panic: %v; bytes %v", round, name, r, did)
					}
				}()
				f(ctx, tab)
			})
		}
		spoil() // and one under them
		done := make(chan struct{})
		go func() { wg.Wait(); close(done) }()
		select {
		case <-done:
		case <-time.After(20 * time.Second):
			mu.Lock()
			t.Fatalf("round %d: still running: %v; bytes %v", round, running, did)
		}
		cancel()
		late = max(late, time.Since(begin)-3*time.Millisecond)
		shm.SweepDead(0)
		shm.Check(o.Segment())
	}
	clear(bytes)
	t.Logf("%d rounds; %d calls were told of misuse by a panic; the last call of a round ended at most %v after its context", rounds, panics, late)
}

// headOf is where the lock p of the table lies.
func headOf[T any](seg *shm.Segment, p *T) int {
	off, _ := shm.Offset(seg, p)
	return off
}
