package mpqueue

import "shmkit/shm"

// The end of a ring. CloseSend may come from any process, while the producer
// puts: then producer and consumer must agree on which item was the last.
//
// Both look at the closed flag after they have done their part. A producer that
// finds it set after it published from … to, and a consumer that finds it set
// and too little in the ring, which is written up to position w, propose the end:
// the one by end: 0 → to, the other by end: 0 → w. The CAS that succeeds
// decides.
//
//	the producer saw no flag        its items are visible to the consumer
//	                                before that proposes (see fenceFor)
//	the producer's CAS succeeded    its items count; the consumer takes them
//	the consumer's CAS succeeded    if w is from, the put never was: it returns
//	                                ErrClosed; if w is to, its items count
//	a kill between put and CAS      the items are there: the consumer takes them
//
// A position is stored doubled and odd, so that 0 means undecided.
func endAt(p uint64) uint64 { return p<<1 | 1 }

// closeSend says that nothing more will be put.
func (c *ringCore) closeSend() error {
	if c.seg.Closed() {
		return shm.ErrClosed
	}
	c.ctl.sendState.Or(ringClosed)
	signalAll(&c.ctl.notEmpty)
	signalAll(&c.ctl.notFull)
	return nil
}

// settle is the producer's part, after it has published from … to.
func (c *ringCore) settle(from, to uint64) error {
	if c.ctl.end.CompareAndSwap(0, endAt(to)) || c.ctl.end.Load() != endAt(from) {
		return nil
	}
	c.in.next = from
	c.ctl.write.Store(from)
	return ErrClosed
}

// lastItems is the consumer's part: it has found the ring closed, and fewer than
// n items. It returns as items does, and ErrClosed if there will never be n.
func (c *ringCore) lastItems(n uint64) (bool, error) {
	if c.ctl.end.Load() == 0 {
		// What a producer put that saw no flag must be visible now.
		c.fenceFor(&c.out)
		if ok, err := c.items(n); ok || err != nil {
			return ok, err
		}
		c.ctl.end.CompareAndSwap(0, endAt(c.out.limit))
	}
	if ok, err := c.items(n); ok || err != nil {
		return ok, err
	}
	if c.ctl.end.Load() == endAt(c.out.limit) {
		return false, ErrClosed
	}
	return false, nil
}

// beforeEnd cuts the write position w, as seen from the read position r, at the
// end of the ring: behind it can be a put that came too late and is about to be
// taken back.
func (c *ringCore) beforeEnd(r, w uint64) uint64 {
	if e := c.ctl.end.Load(); e != 0 {
		left := (e>>1 - r) & (1<<63 - 1)
		return r + min(w-r, left)
	}
	return w
}
