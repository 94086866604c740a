package futexlock

import (
	"context"
	"sync/atomic"
	"time"

	"shmkit/shm"
	"shmkit/shm/fault"
)

// What can be lost when a process is killed while it locks or unlocks a word,
// instruction by instruction. "Healed" says who repairs it and when.
//
//	killed                             leaves                        healed
//	lock, before its CAS               nothing
//	lock, after its CAS                itself as holder              the next locker takes over: ErrOwnerDied
//	after setting waited               waited, nobody asleep         the next contended release drops it
//	asleep                             nothing: the kernel dequeues
//	woken, before its CAS              a swallowed wake; waited      the next release wakes the next sleeper; if
//	                                   is still in the word          there is none, the sweep of the dead process
//	                                                                 or the sleeper's own backstop (100 ms)
//	unlock, before its one step        itself as holder              as above
//	unlock, after it, one woken        a free word, one on its way   it takes the word
//	unlock, after it, nobody woken     a flag too many               waited: the next contended release; starving:
//	                                                                 the sweep, or a newcomer's backstop
//	takeover, before its CAS           nothing
//	takeover, after it                 itself as dead holder         again a takeover, again ErrOwnerDied
//	sweep, before its wake             a free word, sleepers         the sweep is run again; their backstops
//
// There is no row "released, not yet woken": FUTEX_WAKE_OP does both.

// longWait is how long a locker queues before it asks newcomers to stand back.
const longWait = time.Millisecond

var _ = fault.Declare(
	"futexlock.lock.waited", "futexlock.lock.woken", "futexlock.lock.inherited",
	"futexlock.unlock.released", "futexlock.unlock.reopened", "futexlock.sweep.orphaned",
)

// tryLockWord takes word if that needs no waiting. A word that is free but
// starving is on its way to somebody; if the wake for that one was lost nobody
// would ever lock it by trying alone, so a wake is sent after it, and only if
// nobody is asleep the word is ours. only says that the caller will not wait:
// it must find out by itself that the holder is dead.
func tryLockWord(seg *shm.Segment, word *atomic.Uint32, self uint32, only bool) (ok, died bool) {
	for {
		v := word.Load()
		switch {
		case open(v, false):
			if word.CompareAndSwap(v, taken(v, self, 0, false)) {
				return true, v&ownerDied != 0
			}
		case isFree(v):
			if shm.Wake(word, 1) > 0 {
				return false, false
			}
			if word.CompareAndSwap(v, taken(v, self, 0, false)) {
				return true, v&ownerDied != 0
			}
		case gone(seg, word, shm.Token(holderOf(v)), only):
			if word.CompareAndSwap(v, inherited(v, self, 0)) {
				return true, true
			}
		default:
			return false, false
		}
	}
}

// lockWordSlow is the rest of Lock after the fast CAS(0, self) failed. died
// says that the data is in doubt. The error is the context's or shm.ErrClosed;
// the word is not held then. The caller ends the stay.
func lockWordSlow(ctx context.Context, seg *shm.Segment, stay *shm.Stay, word *atomic.Uint32, self uint32) (died bool, err error) {
	if err := stay.Enter(seg, word); err != nil {
		return false, err
	}
	died, err = waitForWord(ctx, seg, stay, word, self)
	if err != nil {
		return false, err
	}
	if died, err = unlessClosed(seg, stay, died); err != nil {
		// Whoever gets it from Close is told that a holder died inside, and
		// nobody was.
		unlockWordSlow(word, self)
	}
	return died, err
}

