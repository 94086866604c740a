package futexlock

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"structs"
	"sync/atomic"

	"shmkit/shm"
)

// Holder is who holds a RecursiveMutex: goroutines have no identity, so the
// caller that wants to lock again inside brings one along. Make it with
// NewHolder and use it from one goroutine at a time. The zero Holder is nobody.
type Holder struct{ id uint64 }

// holders counts up from a random number, so that the holders of different
// processes differ: a dead process's must not be taken for one of ours.
var holders = func() *atomic.Uint64 {
	var b [8]byte
	rand.Read(b[:])
	var n atomic.Uint64
	n.Store(binary.LittleEndian.Uint64(b[:]))
	return &n
}()

// NewHolder returns a Holder like no other.
func NewHolder() Holder {
	for {
		if id := holders.Add(1); id != 0 {
			return Holder{id}
		}
	}
}

// maxDepth is how often a RecursiveMutex can be locked by one holder.
const maxDepth = math.MaxInt32

// RecursiveMutex is a Mutex that its holder may lock again: Python's RLock.
// All zero bytes are an unlocked RecursiveMutex. It must not be copied or
// moved. Everything that Mutex says about the death of holders holds here; the
// one that takes over from a dead holder has locked it once, however often the
// dead one had.
type RecursiveMutex struct {
	_      structs.HostLayout
	_      noCopy
	word   atomic.Uint32 // lock word
	depth  uint32        // how often its holder has locked it; the holder's to touch
	holder atomic.Uint64 // who holds it; written by the process that holds word
}

// Lock locks r for h, waiting as long as another holder has it. If h has it
// already Lock counts. It returns nil; ErrOwnerDied: r is held, but a holder
// died inside and nobody has called Consistent since, which h is told every time;
// or ErrOverflow, not locked once more, when h has locked it 2,147,483,647 times.
//
// Lock panics if r lies in no attached segment, or if this process closes the
// segment meanwhile, or with the zero Holder.
func (r *RecursiveMutex) Lock(h Holder) error {
	return mustLock("RecursiveMutex.Lock", r.lock(context.Background(), "RecursiveMutex.Lock", h))
}

// LockContext is Lock that gives up when ctx is done: it returns ctx's error,
// wrapped, and nothing has changed. With a ctx that is done already it tries
// once. If this process closes the segment meanwhile it returns shm.ErrClosed.
func (r *RecursiveMutex) LockContext(ctx context.Context, h Holder) error {
	return r.lock(ctx, "RecursiveMutex.LockContext", h)
}

// TryLock locks r for h if that is possible without waiting. It returns true
// with nil or ErrOwnerDied, false with nil or ErrOverflow.
func (r *RecursiveMutex) TryLock(h Holder) (bool, error) {
	_, again := r.enter("RecursiveMutex.TryLock", h)
	if again {
		err := r.deeper("RecursiveMutex.TryLock")
		return !errors.Is(err, ErrOverflow), err
	}
	seg, self := attached("RecursiveMutex.TryLock", shm.Find(r))
	ok, died := tryLockWord(seg, &r.word, self, true)
	if !ok {
		return false, nil
	}
	return true, r.entered("RecursiveMutex.TryLock", h, self, died)
}

func (r *RecursiveMutex) lock(ctx context.Context, op string, h Holder) error {
	self, again := r.enter(op, h)
	if again {
		return r.deeper(op)
	}
	if !r.word.CompareAndSwap(0, self) {
		return r.lockSlow(ctx, op, h)
	}
	if uint32(shm.SelfAt(&r.word)) != self {
		return failed(op, shm.ErrClosed) // as in Mutex.LockContext
	}
	return r.entered(op, h, self, false)
}

func (r *RecursiveMutex) lockSlow(ctx context.Context, op string, h Holder) error {
	seg, self := attached(op, shm.Find(r))
	var stay shm.Stay
	defer stay.Leave()
	died, err := lockWordSlow(ctx, seg, &stay, &r.word, self)
	if err != nil {
		return failed(op, err)
	}
	return r.entered(op, h, self, died)
}

// in is h as self writes it. A process that has closed the segment and opened it
// again is another participant: what h held before it does not hold now.
func (h Holder) in(self uint32) uint64 { return h.id ^ uint64(self)<<32 }

// enter finds out who we are and whether h has r already. Only h itself can
// have written h.
func (r *RecursiveMutex) enter(op string, h Holder) (self uint32, again bool) {
	if self = uint32(shm.SelfAt(&r.word)); self == 0 {
		_, self = attached(op, shm.Find(r))
	}
	if h.id == 0 {
		panic("futexlock: " + op + " with the zero Holder: make one with NewHolder")
	}
	return self, r.holder.Load() == h.in(self) && holderOf(r.word.Load()) == self
}

func (r *RecursiveMutex) deeper(op string) error {
	if r.depth >= maxDepth {
		return failed(op, ErrOverflow)
	}
	r.depth++
	return told(op, r.word.Load()&ownerDied != 0)
}

// entered notes who has r. Killed here, we leave the word to name us: the next
// holder writes its own name and depth over ours.
func (r *RecursiveMutex) entered(op string, h Holder, self uint32, died bool) error {
	shm.StoreRelease(&r.holder, h.in(self))
	r.depth = 1
	shm.RaceAcquire(r)
	return told(op, died)
}

// notTheirs panics for op by a Holder that does not hold r.
func (r *RecursiveMutex) notTheirs(op string, self uint32) {
	if t := holderOf(r.word.Load()); t != self {
		notHeld(op, "RecursiveMutex", shm.Find(r), shm.Token(t))
	}
	panic("futexlock: " + op + " of a RecursiveMutex that this Holder does not hold: another Holder of this process does")
}

// Unlock undoes one Lock of h; the last one unlocks r. It panics if h does not
// hold r.
func (r *RecursiveMutex) Unlock(h Holder) {
	self, held := r.enter("RecursiveMutex.Unlock", h)
	if !held {
		r.notTheirs("Unlock", self)
	}
	if r.depth--; r.depth > 0 {
		return
	}
	shm.RaceRelease(r)
	shm.StoreRelease(&r.holder, 0)
	if !r.word.CompareAndSwap(self, 0) {
		r.unlockSlow()
	}
}

func (r *RecursiveMutex) unlockSlow() {
	// As with Mutex: whoever is next may close r.
	var stay shm.Stay
	_, self := entered("RecursiveMutex.Unlock", shm.Find(r), &stay, &r.word)
	unlockWordSlow(&r.word, self)
	stay.Leave()
}

// Consistent declares the data that r protects repaired: later lockers are no
// longer told ErrOwnerDied. It panics if h does not hold r.
func (r *RecursiveMutex) Consistent(h Holder) {
	self, held := r.enter("RecursiveMutex.Consistent", h)
	if !held {
		r.notTheirs("Consistent", self)
	}
	consistentWord(&r.word, self)
}

// Owner returns the process that holds r, for people; false if r is free.
func (r *RecursiveMutex) Owner() (Owner, bool) { return wordOwner(shm.Look(r), &r.word) }

// State describes r in a line for people.
func (r *RecursiveMutex) State() string {
	v := r.word.Load()
	s := wordState(shm.Look(r), v)
	if holderOf(v) != 0 {
		s += fmt.Sprintf(", holder %x", r.holder.Load())
	}
	return s
}

func (r *RecursiveMutex) sweep(_ *shm.Segment, dead uint32) { sweepWord(&r.word, dead) }

func (r *RecursiveMutex) check(s *shm.Segment) string { return checkHolder(s, holderOf(r.word.Load())) }

func init() { register[RecursiveMutex](kindRecursiveMutex) }
