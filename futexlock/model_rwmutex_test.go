package futexlock

import (
	"fmt"
)

// The world of an RWMutex: three processes read or write; or two, of which the
// first has two goroutines (twins). The write side is taken as sound (its own world
// shows that): it is free, somebody's, or a dead one's, whom anybody may succeed.
// The arithmetic is that of rwword.go and rwlane.go, the order of the steps that of
// rwwait.go and rwlane.go; but a reader adds to its lane without looking first, and
// may pass it by though it is open.
type rwWorld struct {
	gate     uint32
	cells    [3]uint64 // one for each process, or the first for all
	lanes    [3]uint64 // one for each process
	write    int8      // holder of the write side, from 1
	atGate   queue
	drain    int8 // the writer that sleeps on a cell or a lane, from 1
	at       int8 // the cell, or 3 + the lane
	twins    bool // 0 and 1 are goroutines of process 0
	oneCell  bool
	laneless bool
	p        [3]rwProc
	sweep    rwSweep
	kills    int8
	dirty    bool // ghost: a writer died inside, and none has called Consistent since
	unswept  bool
	mut      rwMutant
	fault    string
}

type rwMutant int8

const (
	rwSound        rwMutant = iota
	rwNoSecondLook          // a reader does not look at the gate again after it has counted itself
	rwNoFlip                // a leaving writer does not flip the class
	rwWaitsForAll           // a writer waits for the readers that wait for it
	rwDrainsDying           // a writer clears the cell of a process that is still dying
	rwForgetsDirt           // whoever follows a dead writer opens the gate and says nothing
	rwKeepsPlace            // a reader that waited goes in when a writer gave up, in its own class
	rwOpensEarly            // a reader opens its lane as soon as it is counted, before it looks at the gate again
	rwLanesFirst            // a writer waits for the lanes before the cells
	rwShutsOnce             // a writer does not look whether lanes were opened after it had shut them
	rwStaysAdded            // a reader that finds its lane shut does not take back what it added
	rwTakesFirst            // who took one too many out of a lane leaves by the cell before it puts that back
	rwBackMute              // who takes back what it added to a lane does not wake the writer
	rwLaneMute              // who leaves a shut lane as the last does not wake the writer
	rwLaneDying             // a writer clears the lane of a process that is still dying
	rwDirtyLane             // a lane is opened though a writer died inside
	rwAloneDirty            // the death of one that reads alone is taken for a writer's
	rwAloneByCell           // one that reads alone leaves by the cell, if its process counts there
	rwAloneOpen             // one that reads alone does not close the gate first
	rwTakesMute             // who takes over the cell of another process does not wake the writer
)

type rwProc struct {
	pc      rwPC
	life    life
	swept   bool
	script  int8 // bit set: write. One bit a round, from bit 0
	rounds  int8
	cancels int8
	g       uint32
	v       uint64
	cl      uint32
	ask     bool
	told    bool
	watch   int8 // whose death wakes it too
	place   int8 // writer: the cell or lane that it is at
	alone   bool // reads by the write side
	back    bool // leaves only what it added to its lane, and then goes by the gate
	quit    bool // backs out for good
	passed  int8 // ghost: writers that went in while this reader waited
}

type rwSweep struct {
	of int8
	pc rwPC
}

type rwPC int8

const (
	rwStart rwPC = iota
	rwLook       // reader: goes by the gate
	rwCount      // counts itself
	rwCountWake
	rwCheck   // looks again
	rwBackOut // joined the wrong class
	rwBackWake
	rwGate // waits at the gate
	rwSign
	rwSleep
	rwAsleep
	rwBury // holds the write side for somebody dead
	rwBuryWake
	rwLaneLook // inside by the cell: may open the lane
	rwLaneOpen
	rwLaneAgain
	rwLaneShut
	rwRead // inside
	rwLeave
	rwLaneBack // has added to a lane that is shut
	rwLanePut  // has taken out one too many
	rwLaneWake
	rwSlow // RUnlock by hand
	rwUnlane
	rwUncell
	rwLeaveWake
	rwWant // writer: wants the write side
	rwSettle
	rwClose
	rwShut
	rwDrain
	rwDrainSleep
	rwDrainAsleep
	rwEnter
	rwWrite // inside
	rwOpen
	rwOpenWake
	rwRelease
	rwGiveUp
	rwGiveUpWake
	rwOver
)

func newRWWorld(kills int8, scripts ...int8) rwWorld {
	w := rwWorld{kills: kills}
	for i := range w.p {
		w.p[i].rounds = 1
		w.p[i].script = scripts[i]
	}
	return w
}

func (w rwWorld) died() bool {
	for _, p := range w.p {
		if p.life != alive {
			return true
		}
	}
	return false
}

func (w rwWorld) excused() bool { return w.unswept && w.died() }

func (w rwWorld) finished() bool {
	if w.sweep.of != 0 {
		return false
	}
	for _, p := range w.p {
		if p.life == dying || p.life == dead && !p.swept && !w.unswept || p.life == alive && p.pc != rwOver {
			return false
		}
	}
	return true
}

