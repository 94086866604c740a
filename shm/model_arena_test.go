package shm

import (
	"testing"

	"shmkit/procs/procstest/explore"
)

// The world of a block of an arena: three processes, the first of which owns the
// arena, each with a short list of calls; a second goroutine in one of them; and one
// who sweeps the dead. Each access to shared memory is a step; what a process does
// by itself, under the mutex of its arena, belongs to the step before. Blocks share
// nothing but the words of the rows, each of which one process writes: so the world
// has one block. The order of the steps is that of arena.go, ownarena.go, pin.go and
// sweep.go.
//
// A handle is on its way for as long as its receiver likes: one that is opened late
// is one that stays in the mail.
type arenaWorld struct {
	plan *arenaPlan

	gen   int8
	opens int8
	desc  int8 // generation that is described; arenaTorn while that is being written
	data  int8 // generation of who wrote the contents; 0: clear
	lock  int8 // process, from 1
	rows  [3]bool
	high  int8 // slots

	p     [3]arenaProc
	g     [7]arenaGo // 0 to 2: of that process; 3: a second one; from 4 on: those that look at pins
	mail  [3][2]arenaMail
	pick  int8 // which of its mail the goroutine takes that begins to open
	sweep arenaSweep
	kills int8
	lost  bool // ghost: a receiver was killed with a handle in its hand
	fault arenaFault
}

// arenaPlan is what does not change in a world.
type arenaPlan struct {
	calls [4][]arenaCall // of goroutines 0 to 3
	again [3][]arenaCall // of the process that comes into the slot of one that was killed
	of    int8           // process of goroutine 3
	late  bool           // process 2 is not attached at first
	mut   arenaMutant
}

type arenaCall int8

const (
	arenaNew    arenaCall = iota // if there is no block the rest is left out
	arenaOpen                    // the rest is left out if nothing comes any more
	arenaClose                   // what New or the last Open gave
	arenaSend0                   // what this goroutine holds, or, in goroutine 3, what the first goroutine of the process does
	arenaSend1                   //
	arenaSend2                   //
	arenaUse                     // locks, writes, unlocks
	arenaHold                    // locks, and keeps that until Close
	arenaAttach                  //
)

type arenaProc struct {
	dead, swept   bool
	again         bool // has been restarted
	mu            int8 // goroutine, from 1
	handles       int8
	gen           int8 // of its handles
	sent          bool
	sentAt        int8
	pins          [2]int8 // opens when they were pinned, from 1
	fresh, listed bool    // the owner's: the block was never used, is in the list of free ones
	holds         int8    // ghost: generation that it must not lose; of a dead one until the sweep
}

type arenaGo struct {
	pc      arenaPC
	at      int8 // number of its call
	k       int8 // row that a scan has come to
	seen    int8 // gen, as it was read
	h       int8 // generation of its handle; 0: none
	want    int8 // of a handle that it opens or sends
	mine    bool
	scanned bool
	from    int8 // of whom the handle is that it opens, from 1
	sure    bool // ghost: that handle must be good
	gap     bool // ghost: nobody held the object at some time during this Open
}

type arenaMail struct {
	gen, n, from int8 // n copies
	sure         bool // ghost: nobody has opened the object since this was sent, and the sender lives
}

type arenaSweep struct {
	of   int8 // from 1
	pc   int8
	desc int8
}

const (
	arenaTorn  = -1
	arenaOwner = 0
	arenaPins  = 4 // first goroutine that looks at pins
)

type arenaMutant int8

const (
	arenaSound          arenaMutant = iota
	arenaLooksFirst                 // take looks at the bits, then raises gen
	arenaBitLate                    // who opens looks at gen, then sets its bit
	arenaSendsUncounted             // a handle that was sent pins nothing
	arenaRowFirst                   // the sweep clears the row, then runs the hooks
	arenaSlotFirst                  // the sweep frees the slot, then clears the row
	arenaLetsGoFirst                // close clears the bit, then releases the locks
	arenaHighEarly                  // a scan goes to where highSlot was before the mark
	arenaOpensEarly                 // an opening is counted before the bit is set
	arenaUnmarked                   // take does not mark what others left last
	arenaMarkLeft                   // a mark stays though somebody was seen behind it
	arenaSwaps                      // take raises gen though the mark has been taken away
	arenaMarkStays                  // who opens a block that is marked leaves the mark
	arenaLooksOnce                  // who finds no other holder does not look at gen again
	arenaSweepsTaken                // the sweep reads what is being described
	arenaScansOnce                  // take does not look at the bits when it has raised gen
	arenaNotesClosed                // Marshal of what another goroutine has closed
	arenaCountsFirst                // only the first opening of a process is counted
)

type arenaFault int8

const (
	arenaFine arenaFault = iota
	arenaGiven
	arenaVoid
	arenaVoidSent
	arenaOther
	arenaMixed
	arenaStaleDesc
)

var arenaFaults = [...]string{
	arenaFine:      "",
	arenaGiven:     "a block was given away, and somebody holds it",
	arenaVoid:      "a handle was void, and there was always a holder",
	arenaVoidSent:  "a handle that was sent was void",
	arenaOther:     "a handle led to another object",
	arenaMixed:     "an object has the contents of another",
	arenaStaleDesc: "a sweep used the descriptor of another object",
}

type arenaPC int8

