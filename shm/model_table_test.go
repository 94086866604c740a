package shm

import (
	"fmt"

	"shmkit/procs/procstest/explore"
)

// The world of a participant table: processes attach, take one lock, die or detach,
// and sweep each other; who finds the table full sweeps as a visitor. Every access
// to shared memory and every operation on a byte lock is one step, in the order of
// claim.go, core.go, participant.go, sweep.go, visit.go and detach.go. Names of
// processes, the bell and the user words are left out: nothing is proved by them.
//
// The lock has the simplest hook that can go wrong: it takes the word over in the
// name of the sweeper, buries, and releases it. Whoever sees a dead holder may take
// the word over at once.
//
// A killed process is dying until its last thread has made its last store, then
// stopped: /proc may tell, its byte locks are still held; then gone.
type tableWorld struct {
	status    [3]cell // 0: the visitor's
	pid       [3]int8 // process + 1
	byteLock  [3]int8 // process + 1
	sweepLock [3]int8
	owed      uint8 // freed of slot 0: the oldest visitor that nobody has swept
	high      uint8
	word      tok
	mu        int8 // sweepMu of process 0: actor + 1
	kills     int8 // still allowed
	fault     blunder
	actors    [5]actor

	// These never change.
	places uint8
	mut    tableMutant
	bare   uint8 // 1: process 0 lacks the hook
	poor   bool  // Close may find no second mapping
	shares bool  // actor 1 is a thread of process 0; it sweeps once
}

// cell is a status word.
type cell struct{ inc, state uint8 }

// tok is a token: slot and incarnation. 0 is nobody.
type tok uint8

func tokOf(slot, inc uint8) tok { return tok(slot<<4 | inc) }
func (t tok) slot() uint8       { return uint8(t >> 4) }
func (t tok) inc() uint8        { return uint8(t & 15) }

// actor is one process. The last one is the heir: it comes when all others have
// finished or are gone, is never killed, and must find everything released at the
// end.
type actor struct {
	pc, ret  tablePC // ret: who called confirm or the hooks
	life     tableLife
	me       uint8
	self     tok
	left     bool  // has declared itself dead
	t        tok   // whom confirm or the hook is about
	st       cell  // a status that was loaded
	last     uint8 // the last visitor to be swept
	i        uint8 // the slot it is at
	cand     uint8 // slots found free
	saw      uint8 // slots that were taken, by one not gone, since it came
	busy     uint8 // slots that another process was about to free, or to take
	visiting bool
	visited  bool
	elected  bool
	rounds   uint8 // still to come
}

type tableLife uint8

const (
	alive   tableLife = iota
	dying             // killed; a thread of it may still be storing
	stopped           // past its last store; the kernel has not dropped its locks
	gone
)

type blunder uint8

const (
	noBlunder blunder = iota
	deadClaim
	backToLife
	lostWord
	refusedRoom
)

var blunders = [...]string{"",
	"the claim of a living process was declared dead",
	"a status went back: what was dead lives again",
	"an unlock of what another holds",
	"refused, though a place was never taken",
}

const heir = len(tableWorld{}.actors) - 1

// own returns the process that actor i is a thread of.
func (w *tableWorld) own(i int) int {
	if w.shares && i == 1 {
		return 0
	}
	return i
}

// name returns the token of actor i's process.
func (w *tableWorld) name(i int) tok { return w.actors[w.own(i)].self }

func (w *tableWorld) lacks(i int) bool { return w.bare != 0 && i == 0 }

// dead is core.dead.
func (w *tableWorld) dead(t tok) bool {
	st := w.status[t.slot()]
	return st.inc != t.inc() || st.state == slotDead || st.state == slotFree
}

// tryLock takes a byte lock, as the kernel gives it: an open file description does
// not exclude itself.
func (w *tableWorld) tryLock(lock *int8, i int) bool {
	me := int8(w.own(i) + 1)
	if *lock == 0 || *lock == me {
		*lock = me
		return true
	}
	return false
}

func (w *tableWorld) unlock(lock *int8, i int) {
	if *lock == int8(w.own(i)+1) {
		*lock = 0
	}
}

func (w *tableWorld) casStatus(i uint8, old, new cell) bool {
	if w.status[i] != old {
		return false
	}
	w.status[i] = new
	return true
}

// Excused: nobody sleeps here, they all look again.
func (w tableWorld) Excused() bool { return false }

func (w tableWorld) Finished() bool {
	for i := range w.actors {
		if a := &w.actors[i]; a.life != gone && (a.life != alive || a.pc != over) {
			return false
		}
	}
	return true
}

// othersDone reports whether the heir may come.
func (w *tableWorld) othersDone() bool {
	for i := range w.actors[:heir] {
		if a := &w.actors[i]; a.life != gone && (a.life != alive || a.pc != over) {
			return false
		}
	}
	return true
}

