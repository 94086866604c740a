package futexlock

import (
	"context"
	"math/bits"
	"sync/atomic"

	"shmkit/shm"
	"shmkit/shm/fault"
)

// A lane is the short way in and out for the readers of one process, beside the
// cell of the same number: an addition in, an addition out, no look at the gate.
//
//	bits    name     meaning                            changed by
//	63      guard    less than none, and not open       readers, see leftLane
//	62      open     readers may come in by this lane   set: a reader of the process that is inside by
//	                                                    its cell; cleared: a writer
//	61..32  count    inside by this lane; signed        readers, by 1
//	31..0   owner    token of the process; 0: nobody's  whoever finds it nobody's, or of a dead process
//
// A process keeps its lane until it dies or closes the segment: so it may add to
// it without comparing, and nothing that is added meets another's count. If the
// sum says that the lane was not open it was shut by a writer, and the reader
// takes back what it added and goes by the gate, like everybody without a lane.
//
//	reader                                writer, gate closed
//	  in:  sum = lane + 1 reader            shut    every lane that is open
//	       open: inside                     wait    until no cell has readers of the class inside
//	       shut: back, then by the gate     shut    the lanes that were opened meanwhile
//	  out: sum = lane - 1 reader            wait    until no lane has readers
//	       open: done
//	       shut, none left: wake the writer
//	       less than none: back, then out by the cell
//
// Only a reader that is inside by its cell, counted in the class inside, opens its
// lane. As long as it is inside no writer is past its first wait, and after that
// nobody is there to open one: what is shut then stays shut while the writer is
// inside.
//
// Readers of one process are all the same: who came by the cell may leave by the
// lane, and the other way round. Who leaves by the lane when nobody is in it puts
// back what it took before it takes a reader out of the cell: the other way round a
// writer would see too few for a moment.
//
//	killed                               leaves                     healed
//	reader, before its addition          nothing
//	reader, after it, lane open          a count in its lane        a writer clears the lane of a dead process
//	reader, lane shut, not taken back    the same                   the same
//	reader, out, wake not sent           a writer asleep            it sleeps on this process's death too
//	reader, one too many taken out       less than none             a writer clears the lane
//	reader, its lane opened              an open lane of a dead     a writer shuts it; who looks for a lane, or
//	                                     process                    the sweep, clears it
//	writer, some lanes shut              shut lanes                 a reader of each process opens its own again
const (
	laneGuard  = uint64(1) << 63
	laneOpen   = uint64(1) << 62
	laneCount  = laneOpen - laneReader
	laneOwner  = laneReader - 1
	laneReader = uint64(1) << 32
	laneHalf   = laneOpen >> 1 // more readers than there can be: less than none
)

var _ = fault.Declare(
	"futexlock.rwmutex.lane.opened", "futexlock.rwmutex.lane.added", "futexlock.rwmutex.lane.back",
	"futexlock.rwmutex.lane.shut",
)

func laneToken(v uint64) uint32 { return uint32(v & laneOwner) }

// laneIsOpen is one comparison: the guard makes v negative.
func laneIsOpen(v uint64) bool { return int64(v) >= int64(laneOpen) }

// laneInside is what v has beside its token and laneOpen: 0 if nobody is inside.
func laneInside(v uint64) uint64 { return v & (laneGuard | laneCount) }

// laneOverdrawn reports whether more have left than came.
func laneOverdrawn(v uint64) bool { return v&laneHalf != 0 }

// laneReaders is how many are inside.
func laneReaders(v uint64) uint32 {
	if laneOverdrawn(v) {
		return 0
	}
	return uint32(v & laneCount >> 32)
}

