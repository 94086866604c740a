package mpqueue

import (
	"fmt"
	"strings"
	"testing"
)

// The model of registered producers and of the end that they make: goroutines of two
// processes that register, put one item each and close their registration; receivers of
// a third process, of which one sleeps at a time; somebody who closes a handle of
// theirs; and for each that is dead a sweep, which may be killed too. Each step is one
// access to the words of producer.go and wait.go. A put that finds the queue open, a get
// and the seal are one step each: model_test.go has them one by one.

const (
	endActors   = 6 // goroutines 0 and 1 of process 0, 2 of process 1; receivers 3 and 4, and 5, who closes a handle of 4's
	endProcs    = 3
	endReceiver = 3
	endCloser   = 5
	endDied     = 1 << 7
)

var endProcess = [endActors]int{0, 0, 1, 2, 2, 2}

// endWorld is one state. It holds no pointers: its bytes are hashed.
type endWorld struct {
	cell      [endProcs]uint8 // registrations; endDied
	producers uint8           // as control.producers: how it ended in bits 0 and 1, registrations above
	closed    uint8
	sealed    uint8
	items     uint8
	word      uint8 // notEmpty: waited, pending, sequence modulo 8
	gate      uint8 // receiver + 1, who sleeps for its process
	gone      uint8 // the handle of receiver 4 is closed
	life      uint8 // and those who stand behind another by it know
	actor     [endActors]endActor
	proc      [endProcs]endProc
	kills     uint8
	leaves    uint8

	// What no process knows.
	held       [endProcs]uint8 // registrations that were returned, and are not being closed
	registered uint8           // one was returned
	early      uint8           // a process died that had begun to register, and had not been told
	open       [3]uint8        // ends of registrations that are under way: in order, by death
	last       [3]uint8        // 1: such an end is over, and none has begun since
	bad        endBad
}

// endActor is one goroutine.
type endActor struct {
	pc, then, after endStep // after a signal, after the rest of a call
	val             uint8
	at              uint8 // cell that is looked at
	how, by         uint8
	leads, looked   uint8
	asleep          uint8
}

// endProc is one process; dead 2: and swept.
type endProc struct {
	dead    uint8
	sweep   endActor
	inOrder uint8 // ends in order that it has begun
	died    uint8 // it had registrations
}

type endBad uint8

const (
	endUnderHeld endBad = iota + 1
	endWrongHow
	endLostItem
)

var endBadNames = []string{"", "closed, though a registration is held", "closed as it was not", "the end was reported before a committed item"}

type endStep uint8

const (
	edTop endStep = iota
	edSay
	edLookClosed
	edTakeBack
	edPutLook
	edPut
	edLeave
	edLeft
	edAlone // closeIfAlone
	edCells
	edDecide
	edClose
	edAll // signalAll
	edWakeAll
	edSignal // signal
	edPending
	edWakeOne
	edBack
	edGet // a receiver
	edGetClosed
	edSeal
	edLead
	edSet
	edSleep
	edAsleep
	edAwake
	edMore
	edUnlead
	edEnd
	edSweepCell // the sweep
	edSweepMark
	edSweepCount
	edSweepClear
	edSweepCountAgain
	edSwept
	edGone // who closes a handle
	edLife
	edStir
	edDone
)

var endStepNames = []string{"counts itself", "says that there are producers", "looks whether closed", "takes itself out",
	"looks whether closed", "puts", "takes itself out", "has left", "looks whether there have been producers", "looks at a cell", "decides the end", "closes",
	"changes the word", "wakes all", "looks at the word", "sets pending", "wakes one", "found nobody", "gets", "looks whether closed", "seals",
	"stands in line", "sets waited", "falls asleep, or not", "is awake", "clears pending", "looks for more", "lets the next one lead", "looks how it ended",
	"looks at the cell of the dead", "marks it", "changes the count", "clears it", "changes the count", "has swept", "closes a handle", "ends its life", "looks who waits", "is done"}

type endModel struct {
	producers, receivers int  // actors 0.. and 3..
	spread               bool // with two producers: one in each process
	kills, leaves        uint8
	closes               bool // a handle of the second receiver
	bare                 bool // nobody puts
	bystander            bool // a receiver that only dies
	mutant               string
}

func (m *endModel) start() endWorld {
	var w endWorld
	for i := range w.actor {
		w.actor[i].pc = edDone
	}
	for i := range m.producers {
		if i == 1 && m.spread {
			i = 2
		}
		w.actor[i].pc = edTop
	}
	for i := range m.receivers {
		w.actor[endReceiver+i].pc = edGet
	}
	if m.closes {
		w.actor[endCloser].pc = edGone
	}
	return w
}

