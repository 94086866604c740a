package futexlock

import (
	"sync/atomic"

	"shmkit/shm"
	"shmkit/shm/fault"
)

// A bell is a futex word beside a condition that is kept in other words. Who
// waits for the condition notes the bell, signs it, looks at the condition once
// more, and sleeps on the bell; who makes the condition true rings.
//
//	bit    name      meaning              set by            cleared by            a stale value costs
//	31     waited    somebody may sleep   a waiter          a ring that found     set: one needless system call
//	                                                        the queue empty
//	30     large     a waiter wants more  a waiter          with waited           set: rings wake everybody
//	                 than one
//	29     starving  newcomers queue up   a waiter that     with waited, or by    set: newcomers wait for a
//	                                      waited 1 ms       one that waited less  backstop, then clear it
//	28..0  seq       changes with every   a ring                                  (only compared)
//	                 ring
//
// The functions without an address are the arithmetic; the explorer in the
// tests runs on them too.
const (
	bellLarge = uint32(1) << 30
	bellFlags = waited | bellLarge | starving
	bellSeq   = starving - 1
)

var _ = fault.Declare("futexlock.bell.rung", "futexlock.bell.woke", "futexlock.bell.quiet")

// rung is the bell v after a ring.
func rung(v uint32) uint32 { return v&bellFlags | (v+1)&bellSeq }

// silent is the bell v after a ring that found the queue empty. Its seq
// changes: who falls asleep on v meanwhile must be woken.
func silent(v uint32) uint32 { return (v + 1) & bellSeq }

// ring wakes up to n waiters; all if n < 0, or if one of them wants more than
// one: it may be unable to use what others could. The condition must have
// become true before.
func ring(bell *atomic.Uint32, n int) {
	for {
		v := bell.Load() // pairs with the CAS that signs it
		if v&waited == 0 {
			return
		}
		if v&bellLarge != 0 {
			n = -1
		}
		now := rung(v)
		if !bell.CompareAndSwap(v, now) {
			continue
		}
		if fault.Enabled {
			fault.Point("futexlock.bell.rung")
		}
		woken := shm.Wake(bell, n)
		if fault.Enabled {
			fault.Point("futexlock.bell.woke")
		}
		if n >= 0 && woken == n {
			return
		}
		// The queue was empty for a moment, so the flags can go; but who
		// fell asleep since must then be woken.
		if bell.CompareAndSwap(now, silent(now)) {
			if fault.Enabled {
				fault.Point("futexlock.bell.quiet")
			}
			shm.Wake(bell, -1)
		}
		return
	}
}

// alarm wakes everybody to look, whatever the flags say: for the sweep of a
// process that may have been killed between dropping the flags and waking.
func alarm(bell *atomic.Uint32) {
	for {
		v := bell.Load()
		if bell.CompareAndSwap(v, silent(v)) {
			shm.Wake(bell, -1)
			return
		}
	}
}
