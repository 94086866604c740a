package futexlock

import "fmt"

// The world of a WaitGroup: three goroutines, mostly of three processes, each
// with a short list of calls, and one who sweeps the dead. The group has two or
// three cells. The arithmetic is that of taskword.go and bell.go, the order of
// the steps that of waitgroup.go and waitgrouptake.go. The group's lock is taken
// as sound (the world of a lock word shows that): it is free, or somebody's, or
// that of a dead one, from whom it is inherited.
//
// Of the words that are only compared with themselves, the seq of the bell and
// rises, a state keeps whether they have changed since somebody read them.
type wgWorld struct {
	plan    *wgPlan
	journal uint64
	cells   [3]uint64
	bell    uint32
	queue   queue
	p       [4]wgProc // the last one sweeps
	life    [5]life   // by token
	swept   [5]bool
	known   [5]bool // without bells: all can read that it is dead
	lock    int8    // token
	sweep   int8    // of whom
	kills   int8
	total   int8 // ghost: tasks added and neither done nor forgotten
	fault   wgFault
}

// wgPlan is what does not change in a world.
type wgPlan struct {
	calls   [3][4]wgCall
	tokens  [4]int8
	cells   int8
	gate    int8 // wgGate waits until this goroutine has ended its first call
	unswept bool
	mute    bool // the processes have no bell: their death is seen by who asks
	mut     wgMutant
}

type wgCall int8

const (
	wgNone   wgCall = iota
	wgDone          // panics are faults
	wgAdd           //
	wgTake          // if it finds no task the next call is left out
	wgWait          // if it returns nil the rest is left out
	wgReset         //
	wgGate          // the program starts us later
	wgSweeps        // of the sweeper
)

type wgMutant int8

const (
	wgSound        wgMutant = iota
	wgNoRecheck             // a waiter signs the bell and sleeps without looking again
	wgNoRises               // the cells are added up once
	wgLateRise              // rises changes after the source is clear
	wgNoRing                // a move ends without a ring
	wgNoRestore             // tasks of a move that broke off are not put back
	wgTwice                 // they are put back though they have arrived
	wgLateNote              // the journal is written after the tasks have left
	wgNamesLate             // the sweep forgets what dead processes had taken
	wgDonesOnce             // Done looks through the cells once only
	wgResetsOnce            // Reset leaves a cell that the sweep has changed
	wgDyingLost             // tasks of a process are lost before it is dead
	wgQuietAsleep           // the flag is dropped with sleepers behind it
	wgNoAlarm               // the sweep wakes nobody
	wgResetsUnseen          // Reset does not change rises
)

type wgFault int8

const (
	wgFine wgFault = iota
	wgEarly
	wgFalseDeath
	wgPanic
	wgNoneFound
	wgNotReset
	wgNoCell
)

var wgFaults = [...]string{
	wgFine:       "",
	wgEarly:      "Wait returned nil, and there was always a task",
	wgFalseDeath: "Wait said that tasks were lost, and there was always another",
	wgPanic:      "Done found no task, and its process has one",
	wgNoneFound:  "Take found no task, and there was always one",
	wgNotReset:   "Reset left tasks of the dead",
	wgNoCell:     "no cell was found, and there was one",
}

// wgProc is one goroutine.
type wgProc struct {
	v, ring uint32
	out     load
	pc      wgPC
	at      int8 // number of its call
	// count, and scans
	k, watch                 int8
	open, lost, dying, fresh bool
	ask                      bool // its sleep has ended by itself, and there are no bells
	tok, n                   int8 // of the cell that was read; n in tasks
	// Take, compact and move
	i, ci, src, dst, to    int8
	pass                   bool
	err                    wgErr
	place                  wgPlaceFor
	compacting, first      bool
	left, second, replay   bool
	locked, arriving       bool
	again                  bool // it is a task that was taken before
	forgot                 bool // Reset has
	zero, gone, none, calm bool // ghosts: what was true at some time during the call
}

type wgErr int8

const (
	wgOK wgErr = iota
	wgErrNoTask
	wgErrTooMany
)

