package futexlock_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"time"
)

// closeCut is Close, cut, of a process that holds one of each, with a goroutine of
// its own that waits.
var closeCut = cut{
	name: "Close", closes: true, sleeps: true,
	before: func(t *table) {
		t.Sem.Init(1, 1)
		permit, _ = t.Sem.AcquireOwned(context.Background())
		t.RW.RLock()
		t.RW.RLock() // one in the cell, one in the lane
		t.Group.Add(1)
		t.Mu.Lock()
		atomic.AddInt64(&t.Pair.A, 1)
		go func() {
			defer func() { recover() }() // it is told
			t.Mu.Lock()
		}()
		for !strings.Contains(t.Mu.State(), "waiters") {
			time.Sleep(20 * time.Microsecond)
		}
	},
	partner: func(ctx context.Context, t *table, ready func()) error {
		go asleep(ctx, ready)
		return lockPair(ctx, t)
	},
	after: func(ctx context.Context, t *table) error {
		if err := lockPair(ctx, t); err != nil {
			return err
		}
		if err := rwPair(ctx, t); err != nil {
			return err
		}
		if open, lost := t.Group.Tasks(); open != 0 || lost != 1 {
			return errors.New(t.Group.State())
		}
		t.Group.Reset()
		p, err := t.Sem.AcquireOwned(ctx)
		if err == nil {
			p.Release()
		}
		return err
	},
}
