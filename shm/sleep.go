package shm

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"shmkit/shm/internal/futex"
)

// Backstop is how long a sleep lasts at most before the sleeper looks again. No
// protocol between user programs can bring back a wake that was given to a
// process killed before it could act on it; this bound does. It is never
// doubled.
const Backstop = 100 * time.Millisecond

// WakeReason says why Sleep returned. Whatever it says, the caller reads its
// state again; the reason only tells it what to look at first.
type WakeReason int

// What Sleep returns.
const (
	Woken     WakeReason = iota // somebody's Wake took this sleeper out of the word's queue
	Changed                     // the word did not have its value, or a signal came
	Timeout                     // the backstop slice ended
	Died                        // the owner is dying or dead
	Cancelled                   // ctx is done
	Closed                      // this process closed the segment
	// MaybeWoken: the word changed while this sleeper was in its queue, and
	// whether a wake took it out is not known. It comes only where many
	// goroutines of the process sleep and share a thread.
	MaybeWoken
)

// String returns the name of r.
func (r WakeReason) String() string {
	return [...]string{"woken", "changed", "timeout", "died", "cancelled", "closed", "maybe woken"}[r]
}

// sleepers are the goroutines of this process that sleep in one segment; Close
// wakes them.
type sleepers struct {
	mu  sync.Mutex
	all map[*sleeper]struct{}
}

// sleeper is one sleeping goroutine. Its cancel word is private memory, which
// the kernel watches together with the shared word.
type sleeper struct {
	cancel atomic.Uint32 // 0, or a WakeReason
	word   *atomic.Uint32
	val    uint32
	bits   uint32 // for WakeBits, where the kernel watches one word only
	left   atomic.Bool

	bell    *atomic.Uint32 // the owner's live word, nil if there is none to watch
	bellVal uint32

	// Of sleepers that a dispatcher sleeps for.
	by      atomic.Pointer[dispatcher]
	done    chan WakeReason
	until   time.Time
	stirred bool // it was in a wait that ended by a wake
}

// wake ends the sleep for reason r.
func (s *sleeper) wake(r WakeReason) {
	// Pairs with the load in over: who entrusts itself to a dispatcher after
	// this store is looked at, who did before is found here.
	s.cancel.CompareAndSwap(0, uint32(r))
	if d := s.by.Load(); d != nil {
		d.poke()
		return
	}
	if futex.HasWaitv() {
		futex.Wake(&s.cancel, 1, true)
		return
	}
	// The sleeper may be on its way into the kernel: ring until it is out.
	for !s.left.Load() {
		futex.WakeBits(s.word, s.bits)
		time.Sleep(time.Millisecond)
	}
}

func (l *sleepers) add(s *sleeper) {
	l.mu.Lock()
	if l.all == nil {
		l.all = map[*sleeper]struct{}{}
	}
	l.all[s] = struct{}{}
	l.mu.Unlock()
}

func (l *sleepers) remove(s *sleeper) {
	s.left.Store(true)
	l.mu.Lock()
	delete(l.all, s)
	l.mu.Unlock()
}

func (l *sleepers) wakeAll() { l.wakeIf(func(*sleeper) bool { return true }) }

// wakeWithin wakes those that sleep on words from lo to hi of the payload of c.
func (l *sleepers) wakeWithin(c *core, lo, hi uint64) {
	l.wakeIf(func(s *sleeper) bool { off := c.offsetOf(s.word); return off >= lo && off < hi })
}

func (l *sleepers) wakeIf(f func(*sleeper) bool) {
	l.mu.Lock()
	var all []*sleeper
	for s := range l.all {
		if f(s) {
			all = append(all, s)
		}
	}
	l.mu.Unlock()
	for _, s := range all {
		s.wake(Closed)
	}
}

var nextBit atomic.Uint32

