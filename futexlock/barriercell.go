package futexlock

import (
	"fmt"

	"shmkit/shm"
)

// join makes self a party of the epoch of v; false if there is no cell. If v is
// out of date the cells may be those of parties of a later epoch, which stay.
func (b *Barrier) join(seg *shm.Segment, v uint64, self uint32) bool {
	want := partyCell(v, self)
	at := shm.Token(self).Slot()
	for k := range b.cells {
		if b.cells[(at+k)%len(b.cells)].Load() == want {
			return true
		}
	}
	for k := range b.cells {
		c := &b.cells[(at+k)%len(b.cells)]
		for {
			old := c.Load()
			if old == want {
				return true // another goroutine of ours came meanwhile
			}
			if old != 0 && !earlier(uint32(old), barrierEpoch(v)) {
				break // another party's
			}
			if c.CompareAndSwap(old, want) {
				return true
			}
		}
	}
	return false
}

// roll calls the parties of the epoch of v. died: one is dead; dying: one is
// about to be proved dead. watch is one whose death the caller should listen
// for, another each turn.
func (b *Barrier) roll(w *watcher, v uint64, turn int) (watch shm.Token, died bool, dying shm.Token) {
	self := uint32(w.seg.Self())
	var others [BarrierProcesses]shm.Token
	n := 0
	for i := range b.cells {
		c := b.cells[i].Load()
		t := uint32(c >> 32)
		if c == 0 || uint32(c) != barrierEpoch(v) || t == self {
			continue
		}
		if w.gone(shm.Token(t)) {
			return 0, true, 0
		}
		if w.seg.Dying(shm.Token(t)) {
			dying = shm.Token(t)
		}
		others[n] = shm.Token(t)
		n++
	}
	if n > 0 {
		watch = others[turn%n]
	}
	return watch, false, dying
}

// forget empties the cells of epochs before this one. They count for nothing
// already; but epochs come again after 4,096 resets, and a party of one that was
// long dead then would be missed. A Reset that is killed before it has come
// here leaves that to the next.
func (b *Barrier) forget(epoch uint32) {
	for i := range b.cells {
		c := &b.cells[i]
		// Another Reset may have come since: parties of its epoch stay.
		for v := c.Load(); v != 0 && earlier(uint32(v), epoch); v = c.Load() {
			if c.CompareAndSwap(v, 0) {
				break
			}
		}
	}
}

// sweep breaks the barrier if dead was a party, be a round under way or not: of
// those that come for the next one, the last never calls the roll.
func (b *Barrier) sweep(_ *shm.Segment, dead uint32) {
	for i := range b.cells {
		v := b.cells[i].Load()
		if uint32(v>>32) != dead {
			continue
		}
		// The barrier first: killed between the two, we are run again.
		for s := b.state.Load(); uint32(v) == barrierEpoch(s) && s&barrierBroken == 0; s = b.state.Load() {
			if b.breakRound(barrierRound(s), barrierDied) {
				break
			}
		}
		b.cells[i].CompareAndSwap(v, 0)
	}
	// dead may have ended or broken a round and woken nobody.
	shm.Wake(low(&b.state), -1)
}

func (b *Barrier) check(s *shm.Segment) string {
	v := b.state.Load()
	if n, parties := barrierArrived(v), b.parties.Load(); n > parties || n == parties && n > 0 && v&(barrierActing|barrierBroken) == 0 {
		return fmt.Sprintf("%d of %d have arrived and the round is not over", n, parties)
	}
	for i := range b.cells {
		if wrong := checkHolder(s, uint32(b.cells[i].Load()>>32)); wrong != "" {
			return fmt.Sprintf("cell %d: %s", i, wrong)
		}
	}
	return ""
}

// State describes b in a line for people, for instance "round 7: 2 of 3 have
// arrived".
func (b *Barrier) State() string {
	v := b.state.Load()
	s := fmt.Sprintf("round %d: %d of %d have arrived", barrierRound(v), barrierArrived(v), b.parties.Load())
	switch {
	case b.parties.Load() == 0:
		return "not initialised"
	case v&barrierDied != 0:
		s += ", broken: a party died"
	case v&barrierBroken != 0:
		s += ", broken"
	case v&barrierActing != 0:
		s += ", the last runs its action"
	}
	return s
}
