package futexlock

import "shmkit/shm"

// A lock word says in 32 bits who holds a lock and who may be asleep for it.
// Mutex, RecursiveMutex, the write side of RWMutex and the inner lock of
// WaitGroup use it.
//
//	bit     name       meaning                set by           cleared by         a stale value costs
//	31      waited     somebody may sleep     whoever goes     a release that     set: one needless system call;
//	                   on the word            to sleep         woke nobody        clear: a sleeper waits for its backstop
//	30      ownerDied  a holder died, and     whoever showed   Consistent         (truth: never stale)
//	                   the data has not been  the holder dead
//	                   declared consistent
//	29      starving   newcomers queue up     a locker that    one that waited    set: newcomers wait for a backstop;
//	                   instead of taking a    has waited 1 ms  less than 1 ms,    clear: a sleeper is overtaken
//	                   free word                               or lost its wake
//	28..0   holder     token of the holder;   the holder       the holder, or     (truth: never stale)
//	                   0 and all ones: free                    whoever showed
//	                                                           it dead
//
// starving without waited also means that there may be sleepers: the release
// of a starving word is one kernel step that can store a single bit.
//
// The functions below are the whole arithmetic of the word. The lock's code
// and the exhaustive explorer in the tests both run on them.
const (
	holderMask = uint32(shm.TokenMask)
	starving   = uint32(1) << 29
	ownerDied  = uint32(1) << 30
	waited     = uint32(1) << 31
	allOnes    = ^uint32(0) // free, and every flag: the one value with ownerDied that FUTEX_WAKE_OP can store
)

// holderOf returns the holder that v names, 0 if v is free.
func holderOf(v uint32) uint32 {
	if h := v & holderMask; h != holderMask {
		return h
	}
	return 0
}

func isFree(v uint32) bool { return holderOf(v) == 0 }

// open reports whether a locker may take the word v. entitled lockers, which
// were woken or have slept a whole slice, may take any free word; others leave
// a starving one to them.
func open(v uint32, entitled bool) bool { return isFree(v) && (v&starving == 0 || entitled) }

// taken is the free word v after self took it. keep is waited if self may
// have shared that flag with other sleepers: whoever has slept cannot tell
// whether the flag it finds gone was dropped with others asleep behind it.
// long says that self waited so long that those behind it starve too.
func taken(v, self, keep uint32, long bool) uint32 {
	nv := v&(waited|ownerDied) | keep | self
	if long {
		nv |= v & starving
	}
	return nv
}

// inherited is v after self took it over from a dead holder.
func inherited(v, self, keep uint32) uint32 {
	return v&(waited|starving) | ownerDied | keep | self
}

// awaited is what a locker makes of v before it goes to sleep on it. A free
// word gets the plain free value: the all-ones word is left to mean that nobody
// has come since the release.
func awaited(v uint32, long bool) uint32 {
	if isFree(v) {
		return v&^holderMask | waited
	}
	if long {
		v |= starving
	}
	return v | waited
}

// released says how the holder of v lets go: it stores store and wakes one
// sleeper in the same step. If that found nobody asleep, rest may replace
// store. Only waited and starving can have been added to v since it was read.
func released(v uint32) (store, rest uint32) {
	switch {
	case v&ownerDied != 0:
		return allOnes, ownerDied
	case v&starving != 0:
		return starving, 0
	}
	return waited, 0
}

// reopened is the free, starving word v with starving taken off: whoever
// comes may take it, and whoever is about to sleep on v looks again. Its free
// value is the one that no release stores, so that a slow releaser does not
// take the flag for its own and drop it before the wake.
func reopened(v uint32) uint32 { return v&ownerDied | waited | holderMask }

// orphaned is v after its dead holder was swept away.
func orphaned(v uint32) uint32 { return v&(waited|starving) | ownerDied }
