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

// Note is for what may have to be followed by a stay, but mostly is not: a step
// that lets another goroutine of this process close the object. It notes what word,
// which lies in s, is part of. The first Enter after it begins the stay there or, if
// this process has closed that since, not at all. It costs no atomic change. It
// returns ErrClosed if word lies in a block that this process has not open.
func (y *Stay) Note(s *Segment, word *atomic.Uint32) error {
	if s.core.arena == nil {
		y.pass = &s.core.slow // it has one life, the first
		return nil
	}
	return y.noteBlock(s.core, word)
}

func (y *Stay) noteBlock(c *core, word *atomic.Uint32) error {
	p := c.passageAt(word)
	if p == nil {
		return ErrClosed
	}
	life := p.word.Load() &^ passageInside
	if life&passageShut != 0 {
		return ErrClosed
	}
	y.pass, y.life, y.counted = p, life, true
	return nil
}

// Enter begins a stay at word, which lies in s; it does nothing if the stay has
// begun already. After a Leave, or a Note, it begins it in the same object. It
// returns ErrClosed if this process has closed what word lies in, be that opened
// again since.
func (y *Stay) Enter(s *Segment, word *atomic.Uint32) error {
	if y.in {
		return nil
	}
	if y.pass == nil {
		if err := y.Note(s, word); err != nil {
			return err
		}
	}
	if y.in = !y.counted && !y.Closed() || y.counted && y.pass.enterLife(y.life); !y.in {
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
