package futexlock_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"shmkit/futexlock"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

// A cut is an operation that a process is killed in, after every single
// instruction.
type cut struct {
	name string
	// short operations are cut after every instruction in every run; of the
	// others, hundreds or thousands of instructions long, the default run takes
	// a sample, and a run with -deep every one. Of those that sleep in the
	// middle it is a small one: the scheduler's instructions around a sleep are
	// many.
	short, sleeps bool
	// before is what the role does first; then it waits until partner, in
	// the test's process, says that it is ready; then it does the operation.
	before  func(t *table)
	partner func(ctx context.Context, t *table, ready func()) error
	op      func(ctx context.Context, t *table)
	// closes, in the place of op, says that the role closes the table.
	closes bool
	// after is what the survivors do when the role is dead and the partner
	// has ended.
	after func(ctx context.Context, t *table) error
}

// readyAt is where the partner says that it is ready, doneAt where the role is
// about to begin.
const (
	readyAt = 6
	heldAt  = 5
)

var stepper = procstest.Role("stepper", func(ctx context.Context, j job) error {
	c, t := cuts[j.N], j.Table.Value()
	if c.before != nil {
		c.before(t)
	}
	t.Step[heldAt].Store(1)
	for t.Step[readyAt].Load() == 0 {
		time.Sleep(50 * time.Microsecond)
	}
	procstest.Step(func() {
		if c.closes {
			j.Table.Close()
			return
		}
		c.op(ctx, t)
	})
	return nil
})

func lockPair(ctx context.Context, t *table) error {
	err := t.Mu.LockContext(ctx)
	told := errors.Is(err, futexlock.ErrOwnerDied)
	if err != nil && !told {
		return err
	}
	err = t.Pair.work(told)
	t.Mu.Consistent()
	t.Mu.Unlock()
	return err
}

func rwPair(ctx context.Context, t *table) error {
	if err := t.RW.RLockContext(ctx); err != nil && !errors.Is(err, futexlock.ErrOwnerDied) {
		return err
	}
	t.RW.RUnlock()
	err := t.RW.LockContext(ctx)
	told := errors.Is(err, futexlock.ErrOwnerDied)
	if err != nil && !told {
		return err
	}
	err = t.Pair.work(told)
	t.RW.Consistent()
	t.RW.Unlock()
	return err
}

// asleep is ready when this process sleeps on a shared word.
func asleep(ctx context.Context, ready func()) {
	for procstest.Blocked(0) == 0 && ctx.Err() == nil {
		time.Sleep(20 * time.Microsecond)
	}
	ready()
}

// cuts is filled in init: the roles refer to it.
var cuts []cut

