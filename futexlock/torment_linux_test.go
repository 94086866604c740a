package futexlock_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"shmkit/futexlock"
)

// torment is one operation.
func torment(ctx context.Context, r *rack, rnd *rand.Rand, i int) error {
	short, cancel := context.WithTimeout(ctx, time.Duration(rnd.IntN(3000))*time.Microsecond)
	defer cancel()
	pause := func() {
		if rnd.IntN(4) == 0 {
			time.Sleep(time.Duration(rnd.IntN(200)) * time.Microsecond)
		}
	}
	mu := &r.Mu[rnd.IntN(2)]
	switch rnd.IntN(14) {
	case 0, 1: // a mutex, in every way
		var err error
		switch rnd.IntN(3) {
		case 0:
			err = mu.L.Lock()
		case 1:
			if err = mu.L.LockContext(short); errors.Is(err, context.DeadlineExceeded) {
				return nil
			}
		default:
			var ok bool
			if ok, err = mu.L.TryLock(); !ok {
				return err
			}
		}
		return insideMutex(r, mu, err, pause)
	case 2:
		h := futexlock.NewHolder()
		err := r.Rec.L.Lock(h)
		if ok, told := held(err); ok {
			err = r.Rec.section(r, told, func() {
				if ok, again := held(r.Rec.L.Lock(h)); ok {
					if again != told {
						panic(fmt.Sprintf("told of a death: %v; inside: %v", told, again))
					}
					r.Rec.L.Unlock(h)
				}
				pause()
			})
			if told {
				r.Rec.L.Consistent(h)
			}
			r.Rec.L.Unlock(h)
		}
		return err
	case 3, 4:
		var err error
		if rnd.IntN(3) == 0 {
			var ok bool
			if ok, err = r.RW.L.TryLock(); !ok {
				return err
			}
		} else if err = r.RW.L.LockContext(short); errors.Is(err, context.DeadlineExceeded) {
			return nil
		}
		if ok, told := held(err); ok {
			err = r.RW.section(r, told, pause)
			if told {
				r.RW.L.Consistent()
			}
			r.RW.L.Unlock()
		}
		return err
	case 5, 6:
		var err error
		if rnd.IntN(3) == 0 {
			var ok bool
			if ok, err = r.RW.L.TryRLock(); !ok {
				return err
			}
		} else {
			err = r.RW.L.RLock()
		}
		if ok, told := held(err); ok {
			err = nil
			if a, b := atomic.LoadInt64(&r.RW.Pair.A), atomic.LoadInt64(&r.RW.Pair.B); a != b && !told {
				err = fmt.Errorf("a reader saw %d and %d, and was told nothing", a, b)
			}
			pause()
			if in := r.RW.Inside.Load(); in != 0 && !told {
				err = fmt.Errorf("a reader and the writer %d are inside", in)
			}
			r.RW.L.RUnlock()
		}
		return err
	case 7, 8:
		p, err := r.Sem.AcquireOwned(short)
		if err != nil {
			return onlyDeadline(err)
		}
		defer p.Release()
		return usePermit(r, pause)
	case 9:
		switch rnd.IntN(4) {
		case 0:
			return r.Posts.Release(1)
		case 1:
			return onlyDeadline(r.Posts.Acquire(short, 1))
		}
		// Permits without owners that several of are wanted at once. Their
		// number is lost count of as processes die: what is free may not pass
		// the maximum, and gathering may not hang.
		if n := uint32(1 + rnd.IntN(3)); r.Crowd.Acquire(short, n) == nil || rnd.IntN(4) == 0 {
			if err := r.Crowd.Release(n); err != nil && !errors.Is(err, futexlock.ErrOverflow) {
				return err
			}
		}
		if v := r.Crowd.Value(); v > crowdMax {
			return fmt.Errorf("%d permits of at most %d are free", v, crowdMax)
		}
		return nil
	case 10: // produce or consume under the condition variable
		m := &r.Mu[0]
		err := m.L.Lock()
		if ok, told := held(err); ok {
			return insideCond(short, r, m, told, rnd)
		}
		return err
	case 11:
		switch rnd.IntN(3) {
		case 0:
			r.Event.Set()
		case 1:
			r.Event.Clear()
		}
		return onlyDeadline(r.Event.Wait(short))
	case 12:
		if i >= ringers {
			k := rnd.IntN(onceCount)
			return r.Once[k].Do(func() error { pause(); r.Ran[k].Add(1); return nil })
		}
		_, err := r.Bar.Wait(short)
		if errors.Is(err, futexlock.ErrBroken) {
			r.Bar.Reset()
			return nil
		}
		return err
	default:
		return tasks(short, r, rnd)
	}
}

func onlyDeadline(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return err
}

func insideMutex(r *rack, m *guarded[futexlock.Mutex], err error, pause func()) error {
	ok, told := held(err)
	if !ok {
		return err
	}
	err = m.section(r, told, pause)
	if told {
		m.L.Consistent()
	}
	m.L.Unlock()
	return err
}

func insideCond(ctx context.Context, r *rack, m *guarded[futexlock.Mutex], told bool, rnd *rand.Rand) error {
	if told {
		if err := m.section(r, told, func() {}); err != nil {
			return err
		}
		m.L.Consistent()
	}
	var err error
	if rnd.IntN(2) == 0 {
		r.Item++
		if rnd.IntN(4) == 0 {
			r.Cond.Broadcast()
		} else {
			r.Cond.Signal()
		}
	} else if err = r.Cond.WaitFor(ctx, &m.L, func() bool { return r.Item > 0 }); err == nil {
		r.Item--
	}
	if errors.Is(err, futexlock.ErrOwnerDied) {
		err = m.section(r, true, func() {})
		m.L.Consistent()
	}
	m.L.Unlock()
	return onlyDeadline(err)
}

// usePermit notes that this goroutine has a permit. If every place is taken by
// a living process there is one permit too many.
func usePermit(r *rack, pause func()) error {
	me := identity()
	for try := 0; ; try++ {
		for i := range r.In {
			was := r.In[i].Load()
			if was != 0 && lives(r, was) {
				continue
			}
			if !r.In[i].CompareAndSwap(was, me) {
				continue
			}
			pause()
			if !r.In[i].CompareAndSwap(me, 0) {
				return fmt.Errorf("the place of a permit was taken while it was held")
			}
			return nil
		}
		if try == 1000 { // a dead process may look alive for a moment
			return fmt.Errorf("more than %d permits are out: %d, %d", permits, r.In[0].Load(), r.In[1].Load())
		}
		time.Sleep(10 * time.Microsecond)
	}
}

func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	for i := len(stat) - 1; i >= 0; i-- {
		if stat[i] == ')' {
			return stat[i+2] != 'Z' && stat[i+2] != 'X' && syscall.Kill(pid, 0) == nil
		}
	}
	return false
}

func tasks(ctx context.Context, r *rack, rnd *rand.Rand) error {
	switch rnd.IntN(4) {
	case 0:
		err := r.Group.Wait(ctx)
		if errors.Is(err, futexlock.ErrOwnerDied) {
			r.Group.Reset()
			return nil
		}
		return onlyDeadline(err)
	case 1:
		// A task of our own is ours until we have done it: nobody takes it.
		if err := r.Group.Take(); errors.Is(err, futexlock.ErrNoTask) || errors.Is(err, futexlock.ErrTooManyHolders) {
			return nil
		} else if err != nil {
			return err
		}
		r.Group.Done()
		return nil
	}
	if open, _ := r.Group.Tasks(); open < 20 {
		return r.Group.Add(1) // for others to take
	}
	return nil
}