func (w tableWorld) Wrong() string {
	if w.fault != noBlunder {
		return blunders[w.fault]
	}
	for i := range w.actors {
		a := &w.actors[i]
		if a.life >= stopped {
			continue
		}
		if a.self != 0 && !a.left {
			if w.dead(a.self) {
				return fmt.Sprintf("process %d lives, its token is dead", i)
			}
			if w.status[a.me].state == slotLive && a.me != 0 && w.pid[a.me] != int8(i+1) {
				return fmt.Sprintf("the slot of process %d, which lives, was wiped", i)
			}
		}
		if (a.pc == inside || a.pc == hookRelease) && w.word != w.name(i) {
			return fmt.Sprintf("actor %d is inside, and another has the lock", i)
		}
		for j := range i {
			b := &w.actors[j]
			if b.life < stopped && (a.me != 0 && a.me == b.me || a.self != 0 && a.self == b.self) {
				return fmt.Sprintf("processes %d and %d have one slot", j, i)
			}
		}
	}
	if w.Finished() {
		return w.residue()
	}
	return ""
}

// residue says what is left when the heir has gone.
func (w *tableWorld) residue() string {
	for i, st := range w.status {
		if st.state != slotFree {
			return fmt.Sprintf("slot %d is left as %v", i, st)
		}
	}
	if w.word != 0 {
		return fmt.Sprintf("the lock is left with %d.%d", w.word.slot(), w.word.inc())
	}
	if w.byteLock != [3]int8{} || w.sweepLock != [3]int8{} || w.mu != 0 {
		return "a byte lock is left"
	}
	return ""
}

// Moves yields what can happen next.
func (w tableWorld) Moves(emit func(string, explore.Kind, tableWorld)) {
	yield := func(label string, kind explore.Kind, n tableWorld) {
		n.sort()
		emit(label, kind, n)
	}
	for i := range w.actors {
		if w.own(i) != i {
			if w.actors[i].life == alive {
				w.step(i, yield)
			}
			continue
		}
		a := w.actors[i]
		switch a.life {
		case alive:
			if w.kills > 0 && i != heir && a.pc > begin && a.pc != over {
				n := w
				n.kills--
				n.kill(i)
				yield(labels[i].kill, explore.Kill, n)
			}
			w.step(i, yield)
		case dying:
			n := w
			for j := range n.actors {
				if n.own(j) == i {
					n.actors[j] = actor{life: stopped}
				}
			}
			yield(labels[i].stop, explore.Step, n)
		case stopped:
			n := w
			for j := range n.actors {
				if n.own(j) == i {
					n.actors[j] = actor{life: gone}
				}
			}
			for k := range n.byteLock {
				n.unlock(&n.byteLock[k], i)
				n.unlock(&n.sweepLock[k], i)
			}
			if i == 0 {
				n.mu = 0
			}
			yield(labels[i].go_, explore.Step, n)
		}
	}
}

// kill kills process i. Only who is inside, or buries, can still do harm.
func (w *tableWorld) kill(i int) {
	life := stopped
	for j := range w.actors {
		if a := &w.actors[j]; w.own(j) == i && (a.pc == inside || a.pc == hookRelease) {
			life = dying
		}
	}
	for j := range w.actors {
		if w.own(j) != i {
			continue
		}
		a := &w.actors[j]
		b := actor{life: life}
		if life == dying {
			b.me, b.self, b.left = a.me, a.self, a.left
			if a.pc == inside || a.pc == hookRelease {
				b.pc = a.pc
			}
		}
		*a = b
	}
}

// key is all of an actor in one word.
func (a *actor) key() (k uint64) {
	k = uint64(a.pc)<<56 | uint64(a.ret)<<48 | uint64(a.self)<<40 | uint64(a.t)<<32 // 7 bits, and 6 each
	k |= uint64(a.st.inc)<<28 | uint64(a.last)<<24 | uint64(a.cand)<<20 | uint64(a.saw)<<16 | uint64(a.busy)<<12
	k |= uint64(a.st.state)<<10 | uint64(a.life)<<8 | uint64(a.me)<<6 | uint64(a.i)<<4
	for i, b := range [...]bool{a.left, a.visiting, a.visited, a.elected} {
		if b {
			k |= 1 << i
		}
	}
	return k ^ uint64(a.rounds)<<62
}

// sort gives the processes numbers by what they are doing: those without a thread and
// with the hook are alike, and worlds that differ in the numbers only are one. In a
// trace the numbers change.
func (w *tableWorld) sort() {
	lo := int(w.bare) // 0 or 1
	if w.shares {
		lo = 2
	}
	var keys [heir]uint64
	for n := lo; n < heir; n++ {
		keys[n] = w.actors[n].key()
		for i := n; i > lo && keys[i] < keys[i-1]; i-- {
			keys[i], keys[i-1] = keys[i-1], keys[i]
			w.swap(int8(i), int8(i-1))
		}
	}
}

func (w *tableWorld) swap(i, j int8) {
	w.actors[i], w.actors[j] = w.actors[j], w.actors[i]
	for _, owner := range []*[3]int8{&w.pid, &w.byteLock, &w.sweepLock} {
		for k, p := range owner {
			switch p {
			case i + 1:
				owner[k] = j + 1
			case j + 1:
				owner[k] = i + 1
			}
		}
	}
}