func init() {
	atOnce := func(ctx context.Context, t *table, ready func()) error { ready(); return nil }
	// until waits for the role to be seen waiting, or for its death.
	until := func(ctx context.Context, state func() string, want string) {
		for !strings.Contains(state(), want) && ctx.Err() == nil {
			time.Sleep(20 * time.Microsecond)
		}
	}
	cuts = []cut{
		{name: "Lock", short: true, partner: atOnce, after: lockPair,
			op: func(ctx context.Context, t *table) { t.Mu.Lock() }},
		{name: "Unlock", short: true, partner: atOnce, after: lockPair,
			before: func(t *table) { t.Mu.Lock() },
			op:     func(ctx context.Context, t *table) { t.Mu.Unlock() }},
		{name: "Unlock with a waiter", after: lockPair,
			before: func(t *table) { t.Mu.Lock() },
			partner: func(ctx context.Context, t *table, ready func()) error {
				go asleep(ctx, ready)
				return lockPair(ctx, t)
			},
			op: func(ctx context.Context, t *table) { t.Mu.Unlock() }},
		{name: "Lock with a holder", sleeps: true, after: lockPair,
			partner: func(ctx context.Context, t *table, ready func()) error {
				t.Mu.Lock()
				ready()
				until(ctx, t.Mu.State, "waiters")
				time.Sleep(100 * time.Microsecond)
				t.Mu.Unlock()
				return nil
			},
			op: func(ctx context.Context, t *table) { t.Mu.Lock() }},
		{name: "RLock", short: true, partner: atOnce, after: rwPair,
			before: func(t *table) { t.RW.RLock(); t.RW.RUnlock() }, // has its lane
			op:     func(ctx context.Context, t *table) { t.RW.RLock() }},
		{name: "first RLock", partner: atOnce, after: rwPair,
			op: func(ctx context.Context, t *table) { t.RW.RLock() }},
		{name: "RUnlock with a writer waiting", after: rwPair,
			before: func(t *table) { t.RW.RLock() },
			partner: func(ctx context.Context, t *table, ready func()) error {
				go asleep(ctx, ready)
				return rwPairWrite(ctx, t)
			},
			op: func(ctx context.Context, t *table) { t.RW.RUnlock() }},
		{name: "RUnlock by the lane with a writer waiting", after: rwPair,
			before: func(t *table) { t.RW.RLock(); t.RW.RUnlock(); t.RW.RLock() },
			partner: func(ctx context.Context, t *table, ready func()) error {
				go asleep(ctx, ready)
				return rwPairWrite(ctx, t)
			},
			op: func(ctx context.Context, t *table) { t.RW.RUnlock() }},
		{name: "RWMutex.Lock", partner: atOnce, after: rwPair,
			op: func(ctx context.Context, t *table) { t.RW.Lock() }},
		{name: "RWMutex.Unlock with a reader waiting", after: rwPair,
			before: func(t *table) { t.RW.Lock() },
			partner: func(ctx context.Context, t *table, ready func()) error {
				go asleep(ctx, ready)
				return rwPair(ctx, t)
			},
			op: func(ctx context.Context, t *table) { t.RW.Unlock() }},
		{name: "Wait", after: lockPair, // the signal comes before it sleeps
			before: func(t *table) { t.Mu.Lock() },
			partner: func(ctx context.Context, t *table, ready func()) error {
				ready()
				until(ctx, t.Cond.State, "waiters")
				t.Cond.Broadcast()
				return nil
			},
			op: func(ctx context.Context, t *table) { t.Cond.Wait(context.Background(), &t.Mu) }},
		{name: "Wait for a signal", sleeps: true, after: lockPair,
			before: func(t *table) { t.Mu.Lock() },
			partner: func(ctx context.Context, t *table, ready func()) error {
				ready()
				until(ctx, t.Cond.State, "waiters")
				if err := lockPair(ctx, t); err != nil {
					return err
				}
				t.Cond.Signal()
				return nil
			},
			op: func(ctx context.Context, t *table) { t.Cond.Wait(ctx, &t.Mu) }},
		{name: "Signal with a waiter", after: lockPair,
			before: func(t *table) {},
			partner: func(ctx context.Context, t *table, ready func()) error {
				go asleep(ctx, ready)
				if err := t.Mu.LockContext(ctx); err != nil {
					return err
				}
				err := t.Cond.Wait(ctx, &t.Mu)
				t.Mu.Unlock()
				return unheard(err, t.Count[0].Load() != 0)
			},
			op: func(ctx context.Context, t *table) { t.Cond.Signal(); t.Count[0].Add(1) }},
		{name: "Semaphore.Release to a waiter", partner: func(ctx context.Context, t *table, ready func()) error {
			go asleep(ctx, ready)
			p, err := t.Sem.AcquireOwned(ctx)
			if err == nil {
				p.Release()
			}
			return err
		},
			before: func(t *table) { t.Sem.Init(1, 1); permit, _ = t.Sem.AcquireOwned(context.Background()) },
			op:     func(ctx context.Context, t *table) { permit.Release() },
			after: func(ctx context.Context, t *table) error {
				if v := t.Sem.Value(); v != 1 {
					return errors.New(t.Sem.State())
				}
				return nil
			}},
		{name: "Event.Set with a waiter", after: func(context.Context, *table) error { return nil },
			before: func(t *table) {},
			partner: func(ctx context.Context, t *table, ready func()) error {
				go asleep(ctx, ready)
				return unheard(t.Event.Wait(ctx), t.Event.IsSet())
			},
			op: func(ctx context.Context, t *table) { t.Event.Set() }},
		{name: "Once.Do", partner: atOnce,
			op: func(ctx context.Context, t *table) { t.Once.Do(func() error { return nil }) },
			after: func(ctx context.Context, t *table) error {
				return t.Once.DoContext(ctx, func() error { return nil })
			}},
		{name: "Barrier.Wait, last", // whether the round is over or broken, nobody stays in it
			before: func(t *table) { t.Bar.Init(2) },
			partner: func(ctx context.Context, t *table, ready func()) error {
				go asleep(ctx, ready)
				if _, err := t.Bar.Wait(ctx); !errors.Is(err, futexlock.ErrBroken) {
					return err
				}
				return nil
			},
			op: func(ctx context.Context, t *table) { t.Bar.Wait(ctx) },
			after: func(ctx context.Context, t *table) error {
				t.Bar.Reset()
				alone, cancel := context.WithTimeout(ctx, time.Millisecond)
				defer cancel()
				if _, err := t.Bar.Wait(alone); errors.Is(err, futexlock.ErrOwnerDied) || !errors.Is(err, context.DeadlineExceeded) {
					return fmt.Errorf("after Reset: %v", err)
				}
				return nil
			}},
		{name: "Semaphore.Acquire of 2", partner: atOnce,
			before: func(t *table) { t.Sem.Init(2, 3) },
			op:     func(ctx context.Context, t *table) { t.Sem.Acquire(ctx, 2) },
			after: func(ctx context.Context, t *table) error { // none is left between two states
				for t.Sem.Release(1) == nil {
				}
				return t.Sem.Acquire(ctx, 3)
			}},
		{name: "TryRLock", partner: atOnce, after: rwPair,
			op: func(ctx context.Context, t *table) { t.RW.TryRLock() }},
		{name: "RWMutex.TryLock", partner: atOnce, after: rwPair,
			op: func(ctx context.Context, t *table) { t.RW.TryLock() }},
		closeCut,
		{name: "WaitGroup.Take", partner: func(ctx context.Context, t *table, ready func()) error {
			t.Group.Add(2)
			ready()
			return nil
		},
			op: func(ctx context.Context, t *table) { t.Group.Take() },
			after: func(ctx context.Context, t *table) error {
				open, lost := t.Group.Tasks()
				if open+lost != 2 || lost > 1 {
					return errors.New(t.Group.State())
				}
				t.Group.Add(-open)
				t.Group.Reset()
				return nil
			}},
	}
}

