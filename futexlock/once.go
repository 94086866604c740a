package futexlock

import (
	"context"
	"structs"
	"sync/atomic"

	"shmkit/shm"
	"shmkit/shm/fault"
)

// Once does something once for all processes, and again if the one that did it
// died or failed. All zero bytes are a Once that has done nothing. It must not
// be copied or moved. Any goroutine of any process may use it.
//
//	bits   name    meaning                   set by              cleared by             a stale value costs
//	31     waited  somebody may sleep        a caller that       the end of the run     set: one needless system call
//	                                         waits
//	29     done    f has returned nil        the runner                                 (truth)
//	28..0  runner  token of the process      the runner          the runner, or who     (truth)
//	               that runs f                                   shows it dead
//
// f must be able to run again over what an earlier run left half done.
type Once struct {
	_    structs.HostLayout
	_    noCopy
	word atomic.Uint32
	_    uint32
}

const onceDone = uint32(1) << 29

var _ = fault.Declare("futexlock.once.running", "futexlock.once.ended", "futexlock.once.waited")

// Done reports whether some f has succeeded: one load.
func (o *Once) Done() bool {
	ok := o.word.Load()&onceDone != 0 // pairs with the Swap in run
	if ok {
		shm.RaceAcquire(o)
	}
	return ok
}

// Do calls f unless an earlier call of Do, in whatever process, has succeeded.
// If another is running, Do waits for it. It returns nil once f has succeeded
// here or elsewhere, or the error of its own f; then the next caller tries
// again. If f panics, so does Do, and the next caller tries again. f must not
// call Do of the same Once.
//
// The return of the f that succeeded synchronizes before the return of every Do.
func (o *Once) Do(f func() error) error {
	if o.Done() && shm.SelfAt(&o.word) != 0 {
		return nil
	}
	return mustLock("Once.Do", o.DoContext(context.Background(), f))
}

// DoContext is Do that stops waiting for another runner when ctx is done; it
// returns ctx's error, wrapped. It does not interrupt f. If this process closes
// the segment meanwhile it returns shm.ErrClosed.
func (o *Once) DoContext(ctx context.Context, f func() error) error {
	if o.Done() && shm.SelfAt(&o.word) != 0 {
		return nil
	}
	seg, self := attached("Once.Do", shm.Find(o))
	var stay shm.Stay
	if err := stay.Enter(seg, &o.word); err != nil {
		return failed("Once.Do", err)
	}
	defer stay.Leave()
	w := watchFor(ctx, seg, &stay, &o.word)
	for {
		v := o.word.Load()
		r := shm.Token(v & holderMask)
		switch {
		case v&onceDone != 0:
			shm.RaceAcquire(o)
			return nil
		case r == 0 || w.gone(r):
			if o.word.CompareAndSwap(v, v&waited|self) {
				if _, err := unlessClosed(seg, &stay, false); err != nil {
					return failed("Once.Do", err)
				}
				return o.run(seg, &stay, f)
			}
			continue
		}
		if err := ctx.Err(); err != nil {
			return failed("Once.Do", err)
		}
		if w.pause(ctx, r) {
			continue
		}
		if v&waited == 0 && !o.word.CompareAndSwap(v, v|waited) {
			continue
		}
		if fault.Enabled {
			fault.Point("futexlock.once.waited")
		}
		if _, err := w.sleep(ctx, &o.word, v|waited, r); err != nil {
			return failed("Once.Do", err)
		}
	}
}

// run calls f, outside of the stay; the word names us as the runner.
func (o *Once) run(seg *shm.Segment, stay *shm.Stay, f func() error) (err error) {
	end := uint32(0) // unless f returns nil
	defer func() {
		if stay.Enter(seg, &o.word) != nil {
			return // o was closed meanwhile, and what we had of it given to others
		}
		shm.RaceRelease(o)
		// Publishes what f did. Pairs with the loads in Done and DoContext.
		// Killed between this and the wake, we leave sleepers that sleep on
		// our death too.
		v := o.word.Swap(end)
		if fault.Enabled {
			fault.Point("futexlock.once.ended")
		}
		if v&waited != 0 {
			shm.Wake(&o.word, -1)
		}
	}()
	shm.RaceAcquire(o)
	if fault.Enabled {
		fault.Point("futexlock.once.running")
	}
	stay.Leave()
	if err = f(); err == nil {
		end = onceDone
	}
	return err
}

// sweep lets the next caller run where dead was the runner.
func (o *Once) sweep(_ *shm.Segment, dead uint32) {
	for v := o.word.Load(); v&holderMask == dead; v = o.word.Load() {
		if o.word.CompareAndSwap(v, 0) {
			break
		}
	}
	// dead may have ended its run and woken nobody.
	shm.Wake(&o.word, -1)
}

func (o *Once) check(s *shm.Segment) string { return checkHolder(s, o.word.Load()&holderMask) }

// State describes o in a line for people: "done", "not done", or who runs.
func (o *Once) State() string {
	v := o.word.Load()
	switch r := shm.Token(v & holderMask); {
	case v&onceDone != 0:
		return "done"
	case r == 0:
		return "not done"
	default:
		if seg := shm.Look(o); seg != nil {
			return "run by " + owner(seg, r).String()
		}
		return "run by " + r.String()
	}
}

func init() { register[Once](kindOnce) }
