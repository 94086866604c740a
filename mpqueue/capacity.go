package mpqueue

import "sync/atomic"

// leased returns how many items are out on lease, over all participants.
func (q *core) leased() (n uint64) {
	for i := 1; i <= q.seg.Slots(); i++ {
		n += uint64(q.seg.Cell(i, cellLeases).Load())
	}
	return n
}

// cellLeases is the word of a participant's slot that counts its leases. Only
// that process writes it, and the sweep of the process. An item is counted before
// its slot is free, and until it is free itself or marked as an orphan and
// announced as such.
const cellLeases = 0

// cellReserved counts the reservations of a participant in the same way: from
// before one is granted until its slot is claimed, or it is given up.
const cellReserved = 1

func (q *core) cell(i int) *atomic.Uint32 { return q.seg.Cell(q.seg.Self().Slot(), i) }

// reserved returns how many reservations there are, over all participants.
func (q *core) reserved() (n uint64) {
	for i := 1; i <= q.seg.Slots(); i++ {
		n += uint64(q.seg.Cell(i, cellReserved).Load())
	}
	return n
}

func (q *core) countLease()   { q.leaseCell.Add(1) }
func (q *core) uncountLease() { q.leaseCell.Add(^uint32(0)) }

// outside returns how many items are out of the ring: leased, or left by somebody
// who died with them.
func (q *core) outside() uint64 {
	r := q.reserved()
	n := q.leased()
	epoch := q.orphans.Load() // after the leases: a lease that ends as an orphan is announced first
	if epoch == q.clean.Load() {
		return r + n
	}
	n, orphans := q.countLeases()
	if orphans == 0 {
		q.clean.Store(epoch)
	}
	return r + n
}

// leasedFull reports whether the items out of the ring leave no room for position
// p, although its slot is free: they count against the capacity. An item on its
// way out is counted in both places; if that matters the answer is busy.
func (q *core) leasedFull(p uint64) (claim, outcome) {
	sum := p + q.reserves.Load() // before everything
	if int64(sum-q.limit.Load()) < 0 {
		return claim{}, claimed
	}
	h, s, w := q.unreleased(p) // before the others: an item moves from here to there
	n := q.outside()
	if p-h+n < q.geo.capacity {
		// Items change their place, but there will be more of them only by
		// further puts and reservations, and both are counted, by everybody.
		q.limit.Store(sum + q.geo.capacity - (p - h + n))
		return claim{}, claimed
	}
	moving := uint64(0)
	for k := h; k != p; k++ {
		i, lap := q.geo.locate(k)
		w := q.slot(i).word.Load()
		if d := lapsAhead(w, lap); d > 0 || d == 0 && stateOf(w) == reading {
			moving++
		} else if stateOf(w) != orphan {
			break // nobody takes what comes after
		}
	}
	if p-h+n-moving < q.geo.capacity {
		return claim{slot: s, pos: h, word: w}, busy
	}
	return claim{slot: s, pos: h, word: w}, full
}

// unreleased returns the first position before p that has not been released, its
// slot and what it holds; p if there is none. Every position before p is claimed.
func (q *core) unreleased(p uint64) (uint64, *slot, uint64) {
	h := q.gone.Load()
	if r := q.control.released.Load(); int64(r-h) > 0 {
		h = r
	}
	if p-h > q.geo.capacity { // or p is before h, as others were faster
		// Whoever claimed p-1 found the place a lap before that released, if there is one.
		h = p - min(q.geo.capacity, p-q.geo.first)
	}
	for {
		i, lap := q.geo.locate(h)
		s := q.slot(i)
		w := s.word.Load()
		if h == p || lapsAhead(w, lap) <= 0 {
			q.gone.Store(h)
			return h, s, w
		}
		h++
	}
}

// settledHead returns the first position from the hint on that has not been
// released, its slot and what it holds, and raises the hint to it.
func (q *core) settledHead() (uint64, *slot, uint64) {
	p := q.control.head.Load()
	for probes := uint64(0); ; probes++ {
		i, lap := q.geo.locate(p)
		s := q.slot(i)
		w := s.word.Load()
		d := lapsAhead(w, lap)
		if d <= 0 || probes > q.geo.searchMost() {
			raise(&q.control.head, p)
			return p, s, w
		}
		if d > 2 { // as in claimGet
			p += uint64(d-2) * q.geo.capacity
		}
		p++
	}
}

// length counts the items that wait to be delivered, among them those to be
// delivered again.
func (q *core) length() int {
	var n uint64
	if q.seg.Closed() {
		return 0 // there is nothing to be seen any more
	}
	end := q.claimedEnd()
	// Not from the head: what is to be delivered again may lie before it.
	for p, _, _ := q.unreleased(end); p != end; p++ {
		i, lap := q.geo.locate(p)
		w := q.slot(i).word.Load()
		if lapsAhead(w, lap) == 0 && (stateOf(w) == ready || stateOf(w) == orphan) {
			n++
		}
	}
	if q.orphans.Load() != 0 {
		_, orphans := q.countLeases()
		n += orphans
	}
	return int(min(n, q.geo.capacity))
}

// readable reports whether a consumer would find something to do.
func (q *core) readable() bool {
	p, _, w := q.settledHead()
	for k := range q.geo.capacity {
		i, lap := q.geo.locate(p + k)
		w = q.slot(i).word.Load()
		if lapsAhead(w, lap) <= 0 && stateOf(w) != reading {
			break // the first position that nobody has taken
		}
	}
	st := stateOf(w)
	return st == ready || st == orphan || st == sealed || q.orphans.Load() != q.seen.Load()
}

// writable reports whether a producer would find a place.
func (q *core) writable() bool {
	p := q.tail.Load()
	i, lap := q.geo.locate(p)
	return lapsAhead(q.slot(i).word.Load(), lap) >= 0
}