// permit is the stepped process's.
var permit futexlock.Permit

// unheard is err of a wait that was ended from outside, unless what it waited for
// was not done: the one that should do it can be killed before its first store.
func unheard(err error, done bool) error {
	if errors.Is(err, context.Canceled) && done {
		return fmt.Errorf("not woken, though it was done: %v", err)
	}
	return err
}

func rwPairWrite(ctx context.Context, t *table) error {
	if err := t.RW.LockContext(ctx); err != nil {
		return err
	}
	err := t.Pair.work(false)
	t.RW.Unlock()
	return err
}

// allOfThem is the flag that the explorer registers.
func allOfThem() bool {
	f := flag.Lookup("deep")
	return f != nil && f.Value.String() == "true"
}

func TestEveryInstruction(t *testing.T) {
	for i, c := range cuts {
		t.Run(c.name, func(t *testing.T) {
			patience := 5 * time.Minute
			start := time.Now()
			switch {
			case allOfThem():
				patience = 5 * time.Hour
				t.Setenv("SHMKIT_STEPS", "all")
			case c.closes && testing.Short():
				t.Skip("30,000 instructions long: seconds for each cut")
			case c.closes:
				t.Setenv("SHMKIT_STEPS", "1")
			case c.sleeps && testing.Short():
				t.Setenv("SHMKIT_STEPS", "1")
			case testing.Short():
				t.Setenv("SHMKIT_STEPS", "4")
			case c.sleeps:
				t.Setenv("SHMKIT_STEPS", "8")
			case !c.short:
				t.Setenv("SHMKIT_STEPS", "30")
			}
			procstest.Watchdog(t, patience)
			var partner chan error
			var end context.CancelFunc
			setup := func(t testing.TB) job {
				o, err := shm.New[table](shm.WithOwnSegment())
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { o.Close() })
				tab := o.Value()
				ctx, cancel := context.WithCancel(context.Background())
				end = cancel
				partner = make(chan error, 1)
				go func() {
					for c.before != nil && tab.Step[heldAt].Load() == 0 && ctx.Err() == nil {
						time.Sleep(20 * time.Microsecond)
					}
					partner <- c.partner(ctx, tab, func() { tab.Step[readyAt].Store(1) })
				}()
				return job{o, c.name, i}
			}
			survive := func(t testing.TB, j job) {
				tab := j.Table.Value()
				// Partners that look for the role may stop looking.
				patience := 3 * time.Second
				if strings.HasSuffix(c.name, "t with a waiter") || strings.HasPrefix(c.name, "Signal") || strings.HasPrefix(c.name, "Barrier") {
					patience = 150 * time.Millisecond // nobody may come
				}
				stop := time.AfterFunc(patience, end)
				if c.name == "Lock with a holder" || strings.HasPrefix(c.name, "Wait") {
					end()
				}
				err := <-partner
				stop.Stop()
				end()
				if err != nil && !errors.Is(err, context.Canceled) {
					t.Fatalf("the partner: %v; mutex %s; rw %s", err, tab.Mu.State(), tab.RW.State())
				}
				if err := c.after(seconds(t, 5), tab); err != nil {
					t.Fatalf("afterwards: %v; mutex %s; rw %s; sem %s", err, tab.Mu.State(), tab.RW.State(), tab.Sem.State())
				}
				shm.SweepDead(0)
				for _, err := range shm.Check(j.Table.Segment()) {
					t.Error(err)
				}
			}
			n := procstest.EachInstruction(t, stepper, setup, survive)
			t.Logf("%d instructions, %v", n, time.Since(start).Round(time.Millisecond))
		})
	}
}
