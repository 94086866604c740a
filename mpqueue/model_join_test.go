package mpqueue

import (
	"fmt"
	"strings"
	"testing"
)

// The model of Join: producers, workers that Get and then call TaskDone, one that gives
// its item back, and one that joins, in three processes, of which one has two
// goroutines; and for each that is dead a sweep, which may be killed too. Each step is
// one access to what join.go, unlease, freed and the sweep look at: the cells that count
// leases and reservations, the blocks that items are leased in, and the word idle. The
// ring is looked at as a whole, and an item is always in a block of its own.

const (
	taskActors = 5
	taskProcs  = 3
	taskItems  = 3
)

// taskKind is what a goroutine does.
type taskKind uint8

const (
	taskPuts     taskKind = iota // each item by Put
	taskReserves                 // by a reservation
	taskAborts                   // gives a reservation up
	taskWorks                    // Get and TaskDone, as long as there is anything
	taskChains                   // the same, and Put of another item before the first TaskDone
	taskReturns                  // Receive and Requeue, once
	taskJoins
)

type taskRole struct {
	kind taskKind
	proc uint8
}

// taskWorld is one state. It holds no pointers: its bytes are hashed.
type taskWorld struct {
	slot, block [taskItems]taskPlace
	cell        [taskProcs]uint8 // leases
	reserved    [taskProcs]uint8
	tasks       [taskProcs][taskItems]uint8 // item + 1, oldest first: of the process itself
	idle        uint8                       // waited, sequence modulo 8
	actor       [taskActors]taskActor
	dead        [taskProcs]uint8 // 2: and swept
	sweep       [taskProcs]taskActor
	kills       uint8

	// What no process knows: sets of items; since the Join began, all was done at a moment.
	committed, done, quiet uint8
	bad                    taskBad
}

// taskPlace is what a slot or a block is, and whose.
type taskPlace struct{ is, owner uint8 }

type taskActor struct {
	pc, then taskStep
	left     uint8
	item     uint8
	at, end  uint8
	val      uint8
	asleep   uint8
}

type taskBad uint8

const (
	taskEarly taskBad = iota + 1
	taskTwice
	taskOther
	taskNone
)

var taskBadNames = []string{"", "Join returned, and at no moment all was dealt with", "an item was done twice", "a TaskDone was counted for what another has", "a TaskDone without a task"}

// What a slot is beside free, writing, ready, reading and orphan: past, and given to
// the next lap.
const taskPast = 7

type taskStep uint8

const (
	tkTop taskStep = iota
	tkCommit
	tkReserve
	tkGiveUp
	tkTake // a worker
	tkLease
	tkCount
	tkRelease
	tkClaimOrphan
	tkUncountOrphan
	tkList
	tkPop
	tkFree
	tkUncount
	tkRequeue
	tkUncountRequeued
	tkFreed // freed, and allDone
	tkLeased
	tkReserved
	tkEnd
	tkRing
	tkSignal
	tkWake
	tkJoin // Join, and finished
	tkSet
	tkJoinEnd
	tkJoinRing
	tkJoinReserved
	tkJoinBlocks
	tkJoinAgain
	tkSleep
	tkAsleep
	tkSweepBlocks
	tkSweepSlots
	tkSweepReserved
	tkSweepLeases
	tkSwept
	tkDone
)

var taskStepNames = []string{"claims a place, if there is anything to put", "commits", "counts a reservation", "takes it off", "claims an item, or counts itself for one that comes back",
	"leases it", "counts the lease", "frees the slot", "claims what comes back", "takes itself off again", "has its task", "takes the oldest task", "frees its block",
	"counts it out", "gives its block back", "counts it out", "looks at idle", "looks who leases", "looks who reserves", "looks where the ring ends",
	"looks at the ring", "changes idle", "wakes all", "joins", "sets waited", "looks where the ring ends", "looks at the ring", "looks who reserves", "looks at a block",
	"looks again where the ring ends", "falls asleep, or not", "is awake", "looks at a block of the dead", "looks at a slot of the dead", "clears its reservations",
	"clears its leases", "has swept", "is done"}

type taskModel struct {
	cast   []taskRole
	items  uint8 // of each producer; taskItems at most in all
	joins  uint8
	kills  uint8
	mutant string
}

func (m *taskModel) start() taskWorld {
	var w taskWorld
	for i := range w.actor {
		a := &w.actor[i]
		a.pc = tkDone
		if i >= len(m.cast) {
			continue
		}
		a.left = m.items
		switch m.cast[i].kind {
		case taskPuts:
			a.pc = tkTop
		case taskReserves, taskAborts:
			a.pc = tkReserve
		case taskReturns:
			a.left, a.pc = 1, tkTake
		case taskWorks:
			a.pc = tkTake
		case taskChains:
			a.left, a.pc = 1, tkTake
		case taskJoins:
			a.left, a.pc = m.joins, tkJoin
		}
	}
	return w
}

