package mpqueue

// Stats says what a queue has done so far, over all processes.
type Stats struct {
	Puts        uint64 // messages put, and places given up by producers that died
	Gets        uint64 // of those, how many have left the ring
	Len         int    // items that wait to be delivered
	Leased      int    // items received and not done, or waiting for room in the dead-letter queue
	Reserved    int    // places reserved and not committed
	Redelivered uint64 // deliveries that a death or a Requeue has repeated
	Aborted     uint64 // messages whose producer died while it wrote them
	Dropped     uint64 // messages that reached WithMaxDeliveries, and that no dead-letter queue took
	Closed      bool   // nothing more can be put
}

// Stats looks at the queue; after Close all is zero. Puts and Gets come from positions: counting costs
// nothing on the hot paths.
func (q *Queue[T]) Stats() Stats {
	c := q.q
	if c.seg.Closed() {
		return Stats{}
	}
	end := c.claimedEnd()
	h, _, _ := c.unreleased(end)
	return Stats{
		Puts: end - c.geo.first, Gets: h - c.geo.first,
		Len: c.length(), Leased: int(c.leased()), Reserved: int(c.reserved()),
		Redelivered: c.redelivered.Load(), Aborted: c.aborted.Load(), Dropped: c.dropped.Load(),
		Closed: c.control.closed.Load() != 0,
	}
}
