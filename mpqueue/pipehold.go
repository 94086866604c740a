package mpqueue

import (
	"fmt"
	"io"

	"shmkit/shm"
	"shmkit/shm/fault"
)

// Who holds an end of a pipe:
//
//	a process with an open Conn of it        a count in the process's cell (shm.Segment.Cell),
//	                                         which only the process writes
//	a handle on its way to a process         a grant of a process that lives, see pipegrant.go
//
// When nobody does, the end is gone, for good. The hold word of an end says so:
//
//	bit    name     meaning                          set by                      cleared by
//	0      gone     nobody holds the end             who has looked at all of    nobody
//	                                                 them and found none (CAS)
//	31..1  changes  grows whenever a hold is added
//
// To look at all of them is not one step. While one looks, a hold can move from a
// place not yet looked at to one looked at already: the child takes its hold and
// the grant disappears. In between the word changes, so the CAS that declares the
// end gone fails, and one looks again. And who adds a hold just after the CAS
// finds gone in the word that it changes, and gives it up.
const (
	holdGone   = 1 << 0
	holdChange = 1 << 1
)

// Cells of participants that a pipe uses: how many open Conns of an end a process
// has.
const cellHolds = 0 // + end

var _ = fault.Declare("mpqueue.pipe.acquired", "mpqueue.pipe.dropped")

// errEndGone is returned to who opens an end that was given up by all.
var errEndGone = fmt.Errorf("nobody held this end of the pipe any more: %w", io.ErrClosedPipe)

// acquire makes this process hold an end, once more.
func (p *pipeCore) acquire(end int) error {
	cell := p.seg.Cell(p.seg.Self().Slot(), cellHolds+end)
	cell.Add(1)
	if fault.Enabled {
		fault.Point("mpqueue.pipe.acquired")
	}
	if p.ctl.hold[end].Add(holdChange)&holdGone != 0 {
		cell.Add(^uint32(0))
		return errEndGone
	}
	return nil
}

// drop gives a hold of this process up, and returns how many are left.
func (p *pipeCore) drop(end int) (left uint32) {
	left = p.seg.Cell(p.seg.Self().Slot(), cellHolds+end).Add(^uint32(0))
	if fault.Enabled {
		fault.Point("mpqueue.pipe.dropped")
	}
	p.declare(end)
	return left
}

// gone reports whether an end has been declared gone.
func (p *pipeCore) gone(end int) bool { return p.ctl.hold[end].Load()&holdGone != 0 }

// declare declares an end gone if nobody holds it, and tells everybody.
func (p *pipeCore) declare(end int) {
	word := &p.ctl.hold[end]
	for {
		v := word.Load()
		if v&holdGone != 0 {
			return
		}
		if n, _ := p.holders(end); n > 0 {
			return
		}
		if word.CompareAndSwap(v, v|holdGone) {
			p.wakeAll()
			return
		}
	}
}

// holders counts who holds an end, 2 at most, and returns one process of them. The
// dead, whose last store is past, hold nothing.
func (p *pipeCore) holders(end int) (n int, one shm.Token) {
	for i := 1; i <= p.seg.Slots() && n < 2; i++ {
		if p.seg.Cell(i, cellHolds+end).Load() == 0 {
			continue
		}
		if t := p.seg.Current(i); !p.seg.Dead(t) {
			n, one = n+1, t
		}
	}
	for i := range p.ctl.grants {
		if n >= 2 {
			break
		}
		g := grant(p.ctl.grants[i].Load())
		if g != 0 && g.end() == end && !p.seg.Dead(g.from()) {
			n, one = n+1, g.from()
		}
	}
	return n, one
}

// only returns the process that alone holds an end, 0 if there are several: whose
// death is worth watching.
func (p *pipeCore) only(end int) shm.Token {
	n, t := p.holders(end)
	if n != 1 || t == p.seg.Self() {
		return 0
	}
	return t
}