func (m *taskModel) moves(w *taskWorld, f func(kind moveKind, who int, n *taskWorld)) {
	try := func(kind moveKind, who int, act func(n *taskWorld)) {
		n := *w
		act(&n)
		if n.committed&^n.done == 0 {
			n.quiet = 1
		}
		f(kind, who, &n)
	}
	for p := range uint8(taskProcs) {
		switch {
		case w.dead[p] == 1:
			try(step, -1, func(n *taskWorld) { m.sweepStep(n, p, &n.sweep[p]) })
			if w.kills < m.kills && w.sweep[p] != (taskActor{pc: tkSweepBlocks}) {
				try(kill, -1, func(n *taskWorld) {
					n.kills++
					n.sweep[p] = taskActor{pc: tkSweepBlocks} // another begins again
				})
			}
		case w.dead[p] == 0 && w.kills < m.kills:
			for i, r := range m.cast {
				if r.proc == p && w.actor[i].pc != tkDone {
					try(kill, i, func(n *taskWorld) { m.die(n, p) })
					break
				}
			}
		}
	}
	for i := range m.cast {
		a := &w.actor[i]
		switch {
		case a.pc == tkDone:
		case a.asleep != 0:
			try(backstop, i, func(n *taskWorld) { n.actor[i].asleep, n.actor[i].pc = 0, tkSet })
		case a.pc == tkTake && w.takeable() < 0:
		default:
			try(step, i, func(n *taskWorld) { m.act(n, m.cast[i], &n.actor[i]) })
		}
	}
}

// takeable returns the oldest item that a worker may claim, those that come back first; -1
// if there is none.
func (w *taskWorld) takeable() int {
	for i := range w.slot {
		if w.block[i].is == bOrphan || w.slot[i].is == orphan {
			return i
		}
	}
	for i := range w.slot {
		if w.slot[i].is == ready {
			return i
		}
	}
	return -1
}

func (m *taskModel) die(w *taskWorld, p uint8) {
	w.kills++
	w.dead[p], w.sweep[p] = 1, taskActor{pc: tkSweepBlocks}
	w.tasks[p] = [taskItems]uint8{}
	for i, r := range m.cast {
		if r.proc == p {
			w.actor[i] = taskActor{pc: tkDone}
		}
	}
}

// outstanding reports whether something has been put, or may be, and is not done.
func (w *taskWorld) outstanding() bool {
	for i := range w.slot {
		if w.slot[i].is != free && w.slot[i].is != taskPast || w.block[i].is != bFree {
			return true
		}
	}
	return w.reserved != [taskProcs]uint8{}
}

func (m *taskModel) finished(w *taskWorld) bool {
	for p := range w.dead {
		if w.dead[p] == 1 {
			return false
		}
	}
	for i := range m.cast {
		switch a := &w.actor[i]; {
		case a.pc == tkDone:
		case a.pc == tkTake && w.takeable() < 0:
		case a.asleep != 0 && w.outstanding():
		default:
			return false
		}
	}
	return true
}

func (m *taskModel) idle(*taskWorld) bool { return false }

func (m *taskModel) wrong(w *taskWorld) string {
	if w.bad != 0 || !m.finished(w) {
		return taskBadNames[w.bad]
	}
	var there uint8
	for i := range w.slot {
		if w.slot[i].is == ready || w.slot[i].is == orphan || w.block[i].is == bOrphan {
			there |= 1 << i
		}
	}
	switch {
	case w.committed&^w.done != there:
		return "an item was put, is not done, and does not come again"
	case w.cell != [taskProcs]uint8{} || w.reserved != [taskProcs]uint8{}:
		return "a count was left in a cell"
	}
	return ""
}

func (m *taskModel) name(w, _ *taskWorld, who int) string { return taskStepNames[w.actor[who].pc] }

func (m *taskModel) show(w *taskWorld) string {
	s := fmt.Sprintf("slots %v blocks %v leases %v reserved %v tasks %v idle %#x dead %v committed %b done %b quiet %d",
		w.slot, w.block, w.cell, w.reserved, w.tasks, w.idle, w.dead, w.committed, w.done, w.quiet)
	for i := range m.cast {
		s += fmt.Sprintf("\n\t  %d of process %d: %s, %+v", i, m.cast[i].proc, taskStepNames[w.actor[i].pc], w.actor[i])
	}
	return s
}

