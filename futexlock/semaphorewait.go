package futexlock

import (
	"context"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"shmkit/shm"
	"shmkit/shm/fault"
)

// What can be lost when a process is killed in a Semaphore.
//
//	killed                           leaves                       healed
//	Acquire, before its CAS          nothing
//	Acquire, after it                a permit taken by nobody     by nobody: that is what Acquire means
//	Acquire of several, gathering    cells in taking              whoever looks for permits, or the sweep
//	Acquire of several, taking them  some taken by nobody         by nobody
//	AcquireOwned, after its CAS      a cell that names it         whoever looks for permits, or the sweep
//	woken, before its CAS            a swallowed wake             the next ring, the sweep, a sleeper's slice
//	Release, permit free, not rung   sleepers                     the next ring, the sweep, a sleeper's slice
//	Release of several, gathering    cells in giving              as taking
//	rung, nobody woken               a flag too many              the next ring

var _ = fault.Declare(
	"futexlock.semaphore.gathered", "futexlock.semaphore.owned", "futexlock.semaphore.given",
	"futexlock.semaphore.waited", "futexlock.semaphore.woken", "futexlock.semaphore.reclaimed",
)

// take takes n permits, or none.
func (s *Semaphore) take(seg *shm.Segment, self, n uint32) bool {
	if s.max.Load() > MaxOwned || s.max.Load() == 0 {
		for {
			v := s.value.Load()
			if v < n {
				return false
			}
			if s.value.CompareAndSwap(v, v-n) {
				return true
			}
		}
	}
	if n == 1 {
		return change(s.celled(), self, 1, permitFree, func(v uint64) uint64 { return permitAs(v, permitOut, 0) }) == 1
	}
	return s.gather(seg, self, n, permitFree, permitTaking, permitOut)
}

// give frees n permits, or none.
func (s *Semaphore) give(seg *shm.Segment, self, n uint32) bool {
	if max := s.max.Load(); max > MaxOwned || max == 0 {
		if max == 0 {
			max = math.MaxUint32
		}
		for {
			v := s.value.Load()
			if n > max-min(v, max) {
				return false
			}
			if s.value.CompareAndSwap(v, v+n) {
				return true
			}
		}
	}
	if n == 1 {
		return change(s.celled(), self, 1, permitOut, freed) == 1
	}
	return s.gather(seg, self, n, permitOut, permitGiving, permitFree)
}

// change finds up to n cells in state from, from this process's place on, and
// applies f to each. It returns how many it changed.
func change(cells []atomic.Uint64, self, n uint32, from uint64, f func(uint64) uint64) (done uint32) {
	at := int(shm.Token(self).Slot())
	for k := range cells {
		if done == n {
			break
		}
		c := &cells[(at+k)%len(cells)]
		for v := c.Load(); permitState(v) == from; v = c.Load() {
			if c.CompareAndSwap(v, f(v)) {
				done++
				break
			}
		}
	}
	return done
}

// gather turns n cells from one state to another, all or none: first it puts
// its name on as many, in a state of passage, and then it lets them go one way
// or back. If others are gathering too and there are too few for both, it looks
// again for a moment, so that of two one gets through.
func (s *Semaphore) gather(seg *shm.Segment, self, n uint32, from, passage, to uint64) bool {
	cells := s.celled()
	if n > uint32(len(cells)) {
		return false
	}
	for try := 0; ; try++ {
		mine := permitAs(0, passage, self) &^ permitTurns
		got := change(cells, self, n, from, func(v uint64) uint64 { return v&permitTurns | mine })
		if fault.Enabled {
			fault.Point("futexlock.semaphore.gathered")
		}
		next := to
		if got < n {
			next = from
		}
		if !letGo(cells, got, mine, next) {
			return false
		}
		if got == n {
			return true
		}
		if got > 0 && from == permitFree {
			s.announce(got) // who looked meanwhile saw them taken
		}
		if try >= 8 || !s.passing(seg, self, passage) {
			return false
		}
		shm.Pause(4 << min(try, 3))
	}
}

// letGo turns n of the cells that hold mine into next. Another goroutine of this
// process may be at the same: we let go of as many as we took, whichever they
// are. It returns false if they are not to be found: Init, or Close, has made
// others of them under us.
func letGo(cells []atomic.Uint64, n uint32, mine, next uint64) bool {
	for idle := 0; n > 0; idle++ {
		for i := range cells {
			v := cells[i].Load()
			if n > 0 && v&^permitTurns == mine && cells[i].CompareAndSwap(v, permitAs(v, next, 0)) {
				n--
				idle = 0
			}
		}
		// There are always as many as those who gather have still to let
		// go, but a single look can miss one that others just exchange.
		if idle == 1000 {
			return false
		}
	}
	return true
}

// passing reports whether a living process has cells in that state.
func (s *Semaphore) passing(seg *shm.Segment, self uint32, passage uint64) bool {
	cells := s.celled()
	for i := range cells {
		v := cells[i].Load()
		if permitState(v) == passage && !seg.Dead(shm.Token(permitToken(v))) {
			return true
		}
	}
	return false
}