func (m *endModel) moves(w *endWorld, f func(kind moveKind, who int, n *endWorld)) {
	try := func(kind moveKind, who int, act func(n *endWorld)) {
		n := *w
		act(&n)
		f(kind, who, &n)
	}
	for i := range w.proc {
		p := &w.proc[i]
		switch {
		case p.dead == 1:
			try(step, -1, func(n *endWorld) { m.act(n, i, &n.proc[i].sweep) })
			if w.kills < m.kills && p.sweep.pc != edSweepCell {
				try(kill, -1, func(n *endWorld) {
					n.kills++
					n.proc[i].sweep = endActor{pc: edSweepCell} // another begins again
				})
			}
		case p.dead == 0 && m.running(w, i):
			if w.kills < m.kills {
				try(kill, i, func(n *endWorld) { n.kills++; m.die(n, i) })
			}
			if w.leaves < m.leaves && i < 2 { // Close of its last handle: its own sweep, or that of others
				try(outside, i, func(n *endWorld) { n.leaves++; m.die(n, i) })
			}
		}
	}
	for i := range w.actor {
		a := &w.actor[i]
		switch {
		case w.proc[endProcess[i]].dead != 0 || a.pc == edDone:
		case a.asleep != 0:
			try(backstop, i, func(n *endWorld) { n.rouse(i) })
		case a.pc == edLead && w.gate != 0 && (i != endReceiver+1 || w.life == 0):
		default:
			try(step, i, func(n *endWorld) { m.act(n, i, &n.actor[i]) })
		}
	}
}

// running reports whether the death of process i can change anything.
func (m *endModel) running(w *endWorld, i int) bool {
	for k := range w.actor {
		if endProcess[k] == i && w.actor[k].pc != edDone {
			return true
		}
	}
	return w.cell[i] != 0 || i == 2 && m.bystander
}

func (m *endModel) die(w *endWorld, i int) {
	p := &w.proc[i]
	p.dead, p.sweep = 1, endActor{pc: edSweepCell}
	if w.cell[i] != 0 {
		p.died = 1
		before := w.last
		w.begins(closedByDeath)
		if w.held[i] == 0 { // it was at it, and may count or not
			w.early, w.last = 1, before
		}
	}
	w.held[i] = 0
	for k := range w.actor {
		if endProcess[k] == i {
			w.actor[k] = endActor{pc: edDone}
		}
	}
	if i == 2 {
		w.gate = 0
	}
}

// begins and ends are those of the end of a registration: of ends that follow one
// another the last says how the queue ends; those at the same time may all.
func (w *endWorld) begins(how uint8) {
	w.last = [3]uint8{}
	w.open[how]++
}

func (w *endWorld) ends(how uint8) {
	w.open[how]--
	w.last[how] = 1
}

func (w *endWorld) rouse(i int) {
	a := &w.actor[i]
	a.asleep, a.pc = 0, edAwake
}

func (w *endWorld) wake(most int) (n int) {
	for i := range w.actor {
		if n < most && w.actor[i].asleep != 0 {
			w.rouse(i)
			n++
		}
	}
	return n
}

// content reports whether a receiver sleeps rightly, or stands behind one who does.
func (w *endWorld) content(i int) bool {
	a := &w.actor[i]
	if w.closed != 0 || w.items != 0 || i == endReceiver+1 && w.gone != 0 {
		return false
	}
	return a.asleep != 0 || a.pc == edLead && w.gate != 0 && w.actor[w.gate-1].asleep != 0
}

func (m *endModel) finished(w *endWorld) bool {
	for i := range w.proc {
		if w.proc[i].dead == 1 {
			return false
		}
	}
	for i := range w.actor {
		if w.actor[i].pc != edDone && !w.content(i) {
			return false
		}
	}
	return true
}

func (m *endModel) idle(*endWorld) bool { return false }

func (m *endModel) wrong(w *endWorld) string {
	held := false
	for i := range w.held {
		held = held || w.held[i] != 0
	}
	switch {
	case w.bad != 0:
		return endBadNames[w.bad]
	case held && (w.closed != 0 || w.sealed != 0):
		return endBadNames[endUnderHeld]
	case !m.finished(w):
		return ""
	case w.registered != 0 && w.closed == 0:
		return "the last producer has gone, and the queue is open"
	case w.registered == 0 && w.early == 0 && w.closed != 0:
		return "closed, and there was no producer"
	case w.cell != [endProcs]uint8{}:
		return "a registration was left in a cell"
	}
	return ""
}

