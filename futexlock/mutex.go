package futexlock

import (
	"context"
	"structs"
	"sync/atomic"

	"shmkit/shm"
)

// Mutex is a mutual exclusion lock that lives in shared memory and survives
// the death of its holder. All zero bytes are an unlocked Mutex. It must not be
// copied or moved; processes may map it at different addresses.
//
// Ownership belongs to the process: a goroutine may unlock what another
// goroutine of the same process locked, and any number of goroutines may use
// the Mutex. It is not recursive.
//
// When the holder dies, the next locker gets the lock together with
// ErrOwnerDied: it holds the lock and looks after the data. Every locker is
// told, until one that holds the lock calls Consistent. Nobody is locked out
// for good, and code that ignores the error still excludes others. Nobody gets
// in before the last thread of the dead process is past its last store.
//
// In the memory model's terms, an Unlock in one process synchronizes before
// every later Lock in any process.
//
// The word and its algorithm: LAYOUT.md. It is the mutex of the kernel's
// robust futexes with tokens of participants instead of thread ids, released
// by one FUTEX_WAKE_OP, with the starvation rule of Go's sync.Mutex.
type Mutex struct {
	_    structs.HostLayout
	_    noCopy
	word atomic.Uint32
	_    uint32
}

// Lock locks m, waiting as long as another process or goroutine holds it. It
// returns nil, or ErrOwnerDied: m is held, but a holder died inside and nobody
// has called Consistent since. It returns nothing else.
//
// Lock panics if m lies in no attached segment, or if this process closes the
// segment meanwhile.
func (m *Mutex) Lock() error {
	// Takes a free lock. Pairs with the CAS in Unlock.
	if self := uint32(shm.SelfAt(&m.word)); self != 0 && m.word.CompareAndSwap(0, self) {
		shm.RaceAcquire(m)
		return nil
	}
	return mustLock("Mutex.Lock", m.lockSlow(context.Background(), "Mutex.Lock"))
}

// LockContext is Lock that gives up when ctx is done: it returns ctx's error,
// wrapped, and m is not held. With a ctx that is done already it tries once. If
// this process closes the segment meanwhile it returns shm.ErrClosed.
func (m *Mutex) LockContext(ctx context.Context) error {
	if self := uint32(shm.SelfAt(&m.word)); self != 0 && m.word.CompareAndSwap(0, self) {
		if uint32(shm.SelfAt(&m.word)) != self {
			// This process is closing the segment: that may have been in a
			// private page. Lock does not spend the time to ask; who has got
			// nothing but zeros there harms nobody.
			return failed("Mutex.LockContext", shm.ErrClosed)
		}
		shm.RaceAcquire(m)
		return nil
	}
	return m.lockSlow(ctx, "Mutex.LockContext")
}

func (m *Mutex) lockSlow(ctx context.Context, op string) error {
	seg, self := attached(op, shm.Find(m))
	var stay shm.Stay
	defer stay.Leave()
	died, err := lockWordSlow(ctx, seg, &stay, &m.word, self)
	if err != nil {
		return failed(op, err)
	}
	shm.RaceAcquire(m)
	return told(op, died)
}

// TryLock locks m if that is possible without waiting. It returns true with
// nil or ErrOwnerDied, as Lock does, or false and nil.
func (m *Mutex) TryLock() (bool, error) {
	if self := uint32(shm.SelfAt(&m.word)); self != 0 && m.word.CompareAndSwap(0, self) {
		shm.RaceAcquire(m)
		return true, nil
	}
	return m.tryLockSlow()
}

func (m *Mutex) tryLockSlow() (bool, error) {
	seg, self := attached("Mutex.TryLock", shm.Find(m))
	ok, died := tryLockWord(seg, &m.word, self, true)
	if !ok {
		return false, nil
	}
	shm.RaceAcquire(m)
	return true, told("Mutex.TryLock", died)
}

// Unlock unlocks m and wakes one process that waits for it. It panics if this
// process does not hold m.
func (m *Mutex) Unlock() {
	shm.RaceRelease(m)
	// Publishes the section to the next holder. Pairs with the CAS in Lock.
	if self := uint32(shm.SelfAt(&m.word)); self == 0 || !m.word.CompareAndSwap(self, 0) {
		m.unlockSlow()
	}
}

func (m *Mutex) unlockSlow() {
	// Whoever is next may close m as soon as it has it, and we have not left.
	var stay shm.Stay
	seg, self := entered("Mutex.Unlock", shm.Find(m), &stay, &m.word)
	defer stay.Leave()
	if !unlockWordSlow(&m.word, self) {
		notHeld("Unlock", "Mutex", seg, shm.Token(holderOf(m.word.Load())))
	}
}

// Consistent declares the data that m protects repaired: later lockers are no
// longer told ErrOwnerDied. The caller must hold m; it panics if this process
// does not.
func (m *Mutex) Consistent() {
	seg, self := attached("Mutex.Consistent", shm.Find(m))
	if !consistentWord(&m.word, self) {
		notHeld("Consistent", "Mutex", seg, shm.Token(holderOf(m.word.Load())))
	}
}

// Owner returns the process that holds m, for people; false if m is free.
func (m *Mutex) Owner() (Owner, bool) { return wordOwner(shm.Look(m), &m.word) }

// State describes m in a line for people, for instance "locked by cook-1 (pid
// 12), waiters".
func (m *Mutex) State() string { return wordState(shm.Look(m), m.word.Load()) }

func wordOwner(seg *shm.Segment, word *atomic.Uint32) (Owner, bool) {
	h := holderOf(word.Load())
	if h == 0 || seg == nil {
		return Owner{}, false
	}
	return owner(seg, shm.Token(h)), true
}

func wordState(seg *shm.Segment, v uint32) string {
	s := "unlocked"
	if h := holderOf(v); h != 0 {
		s = "locked by " + shm.Token(h).String()
		if seg != nil {
			s = "locked by " + owner(seg, shm.Token(h)).String()
		}
	}
	if v&ownerDied != 0 {
		s += ", a holder died inside"
	}
	if v&(waited|starving) != 0 {
		s += ", waiters"
	}
	if v&starving != 0 {
		s += " starving"
	}
	return s
}

func (m *Mutex) sweep(_ *shm.Segment, dead uint32) { sweepWord(&m.word, dead) }

func (m *Mutex) check(s *shm.Segment) string { return checkHolder(s, holderOf(m.word.Load())) }

func init() { register[Mutex](kindMutex) }