// own takes one permit in the name of self.
func (s *Semaphore) own(cells []atomic.Uint64, self uint32) (Permit, bool) {
	at := int(shm.Token(self).Slot())
	for k := range cells {
		i := (at + k) % len(cells)
		for v := cells[i].Load(); permitState(v) == permitFree; v = cells[i].Load() {
			// Pairs with the CAS in Permit.Release.
			if held := ownedBy(v, self); cells[i].CompareAndSwap(v, held) {
				if fault.Enabled {
					fault.Point("futexlock.semaphore.owned")
				}
				return Permit{s, uint32(i), held}, true
			}
		}
	}
	return Permit{}, false
}

// try takes permits by take without waiting. Those of the dead are free too: a
// caller that only tries may be the only one who looks.
func (s *Semaphore) try(seg *shm.Segment, take func() bool) bool {
	if !s.mayTry() {
		return false
	}
	if take() {
		return true
	}
	s.reclaim(&watcher{seg: seg, ask: due(&s.bell)})
	return take()
}

// wait waits until take, which wants n permits, succeeds.
func (s *Semaphore) wait(ctx context.Context, seg *shm.Segment, n uint32, take func() bool) error {
	var stay shm.Stay
	if err := stay.Enter(seg, &s.bell); err != nil {
		return err
	}
	defer stay.Leave()
	err := s.sleep(ctx, seg, &stay, n, take)
	if err == nil {
		_, err = unlessClosed(seg, &stay, false)
	}
	return err
}

func (s *Semaphore) sleep(ctx context.Context, seg *shm.Segment, stay *shm.Stay, n uint32, take func() bool) error {
	if err := ctx.Err(); err != nil {
		if s.try(seg, take) {
			return nil
		}
		return err
	}
	if s.mayTry() && take() {
		return nil
	}
	start := time.Now()
	if err := seg.Lead(ctx, &s.bell); err != nil {
		return err
	}
	defer seg.Unlead(&s.bell)
	w := watchFor(ctx, seg, stay, &s.bell)
	entitled, lost := false, false
	for {
		v := s.bell.Load()
		long := time.Since(start) >= longWait
		want := v | waited
		if n > 1 {
			want |= bellLarge
		}
		if long {
			want |= starving
		}
		if want != v && !s.bell.CompareAndSwap(v, want) {
			continue
		}
		if fault.Enabled {
			fault.Point("futexlock.semaphore.waited")
		}
		// The flag is up: whatever is freed from here on rings. Pairs with
		// the load in announce.
		watch, dying := s.reclaim(&w)
		// The flag holds back newcomers, not those who have waited.
		if (v&starving == 0 || entitled || long) && take() {
			if v&starving != 0 && (lost || !long) {
				s.calm()
			}
			// The bell woke no more than there were permits; but some of
			// them we, or newcomers held back, may have left lying.
			if want&(starving|bellLarge) != 0 && s.Value() > 0 {
				s.announce(1)
			}
			return nil
		}
		if w.pause(ctx, dying) {
			lost = true
			continue
		}
		why, err := w.sleep(ctx, &s.bell, want, watch)
		if fault.Enabled {
			fault.Point("futexlock.semaphore.woken")
		}
		if err != nil {
			// The ring that we may have heard was for somebody.
			if s.Value() > 0 {
				s.announce(1)
			}
			return err
		}
		entitled = why != shm.Changed
		lost = why == shm.Timeout || why == shm.Died
	}
}

// calm takes starving off the bell. Its seq changes, so that whoever is about
// to sleep on account of the flag looks again.
func (s *Semaphore) calm() {
	for {
		v := s.bell.Load()
		if v&starving == 0 || s.bell.CompareAndSwap(v, rung(v)&^starving) {
			return
		}
	}
}

// reclaim frees the permits of dead processes. It returns a holder whose death
// the caller should watch, and one that is about to be proved dead.
func (s *Semaphore) reclaim(w *watcher) (watch, dying shm.Token) {
	cells := s.celled()
	for i := range cells {
		v := cells[i].Load()
		t := shm.Token(permitToken(v))
		if t == 0 {
			continue
		}
		if w.gone(t) {
			s.bequeath(&cells[i], v)
			continue
		}
		if t != w.seg.Self() {
			watch = t
		}
		if w.seg.Dying(t) {
			dying = t
		}
	}
	return watch, dying
}

// bequeath frees the permit in c, which names a dead process.
func (s *Semaphore) bequeath(c *atomic.Uint64, v uint64) {
	n, free := bequeathed(v)
	if !c.CompareAndSwap(v, n) {
		return
	}
	if fault.Enabled {
		fault.Point("futexlock.semaphore.reclaimed")
	}
	if free {
		s.announce(1)
	}
}

// sweep frees the permits of dead, and wakes everybody in case dead swallowed a
// wake or owed one.
func (s *Semaphore) sweep(_ *shm.Segment, dead uint32) {
	cells := s.celled()
	for i := range cells {
		if v := cells[i].Load(); permitToken(v) == dead {
			s.bequeath(&cells[i], v)
		}
	}
	alarm(&s.bell)
}

func (s *Semaphore) check(seg *shm.Segment) string {
	max := s.max.Load()
	if v := s.value.Load(); max > MaxOwned && v > max {
		return fmt.Sprintf("value %d above the maximum %d", v, max)
	}
	cells := s.celled()
	for i := range cells {
		v := cells[i].Load()
		if permitState(v) > permitGiving {
			return fmt.Sprintf("cell %d is in no known state: %#x", i, v)
		}
		if wrong := checkHolder(seg, permitToken(v)); wrong != "" {
			return fmt.Sprintf("cell %d: %s", i, wrong)
		}
	}
	return ""
}