const (
	wgGone    = 5 // in place of a token
	wgSweeper = 3
)

func wgToken(c uint64) int8 {
	if t := taskToken(c); t != goneTasks {
		return int8(t)
	}
	return wgGone
}

func wgReal(t int8) uint32 {
	if t == wgGone {
		return goneTasks
	}
	return uint32(t)
}

func (w *wgWorld) call(i int) wgCall {
	if i == wgSweeper {
		return wgSweeps
	}
	if a := w.p[i].at; int(a) < len(w.plan.calls[i]) {
		return w.plan.calls[i][a]
	}
	return wgNone
}

// home is the cell where a process looks first.
func (w *wgWorld) home(t int8) int8 { return t % w.plan.cells }

// isDead says whether who looks finds that the process t is dead: its tasks are
// lost. It may note it for all. ask: the kernel is asked.
func (w *wgWorld) isDead(t int8, ask bool) bool {
	if t == wgGone || w.plan.mut == wgDyingLost && w.life[t] == dying {
		return true
	}
	if w.life[t] == dead && (ask || !w.plan.mute) {
		w.known[t] = w.plan.mute
		return true
	}
	return w.known[t]
}

// hears says whether who sleeps hears of the death of t.
func (w *wgWorld) hears(t int8) bool { return w.life[t] != alive && !w.plan.mute || w.known[t] }

// limbo returns the tasks that are in no cell: a move has them.
func (w *wgWorld) limbo() int8 {
	src, dst, l, ok := unjournal(w.journal)
	if ok && w.cells[src]&taskMoving != 0 && w.cells[dst]&taskMoving == 0 {
		return int8(tasks(uint64(l)))
	}
	return 0
}

// left returns how many tasks the living have, and the dead. One on its way
// from the dead is theirs until it has arrived.
func (w *wgWorld) left() (open, lost int8) {
	if n := w.limbo(); n > 0 {
		src, _, _, _ := unjournal(w.journal)
		if t := wgToken(w.cells[src]); t == wgGone || w.life[t] == dead {
			lost = n
		} else {
			open = n
		}
	}
	for _, c := range w.cells {
		if t := wgToken(c); t == wgGone || w.life[t] == dead {
			lost += int8(tasks(c))
		} else {
			open += int8(tasks(c))
		}
	}
	return open, lost
}

// takable reports whether there is a task for self to take.
func (w *wgWorld) takable(self int8) bool {
	for _, c := range w.cells {
		if t := wgToken(c); t != 0 && t != self && (added(c) > 0 || (t == wgGone || w.life[t] == dead) && tasks(c) > 0) {
			return true
		}
	}
	return false
}

func (w wgWorld) died() bool {
	for _, l := range w.life {
		if l != alive {
			return true
		}
	}
	return false
}

func (w wgWorld) excused() bool { return w.plan.unswept && w.died() }

// finished: nobody waits, unless for a task that nobody is going to do.
func (w wgWorld) finished() bool {
	if w.sweep != 0 {
		return false
	}
	open, _ := w.left()
	for t, l := range w.life {
		if l == dying || l == dead && !w.swept[t] && !w.plan.unswept {
			return false
		}
	}
	for i := range w.plan.calls {
		p := &w.p[i]
		switch {
		case p.pc == wgOver || p.pc == wgAsleep && open > 0:
		case p.pc == wgGated && w.life[w.plan.tokens[w.plan.gate]] != alive:
		default:
			return false
		}
	}
	return true
}

func (w wgWorld) wrong() string {
	if w.fault != wgFine {
		return wgFaults[w.fault]
	}
	sum := w.limbo()
	open, _ := w.left()
	moving := false
	for _, c := range w.cells {
		sum += int8(tasks(c))
		moving = moving || c&taskMoving != 0
		if t := wgToken(c); c != tidied(c) || c != 0 && t != wgGone && w.swept[t] {
			return fmt.Sprintf("residue in a cell: %#x", c)
		}
	}
	switch {
	case sum != w.total:
		return fmt.Sprintf("%d tasks in the cells, and %d in truth", sum, w.total)
	case moving && w.lock == 0:
		return "tasks move, and nobody has the lock"
	case w.lock == 0 && w.journal != 0:
		return "residue in the journal"
	case w.finished() && w.lock != 0 && !w.plan.unswept:
		return "residue in the lock"
	case open > 0 && !w.died() && w.finished():
		return "tasks are left, and nobody died"
	}
	return ""
}