func (m *endModel) name(w, _ *endWorld, who int) string { return endStepNames[w.actor[who].pc] }

func (m *endModel) show(w *endWorld) string {
	s := fmt.Sprintf("cells %v producers %d, ended by %d; closed %d sealed %d items %d word %#x gate %d held %v open %v last %v",
		w.cell, w.producers>>2, w.producers&3, w.closed, w.sealed, w.items, w.word, w.gate, w.held, w.open, w.last)
	for i := range w.actor {
		s += fmt.Sprintf("\n\t  %d: %s, %+v", i, endStepNames[w.actor[i].pc], w.actor[i])
	}
	for i := range w.proc {
		s += fmt.Sprintf("\n\t  process %d: dead %d, its sweep %s", i, w.proc[i].dead, endStepNames[w.proc[i].sweep.pc])
	}
	return s
}

// TestModelProducers explores registrations, and how they end.
func TestModelProducers(t *testing.T) {
	for _, c := range []struct {
		when size
		m    endModel
	}{
		{always, endModel{producers: 1, receivers: 1, kills: 1, leaves: 1}},
		{always, endModel{producers: 2, kills: 2, leaves: 1}},
		{notShort, endModel{producers: 2, spread: true, kills: 2, leaves: 1, bare: true}},
		{notShort, endModel{producers: 2, spread: true, receivers: 1, kills: 1, bare: true}},
		{notShort, endModel{producers: 3, kills: 1, bare: true}},
		{notShort, endModel{producers: 2, spread: true, kills: 2, bystander: true, bare: true}},
		{always, endModel{producers: 1, receivers: 2, closes: true}},
		{notShort, endModel{producers: 1, receivers: 2, kills: 1, closes: true, bare: true}},
		{onlyFull, endModel{producers: 2, spread: true, receivers: 1, kills: 2, bare: true}},
		{onlyFull, endModel{producers: 2, spread: true, receivers: 1, kills: 1}},
		{onlyFull, endModel{producers: 3, kills: 1, leaves: 1, bare: true}},
	} {
		if c.when == always || c.when == notShort && !testing.Short() || *modelFull {
			v := exploreWorld[endWorld](&c.m)
			if v.failure != "" {
				t.Fatalf("%+v: %v", c.m, v)
			}
			t.Logf("%+v: %v", c.m, v)
		}
	}
}

// TestModelProducersMutants plants bugs: each must be found.
func TestModelProducersMutants(t *testing.T) {
	for _, c := range []struct {
		mutant, want string
		m            endModel
	}{
		{"the end is decided by a look", "a registration is held", endModel{producers: 2, spread: true}},
		{"counted after it is said", "a registration is held", endModel{producers: 2, spread: true}},
		{"looked at before it is counted", "a registration is held", endModel{producers: 2, spread: true}},
		{"who goes looks first", "the queue is open", endModel{producers: 2, spread: true}},
		{"the dead count until they are swept", "", endModel{producers: 2, spread: true, kills: 2}},
		{"the sweep of who was none does not look", "the queue is open", endModel{producers: 1, kills: 1}},
		{"the sweep clears the cell first", "closed as it was not", endModel{producers: 1, kills: 2}},
		{"nobody helps who was killed", "the queue is open", endModel{producers: 1, kills: 1}},
		{"no change before the dead is cleared", "closed as it was not", endModel{producers: 2, spread: true, kills: 2, bystander: true, bare: true}},
		{"no change after the dead is cleared", "closed as it was not", endModel{producers: 2, spread: true, kills: 2, bystander: true, bare: true}},
		{"closed without a wake", "a lost wake", endModel{producers: 1, receivers: 1}},
		{"no look after waited", "a lost wake", endModel{producers: 1, receivers: 1}},
		{"the end without a seal", "before a committed item", endModel{producers: 1, receivers: 1}},
		{"a handle closed without a wake", "a lost wake", endModel{receivers: 2, closes: true}},
	} {
		t.Run(c.mutant, func(t *testing.T) {
			c.m.mutant = c.mutant
			v := exploreWorld[endWorld](&c.m)
			if v.failure == "" || !strings.Contains(v.failure, c.want) {
				t.Fatalf("not caught with %q: %v", c.want, v)
			}
			t.Logf("caught after %d states, by %d moves: %s", v.states, len(v.trace)-1, v.failure)
		})
	}
}
