package shm

// What a sweep does in an arena. The locks that a dead participant may have used are
// in the blocks of its row, and the row keeps those blocks until it is cleared, which
// comes last.

// sweptLocks returns the locks in block b, in which the row of a dead process has a
// bit. That one may have come too late, and have set its bit when the owner had
// looked: then the block is being described, and nothing of the dead one is in it. If
// the bit came earlier the owner has seen it, and leaves the block alone until the
// row is cleared.
func (a *arena) sweptLocks(b uint32) []lockAt {
	if a.descs[b].gen.Load()&taking != 0 {
		return nil
	}
	return a.locks(b)
}

// eachHeld calls f with the locks of every block that somebody holds. This process
// holds the block meanwhile: what a dead visitor used is in no row that would keep
// it, and behind f's back it could become another object's.
func (a *arena) eachHeld(f func([]lockAt)) {
	for b := range a.blocks {
		if a.heldByAny(b) {
			a.whileHeld(b, f)
		}
	}
}

func (a *arena) whileHeld(b uint32, f func([]lockAt)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	w, m := a.bit(a.core.me, b)
	if w.Load()&m == 0 {
		w.Or(m)
		defer w.And(^m)
	}
	f(a.sweptLocks(b))
}

// clearRow takes a swept participant's hold of everything away.
func (a *arena) clearRow(i int) {
	for k := range a.row(i) {
		a.row(i)[k].Store(0)
	}
}
