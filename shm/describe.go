package shm

// Item is something in a segment that has a kind of its own: a lock, or the
// contents of the segment as a whole.
type Item struct {
	Offset int    // from the start of the payload
	Kind   string // "futexlock.Mutex"
	State  string // "locked by cook-1 (pid 12), waiters"; "" if the kind has nothing to say
	// Counters are what it has counted, if its kind counts.
	Counters []Counter
}

// Describe lists what lies in s and what it is doing, for people: between the
// look and the use everything may have changed. Arrays of more than 1,000 locks
// are cut there.
func Describe(s *Segment) []Item {
	c := s.core
	if !c.enter() {
		return nil
	}
	defer c.leave()
	const most = 1000
	var all []Item
	describe := func(e lockAt) {
		k := kindByID(e.kind)
		for i := range min(e.count, most) {
			it := Item{Offset: int(e.off + i*e.stride), Kind: kindName(e.kind)}
			if k != nil && k.Describe != nil {
				it.State = k.Describe(s, uint64(it.Offset))
			}
			if k != nil && k.Counters != nil {
				it.Counters = k.Counters(s, uint64(it.Offset))
			}
			all = append(all, it)
		}
	}
	if k := c.ownKind(); k != nil && (k.Describe != nil || k.Counters != nil) {
		describe(lockAt{kind: c.hdr.kind, count: 1})
	}
	for _, e := range c.allLocks() {
		describe(e)
	}
	return all
}