// The processes of the worlds below: 0 puts, 1 works by one or two goroutines, 2 joins.
var (
	castOne   = []taskRole{{taskPuts, 0}, {taskWorks, 1}, {taskJoins, 2}}
	castTwo   = []taskRole{{taskPuts, 0}, {taskWorks, 1}, {taskWorks, 1}, {taskJoins, 2}}
	castApart = []taskRole{{taskPuts, 0}, {taskWorks, 0}, {taskWorks, 1}, {taskJoins, 2}}
	castRoom  = []taskRole{{taskReserves, 0}, {taskAborts, 0}, {taskWorks, 1}, {taskJoins, 2}}
	castChain = []taskRole{{taskPuts, 0}, {taskChains, 1}, {taskWorks, 1}, {taskJoins, 2}}
	castBack  = []taskRole{{taskPuts, 2}, {taskReturns, 0}, {taskWorks, 1}, {taskJoins, 2}}
)

// TestModelJoin explores Join with workers that die.
func TestModelJoin(t *testing.T) {
	for _, c := range []struct {
		when size
		m    taskModel
	}{
		{always, taskModel{cast: castOne, items: 2, joins: 1, kills: 1}},
		{always, taskModel{cast: castTwo, items: 2, joins: 1}},
		{notShort, taskModel{cast: castTwo, items: 2, joins: 1, kills: 1}},
		{notShort, taskModel{cast: castApart, items: 2, joins: 2}},
		{notShort, taskModel{cast: castApart, items: 1, joins: 1, kills: 2}},
		{always, taskModel{cast: castRoom, items: 1, joins: 1}},
		{notShort, taskModel{cast: castRoom, items: 1, joins: 1, kills: 1}},
		{always, taskModel{cast: castBack, items: 1, joins: 1, kills: 1}},
		{always, taskModel{cast: castChain, items: 1, joins: 1, kills: 1}},
		{notShort, taskModel{cast: castBack, items: 2, joins: 1}},
		{onlyFull, taskModel{cast: castTwo, items: 3, joins: 1, kills: 1}},
		{onlyFull, taskModel{cast: castApart, items: 2, joins: 1, kills: 2}},
		{onlyFull, taskModel{cast: castBack, items: 2, joins: 2, kills: 1}},
		{onlyFull, taskModel{cast: castChain, items: 2, joins: 2, kills: 1}},
	} {
		if c.when == always || c.when == notShort && !testing.Short() || *modelFull {
			v := exploreWorld[taskWorld](&c.m)
			if v.failure != "" {
				t.Fatalf("%+v: %v", c.m, v)
			}
			t.Logf("%+v: %v", c.m, v)
		}
	}
}

// TestModelJoinMutants plants bugs: each must be found.
func TestModelJoinMutants(t *testing.T) {
	for _, c := range []struct {
		mutant, want string
		m            taskModel
	}{
		{"who gives back tells nobody", "a lost wake", taskModel{cast: castBack, items: 1, joins: 1}},
		{"who is done looks before it is counted out", "a lost wake", taskModel{cast: castOne, items: 1, joins: 1}},
		{"blocks before the ring", "at no moment", taskModel{cast: castOne, items: 1, joins: 1}},
		{"no second look at the end", "at no moment", taskModel{cast: castChain, items: 1, joins: 1}},
		{"Join goes by the counts", "at no moment", taskModel{cast: castBack, items: 1, joins: 1, kills: 1}},
		{"waited after the look", "a lost wake", taskModel{cast: castOne, items: 1, joins: 1}},
		{"a reservation given up tells nobody", "a lost wake", taskModel{cast: castRoom, items: 1, joins: 1}},
		{"the sweep wakes nobody", "a lost wake", taskModel{cast: castOne, items: 1, joins: 1, kills: 1}},
		{"the sweep wakes before it clears the cell", "a lost wake", taskModel{cast: castBack, items: 1, joins: 1, kills: 1}},
		{"the sweep frees what the dead had", "", taskModel{cast: castOne, items: 1, joins: 1, kills: 1}},
		{"TaskDone takes the newest of all", "what another has", taskModel{cast: castApart, items: 2, joins: 1}},
	} {
		t.Run(c.mutant, func(t *testing.T) {
			c.m.mutant = c.mutant
			v := exploreWorld[taskWorld](&c.m)
			if v.failure == "" || !strings.Contains(v.failure, c.want) {
				t.Fatalf("not caught with %q: %v", c.want, v)
			}
			t.Logf("caught after %d states, by %d moves: %s", v.states, len(v.trace)-1, v.failure)
		})
	}
}
