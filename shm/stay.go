package shm

import "sync/atomic"

// A Stay is the time that a goroutine spends in the slow path of a lock. A block
// of an arena may become another object's as soon as its last holder has closed
// it: so Close, when it has told those who wait, waits until every stay in the
// block is over. In a segment of its own a closed object turns into a private page
// of zeros, which no stay can harm; there a Stay costs nothing and holds up nobody.
//
// Close waits for a stay, so a stay must end soon after Closed says true, and no
// code of a user's may run in it. The zero Stay has not begun. One goroutine uses a
// Stay.
type Stay struct {
	pass    *passage
	life    uint64
	counted bool // pass counts us: it is a block's
	in      bool
}

// Enter begins a stay at word, which lies in s; it does nothing if the stay has
// begun already. After a Leave it begins it again, in the same object. It returns
// ErrClosed if this process has closed what word lies in, be that opened again
// since.
func (y *Stay) Enter(s *Segment, word *atomic.Uint32) error {
	switch {
	case y.in:
	case y.pass == nil:
		if y.pass = s.core.passageAt(word); y.pass == nil {
			return ErrClosed
		}
		if y.counted = s.core.arena != nil; y.counted {
			y.life, y.in = y.pass.enter()
		} else {
			y.in = !y.Closed() // a segment has one life, the first
		}
	case y.counted:
		y.in = y.pass.again(y.life)
	default:
		y.in = !y.Closed()
	}
	if !y.in {
		return ErrClosed
	}
	return nil
}

// Leave ends the stay, if it has begun.
func (y *Stay) Leave() {
	if y.in && y.counted {
		y.pass.leave()
	}
	y.in = false
}

// Closed reports whether this process closes, or has closed, what the stay is in;
// false for a stay that has never begun.
func (y *Stay) Closed() bool {
	return y.pass != nil && y.pass.word.Load()&^passageInside != y.life
}

// passageAt returns the passage of what word lies in: the segment, or a block of
// it; nil if it is a block that this process has not open.
func (c *core) passageAt(word *atomic.Uint32) *passage {
	if c.arena == nil {
		return &c.slow
	}
	b, ok := c.arena.blockOf(c.offsetOf(word))
	if !ok {
		return nil
	}
	h := &c.arena.held[b]
	if h.handles.Load() == 0 {
		return nil
	}
	return &h.pass
}
