package futexlock

import (
	"fmt"

	"shmkit/shm"
)

// sweep clears the cell and the lane of the dead reader, and opens the gate of the dead
// writer.
func (rw *RWMutex) sweep(s *shm.Segment, dead uint32) {
	for i := range rw.cells {
		c := &rw.cells[i].v
		for v := c.Load(); cellToken(v) == dead; v = c.Load() {
			if c.CompareAndSwap(v, 0) {
				shm.Wake(low(c), 1)
			}
		}
		c = &rw.cells[i].lane
		for v := c.Load(); laneToken(v) == dead; v = c.Load() {
			if c.CompareAndSwap(v, 0) {
				shm.Wake(high(c), 1)
			}
		}
	}
	self := uint32(s.Self())
	for v := rw.write.Load(); holderOf(v) == dead; v = rw.write.Load() {
		if rw.write.CompareAndSwap(v, inherited(v, self, 0)) {
			rw.settle(self, buried)
			rw.releaseWrite(self)
			break
		}
	}
	passOn(&rw.write)
	// dead may have opened the gate and woken nobody, and somebody may have
	// succeeded it since.
	shm.Wake(&rw.gate, -1)
}

func (rw *RWMutex) check(s *shm.Segment) string {
	g, h := rw.gate.Load(), holderOf(rw.write.Load())
	if wrong := checkHolder(s, h); wrong != "" {
		return wrong
	}
	if g&gateClosed != 0 && h == 0 {
		return fmt.Sprintf("the gate (%#x) is closed and nobody holds the write side", g)
	}
	if g&(gateWriting|gateShared) != 0 && g&gateClosed == 0 {
		return fmt.Sprintf("the gate (%#x) is open with a writer inside", g)
	}
	for i := range rw.cells {
		v := rw.cells[i].v.Load()
		if wrong := checkHolder(s, cellToken(v)); wrong != "" {
			return fmt.Sprintf("cell %d: %s", i, wrong)
		}
		l := rw.cells[i].lane.Load()
		if wrong := checkHolder(s, laneToken(l)); wrong != "" {
			return fmt.Sprintf("lane %d: %s", i, wrong)
		}
		if g&gateWriting != 0 && laneIsOpen(l) {
			return fmt.Sprintf("lane %d (%#x) is open with a writer inside", i, l)
		}
	}
	return ""
}

// State describes rw in a line for people, for instance "read by 3 in 2
// processes, a writer waits".
func (rw *RWMutex) State() string {
	g, w := rw.gate.Load(), rw.write.Load()
	readers, processes := uint32(0), map[uint32]bool{}
	for i := range rw.cells {
		c, l := rw.cells[i].v.Load(), rw.cells[i].lane.Load()
		if n := cellCount(c, class(g)); n > 0 {
			readers += n
			processes[cellToken(c)] = true
		}
		if n := laneReaders(l); n > 0 {
			readers += n
			processes[laneToken(l)] = true
		}
	}
	s := "unlocked"
	switch {
	case g&(gateWriting|gateShared) != 0:
		s = wordState(shm.Look(rw), w&^ownerDied) + " for writing"
		if g&gateShared != 0 {
			s = wordState(shm.Look(rw), w&^ownerDied) + " for reading, alone"
		}
	case readers > 0:
		s = fmt.Sprintf("read by %d in %d processes", readers, len(processes))
		if g&gateClosed != 0 {
			s += ", a writer waits"
		}
	case g&gateClosed != 0:
		s = "a writer is about to enter"
	}
	if g&ownerDied != 0 {
		s += ", a writer died inside"
	}
	if g&waited != 0 {
		s += ", readers wait"
	}
	return s
}