func (w *wgWorld) wakeAll() {
	for i := w.queue.pop(); i >= 0; i = w.queue.pop() {
		w.p[i].pc, w.p[i].v, w.p[i].watch, w.p[i].ask = wgLook, 0, 0, false
	}
}

// plain notes in the ghosts what is true now, and forgets what no longer
// matters, so that states which behave alike are one.
func (w wgWorld) plain() wgWorld {
	open, lost := w.left()
	seq := func(v uint32) uint32 {
		if v&bellSeq == w.bell&bellSeq {
			return v &^ bellSeq
		}
		return bellSeq // no bell here comes so far
	}
	adding := int8(0) // in a cell, but Add may yet take effect later
	for i := range w.p {
		switch p := &w.p[i]; {
		case p.forgot: // likewise a Reset, even of one that is dead now
			lost++
		case p.pc == wgRise && w.life[w.plan.tokens[i]] == alive:
			adding++
		}
	}
	for i := range w.p {
		p := &w.p[i]
		t := w.plan.tokens[i]
		if w.life[t] != alive {
			*p = wgProc{pc: wgOver, forgot: p.forgot}
			continue
		}
		switch call := w.call(i); {
		case p.pc == wgOver:
		case call == wgWait:
			p.zero = p.zero || w.total == adding
			p.gone = p.gone || open == adding && lost > 0
			if p.pc != wgLook {
				p.v = seq(p.v)
			}
		case call == wgTake:
			p.none = p.none || !w.takable(t)
		}
		if p.pc == wgRingWake || p.pc == wgQuiet {
			p.ring = seq(p.ring)
		} else {
			p.ring = 0
		}
	}
	w.bell &^= bellSeq
	return w
}

func (w wgWorld) moves(emit func(string, moveKind, wgWorld)) {
	yield := func(label string, kind moveKind, n wgWorld) { emit(label, kind, n.plain()) }
	for i := range w.p {
		t := w.plan.tokens[i]
		switch n := w; {
		case w.p[i].pc == wgOver || w.life[t] != alive:
		case w.p[i].pc == wgAsleep:
			n.queue.remove(i)
			n.p[i].pc, n.p[i].v, n.p[i].watch, n.p[i].ask = wgLook, 0, 0, w.plan.mute
			kind := backstop
			if w.hears(w.p[i].watch) && !w.plan.mute {
				kind = step // it hears of the death
			}
			yield(wgLabels[i][wgAsleep], kind, n)
		case n.step(i):
			yield(wgLabels[i][w.p[i].pc], step, n)
		}
	}
	for t := int8(1); t <= 3; t++ {
		n := w
		switch w.life[t] {
		case alive:
			if w.kills > 0 && n.slay(t) {
				yield(fmt.Sprintf("kill process %d", t), kill, n)
			}
		case dying:
			n.life[t] = dead
			yield("it is quiescent", step, n)
		case dead:
			if !w.swept[t] && w.sweep == 0 && !w.plan.unswept {
				n.sweep, n.known[t] = t, w.plan.mute
				n.p[wgSweeper] = wgProc{pc: wgSweepLock}
				yield("its sweep begins", step, n)
			}
		}
	}
}

// slay kills the process t, if it matters.
func (w *wgWorld) slay(t int8) bool {
	matters := false
	for i := range w.p {
		if w.plan.tokens[i] == t {
			matters = matters || w.p[i].pc != wgOver
			w.queue.remove(i)
		}
		w.p[i].calm = false
	}
	for _, c := range w.cells {
		matters = matters || c != 0 && wgToken(c) == t
	}
	w.kills--
	w.life[t] = dying
	return matters
}
