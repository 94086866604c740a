package futexlock

import (
	"fmt"
	"testing"
)

// The world of an RWMutex: three processes read or write. The write side is
// taken as sound (its own world shows that): it is free, somebody's, or a dead
// one's, whom anybody may succeed. The arithmetic is rwword.go's, the order of
// the steps rwwait.go's.
type rwWorld struct {
	gate    uint32
	cells   [3]uint64 // one for each process
	write   int8      // holder of the write side, from 1
	atGate  queue
	drain   int8 // the writer that sleeps on a cell, from 1
	at      int8 // the cell
	p       [3]rwProc
	sweep   rwSweep
	kills   int8
	dirty   bool // ghost: a writer died inside, and none has called Consistent since
	unswept bool
	mut     rwMutant
	fault   string
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
	passed  int8 // ghost: writers that went in while this reader waited
}

type rwSweep struct {
	of int8
	pc rwPC
}

type rwPC int8

const (
	rwStart   rwPC = iota
	rwCount        // reader: counts itself
	rwCheck        // looks again
	rwBackOut      // joined the wrong class
	rwBackWake
	rwGate // waits at the gate
	rwSign
	rwSleep
	rwAsleep
	rwBury // holds the write side for somebody dead
	rwBuryWake
	rwRead // inside
	rwLeave
	rwLeaveWake
	rwWant // writer: wants the write side
	rwSettle
	rwClose
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
		case rwRead:
			readers++
		case rwWrite:
			writers++
		}
	}
	if writers > 1 || writers == 1 && readers > 0 {
		return fmt.Sprintf("%d writers and %d readers are inside", writers, readers)
	}
	if w.finished() && !w.died() && (w.gate&^gateClass != 0 || cellReaders(w.cells[0])+cellReaders(w.cells[1])+cellReaders(w.cells[2]) != 0 || w.write != 0) {
		return fmt.Sprintf("residue: gate %#x, cells %x, write side %d", w.gate, w.cells, w.write)
	}
	return ""
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
			if in == rwRead && p.life == dying || in == rwWrite && p.life == dying {
				p.pc = in
			}
			continue
		}
		switch p.pc {
		case rwCount, rwCheck, rwSign, rwSleep, rwAsleep:
		default:
			p.g = 0
		}
		switch p.pc {
		case rwDrainSleep, rwDrainAsleep:
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
			if w.kills > 0 {
				n := w
				n.kills--
				n.atGate.remove(i)
				if n.drain == int8(i+1) {
					n.drain = 0
				}
				n.p[i].life = dying
				if p.pc == rwWrite || w.write == int8(i+1) && w.gate&gateWriting != 0 {
					n.dirty = true
				}
				yield(fmt.Sprintf("kill %d", i), kill, n)
			}
			w.step(i, yield)
		case dying:
			n := w
			n.p[i].life = dead
			yield(fmt.Sprintf("%d is quiescent", i), step, n)
		case dead:
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

// sweepStep: the cell, then the gate. Killed between, the sweep is run again.
func (w rwWorld) sweepStep(yield func(string, moveKind, rwWorld)) {
	n := w
	dead := n.sweep.of
	switch n.sweep.pc {
	case rwStart:
		n.cells[dead-1] = 0
		n.wakeDrain(int(dead - 1))
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
		n.p[dead-1].swept = true
		n.sweep = rwSweep{}
	}
	yield("sweep", step, n)
}

func TestModelRWMutex(t *testing.T) {
	for _, c := range []struct {
		name    string
		scripts [3]int8 // a bit a round: 1 write, 0 read
		rounds  [3]int8
		cancels [3]int8
		kills   int8
		unswept bool
		deep    bool
	}{
		{name: "two readers, one writer", scripts: [3]int8{0, 0, 1}, rounds: [3]int8{1, 1, 2}, kills: 1},
		{name: "two writers, one reader", scripts: [3]int8{0, 1, 1}, rounds: [3]int8{1, 1, 1}, kills: 1},
		{name: "a writer that never rests", scripts: [3]int8{0, 7, 1}, rounds: [3]int8{1, 3, 1}},
		{name: "giving up", scripts: [3]int8{0, 0, 1}, rounds: [3]int8{2, 1, 2}, cancels: [3]int8{0, 1, 1}},
		{name: "no sweep", scripts: [3]int8{0, 0, 1}, rounds: [3]int8{1, 1, 1}, kills: 1, unswept: true},
		{name: "two kills", scripts: [3]int8{0, 1, 1}, rounds: [3]int8{1, 1, 1}, kills: 2},
		{name: "giving up and a kill", scripts: [3]int8{0, 1, 1}, rounds: [3]int8{2, 1, 2}, cancels: [3]int8{0, 1, 1}, kills: 1, deep: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.deep {
				deep(t)
			}
			w := newRWWorld(c.kills, c.scripts[:]...)
			w.unswept = c.unswept
			for i := range w.p {
				w.p[i].rounds, w.p[i].cancels = c.rounds[i], c.cancels[i]
			}
			mustHold(t, w, modelLimit)
		})
	}
}

func TestModelRWMutexMutants(t *testing.T) {
	for _, c := range []struct {
		name    string
		m       rwMutant
		scripts [3]int8
		kills   int8
		want    string
	}{
		{"no second look at the gate", rwNoSecondLook, [3]int8{0, 0, 1}, 0, "are inside"},
		{"class not flipped", rwNoFlip, [3]int8{0, 0, 1}, 0, ""},
		{"writer waits for those who wait for it", rwWaitsForAll, [3]int8{0, 0, 1}, 0, ""},
		{"cell of the dying cleared", rwDrainsDying, [3]int8{0, 0, 1}, 1, "are inside"},
		{"death of a writer not told", rwForgetsDirt, [3]int8{0, 1, 1}, 1, "was told died=false"},
		{"place kept in the wrong class", rwKeepsPlace, [3]int8{0, 0, 1}, 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newRWWorld(c.kills, c.scripts[:]...)
			w.mut = c.m
			w.p[2].rounds, w.p[2].script, w.p[2].cancels = 2, 3, 1
			mustFail(t, w, modelLimit, c.want)
		})
	}
}
