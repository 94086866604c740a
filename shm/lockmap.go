package shm

import "fmt"

// lockAt is an entry of the lock map, read once and checked.
type lockAt struct {
	kind               uint32
	off, stride, count uint64
}

// lockEntries returns the sound entries of the lock map.
func (c *core) lockEntries() []lockAt {
	n := min(int(c.wall.lockMapLen.Load()), lockMapCap)
	var all []lockAt
	for i := range n {
		e := &c.locks[i]
		k := e.kind.Load() // pairs with the store in addLock
		if k == 0 {
			continue
		}
		a := lockAt{k, e.off, e.stride, e.count}
		size := uint64(1)
		if kd := kindByID(k); kd != nil && kd.Type != nil {
			size = uint64(kd.Type.Size())
		}
		// A peer may have damaged the entry: nothing outside the payload.
		if a.count == 0 || a.off > c.hdr.dataSize || size > c.hdr.dataSize-a.off {
			continue
		}
		if a.count > 1 && (a.stride < size || (c.hdr.dataSize-a.off-size)/a.stride < a.count-1) {
			continue
		}
		all = append(all, a)
	}
	return all
}

// addLocks makes the locks of n values of layout l from off on known to the
// sweep, unless they are known already.
func (c *core) addLocks(l Layout, off, n int) error {
	for _, lk := range l.locks {
		switch {
		case n == 1:
			if err := c.addLock(lockAt{lk.kind, uint64(off) + lk.off, lk.stride, lk.count}); err != nil {
				return err
			}
		case lk.count == 1:
			if err := c.addLock(lockAt{lk.kind, uint64(off) + lk.off, uint64(l.Size), uint64(n)}); err != nil {
				return err
			}
		default: // an array of locks in each of n values: one entry for each place in the array
			for i := range lk.count {
				if err := c.addLock(lockAt{lk.kind, uint64(off) + lk.off + i*lk.stride, uint64(l.Size), uint64(n)}); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (c *core) addLock(a lockAt) error {
	for _, e := range c.lockEntries() {
		if e.kind == a.kind && covers(e, a) {
			return nil
		}
	}
	i := c.wall.lockMapLen.Add(1) - 1
	if i >= lockMapCap {
		c.wall.lockMapLen.Add(^uint32(0))
		return fmt.Errorf("shm: more than %d groups of locks in one segment", lockMapCap)
	}
	e := &c.locks[i]
	e.off, e.stride, e.count = a.off, a.stride, a.count
	// Publishes the entry. Pairs with the load in lockEntries. Killed before,
	// we leave an empty entry, and our locks are not swept: nobody else can
	// have used them.
	e.kind.Store(a.kind)
	return nil
}

// covers reports whether every lock of a is one of e.
func covers(e, a lockAt) bool {
	within := func(off uint64) bool {
		if off < e.off {
			return false
		}
		d := off - e.off
		return d == 0 || e.stride != 0 && d%e.stride == 0 && d/e.stride < e.count
	}
	return within(a.off) && within(a.off+(a.count-1)*a.stride) && (a.count == 1 || e.stride != 0 && a.stride%e.stride == 0)
}