// openLane opens the lane of this process, if it can have one. The caller is a
// reader inside, counted in its cell.
func (rw *RWMutex) openLane(seg *shm.Segment, self uint32) {
	if rw.gate.Load()&(gateClosed|ownerDied) != 0 {
		return // who comes next must be told, or wait
	}
	c := rw.homeLane(self)
	v := c.Load()
	n := laneOpen | uint64(self)
	switch t := laneToken(v); {
	case t == self:
		if laneIsOpen(v) || v&^laneOpen >= laneHalf {
			return
		}
		n = v + laneOpen
	case t != 0 && !seg.Dead(shm.Token(t)):
		return
	}
	// A writer must look at the lane. Pairs with the loads in shutLanes and
	// drain.
	if bit := uint32(1) << home(self); rw.used.Load()&bit == 0 {
		rw.used.Or(bit)
	}
	if !c.CompareAndSwap(v, n) {
		return
	}
	if fault.Enabled {
		fault.Point("futexlock.rwmutex.lane.opened")
	}
	if rw.gate.Load()&gateClosed != 0 {
		shutLane(c) // a writer has shut the lanes before this one was open: it waits for nobody new
	}
}

// shutLane takes laneOpen off c.
func shutLane(c *atomic.Uint64) {
	for v := c.Load(); laneIsOpen(v); v = c.Load() {
		if c.CompareAndSwap(v, v-laneOpen) {
			return
		}
	}
}

// shutLanes shuts every lane.
func (rw *RWMutex) shutLanes() {
	for used := rw.used.Load(); used != 0; used &= used - 1 {
		shutLane(&rw.cells[bits.TrailingZeros32(used)].lane)
		if fault.Enabled {
			fault.Point("futexlock.rwmutex.lane.shut")
		}
	}
}

// drainLanes waits until every lane is shut and empty. No cell has readers inside.
func (rw *RWMutex) drainLanes(ctx context.Context, seg *shm.Segment, stay *shm.Stay) error {
	for used := rw.used.Load(); used != 0; used &= used - 1 {
		c := &rw.cells[bits.TrailingZeros32(used)].lane
		if v := c.Load(); !laneIsOpen(v) && laneInside(v) == 0 { // as in drainWord
			continue
		}
		err := rw.drainWord(ctx, seg, stay, c, high(c), func(v uint64) (busy bool, token, half uint32) {
			if laneIsOpen(v) {
				shutLane(c)
				v = c.Load()
			}
			// In one value: shut, and nobody inside.
			return laneIsOpen(v) || laneInside(v) != 0, laneToken(v), uint32(v >> 32)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// backFromLane takes back what RLock added to the shut lane c.
func (rw *RWMutex) backFromLane(c *atomic.Uint64) {
	if fault.Enabled {
		fault.Point("futexlock.rwmutex.lane.added")
	}
	if !rw.leftLane(c, c.Add(^(laneReader - 1))) {
		// Another reader has left by what we added. It was in the cell.
		rw.runlockSlow()
	}
}

// leftLane is the rest of taking a reader out of lane c, which made it v. It
// returns false if there was none: the caller has to look elsewhere.
func (rw *RWMutex) leftLane(c *atomic.Uint64, v uint64) bool {
	if laneIsOpen(v) {
		return true
	}
	less := laneOverdrawn(v)
	if less {
		if fault.Enabled {
			fault.Point("futexlock.rwmutex.lane.back")
		}
		c.Add(laneReader)
	}
	// A writer sleeps on a lane that it has shut, or, after an RUnlock too many, on
	// one that has less than none. Pairs with the CAS in shutLane and with that in
	// writeLock.
	if (less || laneInside(v) == 0) && rw.gate.Load()&gateClosed != 0 {
		shm.Wake(high(c), 1)
	}
	return !less
}

// unlane takes a reader out of our lane if one is there.
func (rw *RWMutex) unlane(self uint32) bool {
	c := rw.homeLane(self)
	for v := c.Load(); laneToken(v) == self && laneReaders(v) > 0; v = c.Load() {
		if c.CompareAndSwap(v, v-laneReader) {
			return rw.leftLane(c, v-laneReader)
		}
	}
	return false
}