func waitForWord(ctx context.Context, seg *shm.Segment, stay *shm.Stay, word *atomic.Uint32, self uint32) (died bool, err error) {
	if ok, died := tryLockWord(seg, word, self, ctx.Err() != nil); ok {
		return died, nil
	}
	if err := ctx.Err(); err != nil {
		return false, err
	}
	if spin(word, self) {
		return false, nil
	}
	start := time.Now()
	// One goroutine of this process sleeps in the kernel for this word; the
	// others park in Go behind it.
	if err := seg.Lead(ctx, word); err != nil {
		return false, err
	}
	defer seg.Unlead(word)
	var (
		keep     uint32 // waited, once we have been asleep
		entitled bool   // we were woken, or slept a whole slice
		lost     bool   // the slice ended: a wake may have been lost on its way
	)
	w := watchFor(ctx, seg, stay, word)
	for {
		v := word.Load()
		if open(v, entitled) {
			long := !lost && time.Since(start) >= longWait
			if word.CompareAndSwap(v, taken(v, self, keep, long)) {
				return v&ownerDied != 0, nil
			}
			continue
		}
		h := shm.Token(holderOf(v))
		if h != 0 {
			// Nobody may enter before the dead holder's last thread is past
			// its last store: Dead and Confirm say so, Dying does not.
			if w.gone(h) {
				if word.CompareAndSwap(v, inherited(v, self, keep)) {
					if fault.Enabled {
						fault.Point("futexlock.lock.inherited")
					}
					return true, nil
				}
				continue
			}
			if w.pause(ctx, h) {
				continue
			}
		}
		nv := awaited(v, time.Since(start) >= longWait)
		if nv != v && !word.CompareAndSwap(v, nv) {
			continue
		}
		keep = waited
		if fault.Enabled {
			fault.Point("futexlock.lock.waited")
		}
		why, err := w.sleep(ctx, word, nv, h)
		if fault.Enabled {
			fault.Point("futexlock.lock.woken")
		}
		if err != nil {
			// The wake that we may have been given goes to the next.
			passOn(word)
			return false, err
		}
		entitled = why != shm.Changed
		lost = why == shm.Timeout || why == shm.Died
	}
}

// unlockWordSlow is the rest of Unlock after the fast CAS(self, 0) failed. It
// returns false if self does not hold word.
func unlockWordSlow(word *atomic.Uint32, self uint32) bool {
	v := word.Load()
	if holderOf(v) != self {
		return false
	}
	// Nobody waits, but the data is still in doubt.
	if v == self|ownerDied && word.CompareAndSwap(v, ownerDied) {
		return true
	}
	store, rest := released(v)
	// Publishes the section to whoever takes the word next: pairs with the
	// CAS in lockWordSlow. Release and wake are one step, see above.
	n := shm.StoreWake(word, store)
	if fault.Enabled {
		fault.Point("futexlock.unlock.released")
	}
	// Nobody was asleep, and nobody falls asleep on the value that was
	// stored: the flag can go. If the CAS fails, somebody came meanwhile.
	if n == 0 && !word.CompareAndSwap(store, rest) {
		reopen(word)
	}
	return true
}

// reopen takes starving off a free word and wakes one sleeper: for whoever
// had the turn and does not use it.
func reopen(word *atomic.Uint32) {
	for {
		v := word.Load()
		if !isFree(v) || v&starving == 0 {
			return
		}
		if word.CompareAndSwap(v, reopened(v)) {
			if fault.Enabled {
				fault.Point("futexlock.unlock.reopened")
			}
			shm.Wake(word, 1)
			return
		}
	}
}

// passOn hands a wake that the caller may have been given to the next sleeper.
func passOn(word *atomic.Uint32) {
	v := word.Load()
	switch {
	case !isFree(v):
	case v&starving != 0:
		reopen(word)
	case v&waited != 0:
		shm.Wake(word, 1)
	}
}

// consistentWord takes ownerDied off the word; false if self does not hold it.
func consistentWord(word *atomic.Uint32, self uint32) bool {
	for {
		v := word.Load()
		if holderOf(v) != self {
			return false
		}
		if v&ownerDied == 0 || word.CompareAndSwap(v, v&^ownerDied) {
			return true
		}
	}
}

// sweepWord releases word if dead holds it, and wakes a sleeper in case dead
// swallowed the wake for it.
func sweepWord(word *atomic.Uint32, dead uint32) {
	for {
		v := word.Load()
		if holderOf(v) != dead {
			break
		}
		if word.CompareAndSwap(v, orphaned(v)) {
			if fault.Enabled {
				fault.Point("futexlock.sweep.orphaned")
			}
			break
		}
	}
	passOn(word)
}
