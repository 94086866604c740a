package futexlock

import (
	"context"
	"fmt"
	"math"
	"structs"
	"sync/atomic"

	"shmkit/shm"
	"shmkit/shm/fault"
)

// MaxOwned is the largest maximum of a Semaphore whose permits know who holds
// them: one cell for each permit.
const MaxOwned = 128

// Semaphore is a counting semaphore in shared memory. It must not be copied or
// moved. Any goroutine of any process may use it; permits taken with Acquire
// belong to nobody, so any process may Release them.
//
// All zero bytes are a Semaphore of value 0 without a maximum: a counter of
// signals. Init gives it a value and a maximum. With a maximum from 1 to
// MaxOwned every permit has a cell, and AcquireOwned hands out permits that come
// back when their holder dies, exactly, because taking one is one CAS on one
// cell. Permits taken with Acquire are lost with their holder, as everywhere;
// a process that is killed inside Acquire or Release may have done part of it.
//
// A permit that a waiter was woken for and did not live to take goes to
// another: at the sweep of the dead process, or when a sleeper's slice of 100
// ms ends. Waiters that want one permit are served about in turn; one that
// wants several waits until so many are free at once, and may wait long behind
// those that want one.
//
// A Release synchronizes before the Acquire that takes its permit. The words:
// LAYOUT.md. A Semaphore takes 1,040 bytes.
type Semaphore struct {
	_     structs.HostLayout
	_     noCopy
	bell  atomic.Uint32 // bell.go
	value atomic.Uint32 // permits that are free, if there are no cells
	max   atomic.Uint32 // 0: none
	_     uint32
	cells [MaxOwned]atomic.Uint64 // permitword.go; the first max of them are used
}

// Init sets the number of permits that are free and their maximum (0: none).
// value above max is ErrOverflow, and nothing has changed. Call it before others use s: who holds a permit
// then loses it, who waits may go on waiting for a slice.
func (s *Semaphore) Init(value, max uint32) error {
	if max != 0 && value > max {
		return failed("Semaphore.Init", fmt.Errorf("value %d above the maximum %d: %w", value, max, ErrOverflow))
	}
	attached("Semaphore.Init", shm.Find(s))
	s.value.Store(value)
	for i := range s.cells {
		c := uint64(permitOut)
		if uint32(i) < value {
			c = permitFree
		}
		s.cells[i].Store(c)
	}
	s.bell.Store(0)
	s.max.Store(max)
	return nil
}

// celled returns the cells that are used; none if permits are only counted.
func (s *Semaphore) celled() []atomic.Uint64 {
	if max := s.max.Load(); max <= MaxOwned {
		return s.cells[:max]
	}
	return nil
}

// Acquire takes n permits, waiting until so many are free at once. When ctx is
// done first it returns ctx's error, wrapped, and has taken none; with a ctx
// that is done already it tries once. n above the maximum is ErrOverflow. If
// this process closes the segment meanwhile it returns shm.ErrClosed.
func (s *Semaphore) Acquire(ctx context.Context, n uint32) error {
	seg, self := attached("Semaphore.Acquire", shm.Find(s))
	if max := s.max.Load(); max != 0 && n > max {
		return failed("Semaphore.Acquire", fmt.Errorf("%d of at most %d: %w", n, max, ErrOverflow))
	}
	if s.bell.Load()&starving == 0 && s.take(seg, self, n) {
		shm.RaceAcquire(s)
		return nil
	}
	if err := s.wait(ctx, seg, n, func() bool { return s.take(seg, self, n) }); err != nil {
		return failed("Semaphore.Acquire", err)
	}
	shm.RaceAcquire(s)
	return nil
}

// TryAcquire takes n permits if so many are free, and reports whether it did.
func (s *Semaphore) TryAcquire(n uint32) bool {
	seg, self := attached("Semaphore.TryAcquire", shm.Find(s))
	if !s.try(seg, func() bool { return s.take(seg, self, n) }) {
		return false
	}
	shm.RaceAcquire(s)
	return true
}

// mayTry is false if the free permits are on their way to somebody who has
// waited long. If nobody is, because the wake was lost, they are ours.
func (s *Semaphore) mayTry() bool {
	return s.bell.Load()&starving == 0 || shm.Wake(&s.bell, 1) == 0
}

// Release gives n permits back, or hands out n signals, and wakes those that
// wait for them. If that would make more than the maximum, held permits
// included where they have cells, it returns ErrOverflow and changes nothing.
func (s *Semaphore) Release(n uint32) error {
	seg, self := attached("Semaphore.Release", shm.Find(s))
	var stay shm.Stay // whoever gets a permit may close s
	if stay.Note(seg, &s.bell) != nil {
		stray("Semaphore.Release")
	}
	shm.RaceRelease(s)
	if !s.give(seg, self, n) {
		return failed("Semaphore.Release", fmt.Errorf("%d more than the maximum allows: %w", n, ErrOverflow))
	}
	if fault.Enabled {
		fault.Point("futexlock.semaphore.given")
	}
	if s.bell.Load()&waited != 0 { // pairs with the CAS in wait
		s.announceFrom(seg, &stay, n)
	}
	return nil
}