func (w rwWorld) wrong() string {
	if w.fault != "" {
		return w.fault
	}
	readers, writers := 0, 0
	for _, p := range w.p {
		if p.life == dead {
			continue
		}
		switch p.pc {
		case rwLaneLook, rwLaneOpen, rwLaneAgain, rwLaneShut, rwRead:
			readers++
		case rwWrite:
			writers++
		}
	}
	if writers > 1 || writers == 1 && readers > 0 {
		return fmt.Sprintf("%d writers and %d readers are inside", writers, readers)
	}
	if w.finished() && !w.died() && (w.gate&^gateClass != 0 || w.write != 0 || w.inside() != 0) {
		return fmt.Sprintf("residue: gate %#x, cells %x, lanes %x, write side %d", w.gate, w.cells, w.lanes, w.write)
	}
	return ""
}

// inside is not 0 if a cell or a lane counts a reader.
func (w rwWorld) inside() (n uint64) {
	for i := range w.cells {
		n |= uint64(cellReaders(w.cells[i])) | laneInside(w.lanes[i])
	}
	return n
}

// of is the process of goroutine i, cell where it counts its readers.
func (w rwWorld) of(i int) int {
	if w.twins && i == 1 {
		return 0
	}
	return i
}

func (w rwWorld) cell(i int) int {
	if w.oneCell {
		return 0
	}
	return w.of(i)
}

func (w *rwWorld) wakeGate() {
	for i := w.atGate.pop(); i >= 0; i = w.atGate.pop() {
		w.p[i].pc = rwGate
	}
}

func (w *rwWorld) wakeDrain(cell int) {
	if w.drain != 0 && int(w.at) == cell {
		w.p[w.drain-1].pc = rwDrain
		w.drain = 0
	}
}

// lifeOf is that of the process number t, from 1.
func (w rwWorld) lifeOf(t uint32) life {
	if t == 0 {
		return alive
	}
	return w.p[t-1].life
}

func (w rwWorld) plain() rwWorld {
	for i := range w.p {
		p := &w.p[i]
		if p.life != alive {
			in := p.pc
			*p = rwProc{life: p.life, pc: rwOver, swept: p.swept}
			if in >= rwLaneLook && in <= rwRead && p.life == dying || in == rwWrite && p.life == dying {
				p.pc = in
			}
			continue
		}
		switch p.pc {
		case rwUncell, rwUnlane, rwCount, rwCountWake, rwCheck, rwSign, rwSleep, rwAsleep:
		default:
			p.g = 0
		}
		switch p.pc {
		case rwDrainSleep, rwDrainAsleep, rwUnlane, rwUncell:
		default:
			p.v = 0
		}
		if p.pc != rwSign && p.pc != rwSleep && p.pc != rwAsleep {
			p.watch = 0
		}
	}
	return w
}

func (w rwWorld) moves(emit func(string, moveKind, rwWorld)) {
	yield := func(label string, kind moveKind, n rwWorld) { emit(label, kind, n.plain()) }
	for i := range w.p {
		p := w.p[i]
		switch p.life {
		case alive:
			if p.pc == rwOver {
				continue
			}
			if w.kills > 0 && w.of(i) == i {
				yield(fmt.Sprintf("kill %d", i), kill, w.killed(i))
			}
			w.step(i, yield)
		case dying:
			if w.of(i) != i {
				continue
			}
			n := w
			for j := range n.p {
				if w.of(j) == i {
					n.p[j].life = dead
				}
			}
			yield(fmt.Sprintf("%d is quiescent", i), step, n)
		case dead:
			if w.of(i) != i {
				continue
			}
			if !p.swept && w.sweep.of == 0 && !w.unswept {
				n := w
				n.sweep = rwSweep{of: int8(i + 1)}
				yield(fmt.Sprintf("sweep of %d begins", i), step, n)
			}
		}
	}
	if w.sweep.of != 0 {
		w.sweepStep(yield)
	}
}

// killed is w after the death of process i.
func (w rwWorld) killed(i int) rwWorld {
	w.kills--
	if w.write == int8(i+1) && w.gate&gateWriting != 0 {
		w.dirty = true
	}
	for j := range w.p {
		if w.of(j) == i {
			w.atGate.remove(j)
			if w.drain == int8(j+1) {
				w.drain = 0
			}
			w.p[j].life = dying
		}
	}
	return w
}

// sweepStep: the cell and the lane, then the gate. Killed between, the sweep is run again.
func (w rwWorld) sweepStep(yield func(string, moveKind, rwWorld)) {
	n := w
	dead := n.sweep.of
	switch n.sweep.pc {
	case rwStart:
		for k := range n.cells {
			if cellToken(n.cells[k]) == uint32(dead) {
				n.cells[k] = 0
				n.wakeDrain(k)
			}
		}
		n.lanes[dead-1] = 0
		n.wakeDrain(int(dead-1) + len(n.cells))
		n.sweep.pc = rwBury
	case rwBury:
		// The sweeper takes the write side over, opens the gate, wakes and
		// lets go. Killed in there it is a dead holder like the first; one
		// step here.
		if n.write == dead {
			if n.gate&gateClosed != 0 {
				n.gate = buried(n.gate)
			}
			n.write = 0
		}
		n.wakeGate()
		for j := range n.p {
			if n.of(j) == int(dead-1) {
				n.p[j].swept = true
			}
		}
		n.sweep = rwSweep{}
	}
	yield("sweep", step, n)
}