// Sleep blocks while *word == val, for one Backstop at most, and returns early
// when somebody wakes word, when owner (a participant of s; 0: nobody) begins
// to die, when ctx (nil: never) is done, or when this process closes s. The
// check of val and the falling asleep are one step for wakers.
//
// It may return at any time for no reason. It does not loop: the caller looks at
// its state, decides and sleeps again. word must lie in s.
//
// The first 32 sleepers of a process hold an OS thread each; the others share
// threads, about a hundred words to one, so that 10,000 goroutines that sleep on
// 10,000 words need some 120 threads. See Lead for how to need only one sleeper
// for each word. The kernel's part is futex_waitv (Linux 5.16). Without that,
// sleep is futex on word alone, in slices of 10 ms while an owner is watched; and
// what is more than the first 32 is looked after by one goroutine, which looks at
// all words every 5 ms.
func (s *Segment) Sleep(ctx context.Context, word *atomic.Uint32, val uint32, owner Token) WakeReason {
	c := s.core
	pass := c.passageAt(word)
	if pass == nil {
		return Closed
	}
	if !pass.enter() {
		return Closed
	}
	defer pass.leave()
	if ctx != nil && ctx.Err() != nil {
		return Cancelled
	}
	sl := &sleeper{word: word, val: val, bits: 1 << (nextBit.Add(1) % 32)}
	c.sleep.add(sl)
	defer c.sleep.remove(sl)
	if pass.isShut() {
		return Closed // Close may have looked before we were there to be woken
	}
	if ctx != nil && ctx.Done() != nil {
		stop := context.AfterFunc(ctx, func() { sl.wake(Cancelled) })
		defer stop()
	}
	n := asleep.Add(1)
	defer asleep.Add(-1)
	return c.sleepOn(sl, owner, n)
}

// sleepOn sleeps, as the n-th of this process.
func (c *core) sleepOn(sl *sleeper, owner Token, n int64) WakeReason {
	slice := Backstop
	if owner != nobody && owner != c.self && c.dead(owner) {
		return Died
	}
	if bell := c.bell(owner); bell != nil {
		l := bell.Load()
		switch {
		case l&liveDied != 0:
			return Died
		case l == 0: // no bell there: only the backstop finds out
		case l&liveWaited != 0 || bell.CompareAndSwap(l, l|liveWaited):
			sl.bell, sl.bellVal = bell, l|liveWaited
		default:
			return Changed
		}
		if !futex.HasWaitv() {
			slice /= 10
		}
	}
	if n > maxDirect {
		return dispatch(sl)
	}
	return direct(sl, slice)
}

// direct sleeps on a thread of its own.
func direct(sl *sleeper, slice time.Duration) WakeReason {
	words := append(make([]futex.Word, 0, 3), futex.Word{Addr: sl.word, Val: sl.val}, futex.Word{Addr: &sl.cancel, Private: true})
	if sl.bell != nil {
		words = append(words, futex.Word{Addr: sl.bell, Val: sl.bellVal})
	}
	r, i := futex.Wait(words, sl.bits, slice)
	if w := WakeReason(sl.cancel.Load()); w != 0 {
		// A wake that reached us all the same must not be lost with us:
		// the caller passes it on when it gives up.
		return w
	}
	if sl.bell != nil {
		if l := sl.bell.Load(); l&liveDied != 0 {
			ringOn(sl.bell, l)
			return Died
		}
	}
	switch {
	case r == futex.Woken && i == 0:
		return Woken
	case r == futex.Timeout:
		return Timeout
	}
	return Changed
}

// bell returns the live word of t, nil if t is nobody or ourselves.
func (c *core) bell(t Token) *atomic.Uint32 {
	if t == nobody || t == c.self {
		return nil
	}
	s := c.slotOf(t)
	if s == nil || c.dead(t) {
		return nil
	}
	return &s.live
}

// ringOn wakes everybody who sleeps on a bell that the kernel has rung: the
// kernel itself wakes only one.
func ringOn(bell *atomic.Uint32, l uint32) {
	if l&liveWaited != 0 && bell.CompareAndSwap(l, l&^liveWaited) {
		futex.Wake(bell, -1, false)
	}
}

// Wake wakes up to n sleepers of word, in whatever process (all if n < 0), and
// returns how many. It is a system call: call it only if a sleeper may be there.
func Wake(word *atomic.Uint32, n int) int { return futex.Wake(word, n, false) }

// StoreWake stores v into word and wakes one sleeper of word, in one step that
// a kill cannot divide (FUTEX_WAKE_OP), and returns how many it woke. The
// kernel's operand is small: v must be a single bit, or fit 12 bits with sign
// (0 to 2047, or 0xfffff800 to 0xffffffff); else StoreWake panics.
func StoreWake(word *atomic.Uint32, v uint32) int { return futex.StoreWake(word, v) }

// AllowWaitv (false) makes this process do without futex_waitv, as on Linux
// before 5.16. It is for tests; SHMKIT_NO_WAITV in the environment does the same.
func AllowWaitv(on bool) { futex.SetWaitv(on) }
