package shm

import (
	"fmt"
	"io/fs"
)

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
		if a.sound(c.hdr.dataSize) {
			all = append(all, a)
		}
	}
	return all
}

// sound reports whether all locks of a lie within total bytes, where locks of their
// kind can lie: a peer may have damaged the entry.
func (a lockAt) sound(total uint64) bool {
	size, align := uint64(1), uint64(1)
	if k := kindByID(a.kind); k != nil && k.Type != nil {
		size, align = uint64(k.Type.Size()), uint64(k.Type.Align())
	}
	if a.count == 0 || size > total || a.off > total-size || a.off%align != 0 {
		return false
	}
	return a.count == 1 || a.stride >= size && a.stride%align == 0 && (total-a.off-size)/a.stride >= a.count-1
}

// addLocks makes the locks of n values of layout l from off on known to the
// sweep, unless they are known already.
func (c *core) addLocks(l Layout, off, n int) (err error) {
	for _, lk := range l.locks {
		lk.off += uint64(off)
		spreadLocks(lk, uint64(l.Size), n, func(e lockAt) {
			if err == nil {
				err = c.addLock(e)
			}
		})
	}
	return err
}

// spreadLocks gives put the entries for the locks lk of one value, in n values
// of size bytes: an array of locks in each of n values is one entry for each
// place in the array.
func spreadLocks(lk lockAt, size uint64, n int, put func(lockAt)) {
	switch {
	case n == 0:
	case n == 1:
		put(lk)
	case lk.count == 1:
		put(lockAt{lk.kind, lk.off, size, uint64(n)})
	default:
		for i := range lk.count {
			put(lockAt{lk.kind, lk.off + i*lk.stride, size, uint64(n)})
		}
	}
}

func (c *core) addLock(a lockAt) error {
	for _, e := range c.lockEntries() {
		if e.kind == a.kind && covers(e, a) {
			return nil
		}
	}
	if c.self == nobody {
		return fmt.Errorf("shm: a lock at offset %d of a segment that this process only looks at: %w", a.off, fs.ErrPermission)
	}
	i := c.wall.lockMapLen.Load()
	for ; ; i = c.wall.lockMapLen.Load() {
		if i >= lockMapCap {
			return fmt.Errorf("shm: more than %d groups of locks in one segment", lockMapCap)
		}
		if c.wall.lockMapLen.CompareAndSwap(i, i+1) {
			break
		}
	}
	e := &c.locks[i]
	e.off, e.stride, e.count = a.off, a.stride, a.count
	// Publishes the entry. Pairs with the load in lockEntries. Killed before,
	// we leave an empty entry, and our locks are not swept: nobody else can
	// have used them.
	e.kind.Store(a.kind)
	return nil
}

// sweptLocks returns the locks that the participant in slot i may have used; a
// visitor may have taken over any.
func (c *core) sweptLocks(i int) []lockAt {
	if i == 0 {
		return c.allLocks()
	}
	all := c.lockEntries()
	if c.arena != nil {
		c.arena.each(i, func(b uint32) { all = append(all, c.arena.sweptLocks(b)...) })
	}
	return all
}

// allLocks returns the locks that some participant may use.
func (c *core) allLocks() []lockAt {
	all := c.lockEntries()
	if c.arena != nil {
		for b := range c.arena.blocks {
			if c.arena.heldByAny(b) {
				all = append(all, c.arena.sweptLocks(b)...)
			}
		}
	}
	return all
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