const (
	arenaOver  arenaPC = iota
	arenaReady         // before a call
	arenaUnion         // take
	arenaGen
	arenaMark
	arenaMarkScan
	arenaUnmark
	arenaRaise
	arenaScan
	arenaClear
	arenaDescribe
	arenaDescribed
	arenaPublish
	arenaTaken
	arenaBit // open
	arenaLook
	arenaOthers
	arenaLookAgain
	arenaRevive
	arenaCheck
	arenaCount
	arenaUnbit
	arenaNote // marshal
	arenaPost
	arenaLock // use
	arenaUnlock
	arenaQuit // close
	arenaPinned
	arenaLetGo
	arenaClosed
	arenaAbandon
	arenaAbandonScan
	arenaResume
	arenaUnpin // the look at pins
)

var arenaNames = [...]string{"over", "calls", "New: scans", "New: loads gen", "New: marks", "New: scans behind the mark", "New: takes the mark away", "New: raises gen",
	"New: scans again", "New: clears", "New: describes", "New: has described", "New: sets its bit", "New: ends the taking", "Open: sets its bit", "Open: loads gen", "Open: looks for others", "Open: loads gen again", "Open: takes the mark away", "Open: reads the descriptor",
	"Open: counts", "Open: clears its bit", "Marshal: notes it", "Marshal: has it", "locks", "unlocks", "Close: runs hooks", "Close: looks whether it was opened", "Close: clears its bit",
	"Close: looks for others", "Close: marks", "Close: scans behind the mark", "Close: takes the mark away", "lets a pin go"}

func newArenaWorld(plan arenaPlan, kills int8) arenaWorld {
	w := arenaWorld{plan: &plan, high: 3, kills: kills}
	if plan.late {
		w.high = 2
	}
	w.p[arenaOwner].fresh = true
	for i := range 4 {
		if len(plan.calls[i]) > 0 {
			w.g[i].at = -1
			w.next(i)
		}
	}
	return w
}

// process returns whose goroutine i is.
func (w *arenaWorld) process(i int) int {
	switch {
	case i == 3:
		return int(w.plan.of)
	case i > 3:
		return i - arenaPins
	}
	return i
}

func (w *arenaWorld) calls(i int) []arenaCall {
	if i < 3 && w.p[i].again {
		return w.plan.again[i]
	}
	return w.plan.calls[i]
}

// next lets goroutine i go on to its next call.
func (w *arenaWorld) next(i int) {
	g := &w.g[i]
	if i >= arenaPins {
		*g = arenaGo{}
		return
	}
	if *g = (arenaGo{at: g.at + 1, h: g.h, pc: arenaReady}); int(g.at) == len(w.calls(i)) {
		*g = arenaGo{h: g.h, at: g.at}
	}
}

// stop ends the list of goroutine i.
func (w *arenaWorld) stop(i int) { w.g[i] = arenaGo{h: w.g[i].h, at: w.g[i].at} }

// comes reports whether somebody may still send to process i.
func (w *arenaWorld) comes(i int) bool {
	for k := range 4 {
		if w.p[w.process(k)].dead || w.g[k].pc == arenaOver {
			continue
		}
		for _, c := range w.calls(k)[w.g[k].at:] {
			if c == arenaSend0+arenaCall(i) {
				return true
			}
		}
	}
	return false
}

func (w arenaWorld) Excused() bool { return false }

func (w arenaWorld) Finished() bool {
	for i, g := range w.g {
		if p := &w.p[w.process(i)]; !p.dead && (g.pc != arenaOver || w.looks(p)) {
			return false
		}
	}
	for i, p := range w.p {
		if p.dead && (!p.swept || w.restarts(i)) {
			return false
		}
	}
	return w.sweep.of == 0
}

// looks reports whether the look at the pins of p finds one that is over.
func (w *arenaWorld) looks(p *arenaProc) bool { return p.over(w.opens) >= 0 }

// over returns a pin of an object that has been opened since; -1 if there is none.
func (p *arenaProc) over(opens int8) int {
	for k, at := range p.pins {
		if at != 0 && at-1 != opens {
			return k
		}
	}
	return -1
}

func (w *arenaWorld) restarts(i int) bool { return w.plan.again[i] != nil && !w.p[i].again }

func (w arenaWorld) Wrong() string {
	if w.fault != arenaFine {
		return arenaFaults[w.fault]
	}
	if !w.Finished() {
		return ""
	}
	waits := w.lost
	for _, m := range w.mail {
		waits = waits || m[0].n+m[1].n > 0
	}
	for i, p := range w.p {
		switch pinned := p.pins != [2]int8{}; {
		case p.dead && w.rows[i]:
			return "a dead process holds the block for ever"
		case !p.dead && w.rows[i] && p.handles == 0 && !(pinned && waits):
			return "a block that everybody has closed is held for ever"
		case w.lock == int8(i+1) && (p.dead || p.handles == 0):
			return "a lock is held for ever by one who is gone"
		case p.handles > 0 && !p.dead && !w.rows[i]:
			return "a holder has no bit"
		}
	}
	return ""
}

const arenaLimit = 2_000_000

func TestModelArena(t *testing.T) {
	for _, c := range arenaWorlds {
		t.Run(c.name, func(t *testing.T) {
			if testing.Short() && c.long {
				t.Skip("a larger world")
			}
			explore.Hold(t, newArenaWorld(c.plan, c.kills), arenaLimit)
		})
	}
}
