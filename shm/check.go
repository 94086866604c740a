package shm

import (
	"fmt"

	"shmkit/shm/internal/sys"
)

// Check looks at a segment as a whole and reports everything that does not add
// up: a header that no longer matches what was attached, slots in no known
// state, living processes without their lock, and what the kinds of its contents
// find. Operations that other processes have in progress can look like damage;
// check when they rest. shmctl check and the tests run it.
func Check(s *Segment) []error {
	c := s.core
	if !c.enter() {
		return []error{wrap("check", s.Name(), ErrClosed)}
	}
	defer c.leave()
	var errs []error
	h, err := readHeader(c.file)
	if err != nil {
		errs = append(errs, wrap("check", s.Name(), err))
	} else if h != c.hdr {
		errs = append(errs, fmt.Errorf("shm: check %q: the header has changed since it was attached: %w", s.Name(), ErrCorrupt))
	}
	for i := range len(c.table) + 1 {
		if err := c.checkSlot(i); err != nil {
			errs = append(errs, err)
		}
	}
	if n := c.wall.lockMapLen.Load(); n > lockMapCap {
		errs = append(errs, &CorruptError{wallOffset, "length of the lock map", uint64(n), lockMapCap})
	}
	if c.arena != nil {
		errs = append(errs, c.arena.check()...)
	}
	run := func(k *Kind, e lockAt) {
		switch {
		case k == nil:
			errs = append(errs, fmt.Errorf("shm: check %q: kind %d: %w", s.Name(), e.kind, ErrUnknownKind))
		case k.Check != nil:
			errs = append(errs, k.Check(s, e.off, e.stride, e.count)...)
		}
	}
	run(c.ownKind(), lockAt{kind: c.hdr.kind, count: 1})
	for _, e := range c.allLocks() {
		run(kindByID(e.kind), e)
	}
	return errs
}

func (c *core) checkSlot(i int) error {
	s := c.slot(i)
	st := s.status.Load()
	where := int64(slotOffset + (i-1)*slotSize)
	switch statusState(st) {
	case slotFree:
		return nil
	case slotLive, slotClaiming:
		if i == c.me && c.self != nobody {
			return nil
		}
		held, err := sys.BytesHeld(c.file, lockBase+int64(i), 1)
		if err == nil && !held && s.status.Load() == st {
			return fmt.Errorf("shm: participant %v (pid %d) is gone and has not been swept", makeToken(i, statusInc(st)), s.pid.Load())
		}
		return err
	case slotDead:
		return fmt.Errorf("shm: participant %v (pid %d) is dead and has not been swept", makeToken(i, statusInc(st)), s.pid.Load())
	}
	return &CorruptError{where + 12, "status of a slot", uint64(st), slotFree}
}

// CheckAll runs Check on every segment that this process is attached to.
func CheckAll() []error {
	registry.mu.Lock()
	var all []*Segment
	for _, c := range registry.byIno {
		if c.refs > 0 {
			c.refs++
			all = append(all, &Segment{core: c})
		}
	}
	registry.mu.Unlock()
	var errs []error
	for _, s := range all {
		errs = append(errs, Check(s)...)
		if err := s.Close(); err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}