// announceFrom is announce for one that has only noted its stay.
func (s *Semaphore) announceFrom(seg *shm.Segment, stay *shm.Stay, n uint32) {
	if stay.Enter(seg, &s.bell) == nil {
		s.announce(n)
		stay.Leave()
	}
}

// announce wakes the waiters that n new permits may be for.
func (s *Semaphore) announce(n uint32) {
	if s.bell.Load()&waited != 0 { // pairs with the CAS in wait
		ring(&s.bell, int(min(n, math.MaxInt32)))
	}
}

// AcquireOwned takes one permit that belongs to this process and comes back
// when the process dies. Errors as for Acquire; ErrTooManyHolders, at once, if s
// has no maximum or one above MaxOwned.
func (s *Semaphore) AcquireOwned(ctx context.Context) (Permit, error) {
	seg, self := attached("Semaphore.AcquireOwned", shm.Find(s))
	cells := s.celled()
	if len(cells) == 0 {
		if seg.Closed() {
			return Permit{}, failed("Semaphore.AcquireOwned", shm.ErrClosed) // we have seen a private page
		}
		return Permit{}, failed("Semaphore.AcquireOwned", fmt.Errorf("the maximum is %d, owned permits need 1 to %d: %w", s.max.Load(), MaxOwned, ErrTooManyHolders))
	}
	if s.bell.Load()&starving == 0 {
		if p, ok := s.own(cells, self); ok {
			shm.RaceAcquire(s)
			return p, nil
		}
	}
	return s.waitOwned(ctx, seg, cells, self)
}

func (s *Semaphore) waitOwned(ctx context.Context, seg *shm.Segment, cells []atomic.Uint64, self uint32) (p Permit, err error) {
	err = s.wait(ctx, seg, 1, func() (ok bool) { p, ok = s.own(cells, self); return ok })
	if err != nil {
		return Permit{}, failed("Semaphore.AcquireOwned", err)
	}
	shm.RaceAcquire(s)
	return p, nil
}

// TryAcquireOwned is AcquireOwned that does not wait: false if no permit is
// free or the permits of s have no owners.
func (s *Semaphore) TryAcquireOwned() (Permit, bool) {
	seg, self := attached("Semaphore.TryAcquireOwned", shm.Find(s))
	return s.tryOwned(seg, s.celled(), self)
}

func (s *Semaphore) tryOwned(seg *shm.Segment, cells []atomic.Uint64, self uint32) (p Permit, ok bool) {
	ok = s.try(seg, func() (ok bool) { p, ok = s.own(cells, self); return ok })
	if ok {
		shm.RaceAcquire(s)
	}
	return p, ok
}

// Permit is one permit of a Semaphore that this process holds. It is worth
// something in this process only.
type Permit struct {
	s    *Semaphore
	cell uint32
	held uint64 // what the cell says while we hold it
}

// Release gives the permit back. Any goroutine of the process that took it may
// do so. It panics if the permit was released before.
func (p Permit) Release() {
	if p.s == nil {
		panic("futexlock: Release of the zero Permit")
	}
	seg, _ := attached("Permit.Release", shm.Find(p.s))
	var stay shm.Stay // as in Semaphore.Release
	if stay.Note(seg, &p.s.bell) != nil {
		stray("Permit.Release")
	}
	shm.RaceRelease(p.s)
	// Pairs with the CAS in own.
	if !p.s.cells[p.cell].CompareAndSwap(p.held, freed(p.held)) {
		panic("futexlock: Release of a Permit that this process does not hold, or no longer")
	}
	if fault.Enabled {
		fault.Point("futexlock.semaphore.given")
	}
	if p.s.bell.Load()&waited != 0 { // pairs with the CAS in wait
		p.s.announceFrom(seg, &stay, 1)
	}
}

// Value returns how many permits are free. Without a pause in the traffic it is
// out of date when it returns.
func (s *Semaphore) Value() uint32 {
	cells := s.celled()
	if len(cells) == 0 {
		return s.value.Load()
	}
	n := uint32(0)
	for i := range cells {
		if permitState(cells[i].Load()) == permitFree {
			n++
		}
	}
	return n
}

// State describes s in a line for people, for instance "1 of 3 free, one owned by
// cook-1 (pid 12), waiters".
func (s *Semaphore) State() string {
	text := fmt.Sprintf("%d free", s.Value())
	if max := s.max.Load(); max != 0 {
		text = fmt.Sprintf("%d of %d free", s.Value(), max)
	}
	seg := shm.Look(s)
	for _, t := range s.owners() {
		if seg != nil {
			text += ", one owned by " + owner(seg, t).String()
		}
	}
	if s.bell.Load()&waited != 0 {
		text += ", waiters"
	}
	return text
}

// owners returns the holders of the owned permits.
func (s *Semaphore) owners() (all []shm.Token) {
	cells := s.celled()
	for i := range cells {
		if v := cells[i].Load(); permitState(v) == permitOwned {
			all = append(all, shm.Token(permitToken(v)))
		}
	}
	return all
}

func init() { register[Semaphore](kindSemaphore) }
