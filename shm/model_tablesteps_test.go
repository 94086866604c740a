package shm

import (
	"fmt"

	"shmkit/procs/procstest/explore"
)

// The steps of the world in model_table_test.go.

type tablePC uint8

const (
	begin tablePC = iota

	claimScan // claim.go
	claimPick
	claimLook
	claimHigh
	claimCAS
	claimLateLock // mutant claimsFirst
	claimLateHigh // mutant highLate
	claimUnlock
	nap
	settlePID
	settleLive

	visitElect // visit.go
	visitLock
	visitYield
	visitLook
	visitOwes
	visitCAS
	visitOwed
	visitPaid
	visitLacks
	visitLeave
	visitUnlock
	visitUnelect

	sweepMutex // sweep.go
	sweepVisitor
	sweepVisitorElect
	sweepVisitorLook
	sweepVisitorOwed
	sweepVisitorFree
	sweepVisitorUnelect
	sweepSlot
	sweepElect
	sweepLook
	sweepClear
	sweepFree
	sweepUnelect
	sweepDone

	hookTake
	hookRelease

	confirmAsk // participant.go
	confirmHeld
	confirmProc
	confirmNote

	lockLook // a lock
	lockTake
	lockInherit
	inside

	leaveElect // detach.go
	leaveDead
	leaveClear
	leaveFree
	leaveUnelect
	leaveUnlock

	over
	numPCs
)

var pcNames = [numPCs]string{
	"comes", "scans the table", "locks the byte", "looks at the status", "raises the highest slot", "claims",
	"locks the byte late", "raises the highest slot late", "unlocks the byte", "looks again", "writes its pid", "becomes live",
	"locks sweep 0", "locks byte 0", "lets another visit", "looks at the visitor's status", "says what it owes",
	"claims slot 0", "looks what is owed", "has paid", "lacks a hook", "leaves slot 0", "unlocks byte 0", "unlocks sweep 0",
	"locks sweepMu", "looks at the visitor", "locks sweep 0 for the visitor", "looks at the visitor again",
	"looks what the visitor owes", "frees the visitor", "unlocks sweep 0 of the visitor", "looks at a slot",
	"locks sweep", "looks at the slot again", "clears the slot", "frees the slot", "unlocks sweep", "has swept",
	"takes the lock over", "releases the lock", "asks for the status", "asks for the byte lock", "asks /proc",
	"notes a death", "looks at the lock", "takes the lock", "inherits the lock", "unlocks", "locks its sweep byte",
	"declares itself dead", "clears its slot", "frees its slot", "unlocks its sweep byte", "unlocks its byte",
	"over",
}

// labels are the names of the moves, made once: the explorer drops nearly all.
var labels = func() (all [heir + 1]struct {
	pc              [numPCs]string
	kill, stop, go_ string
}) {
	for i := range all {
		for pc, name := range pcNames {
			all[i].pc[pc] = fmt.Sprintf("%d %s", i, name)
		}
		all[i].kill, all[i].stop, all[i].go_ = fmt.Sprintf("kill %d", i), fmt.Sprintf("%d has stopped", i), fmt.Sprintf("%d is gone", i)
	}
	return all
}()

// stepper is a state that a step of actor i is being made in.
type stepper struct {
	*tableWorld
	i int
	a *actor
}

// step yields what actor i can do next.
func (w tableWorld) step(i int, yield func(string, explore.Kind, tableWorld)) {
	a := w.actors[i]
	do := func(f func(s stepper)) {
		n := w
		f(stepper{&n, i, &n.actors[i]})
		n.watch(&w)
		yield(labels[i].pc[a.pc], explore.Step, n)
	}
	switch a.pc {
	case over:
	case begin:
		switch {
		case w.own(i) != i:
			// As long as the process is attached, also while it sweeps first of all.
			m := w.actors[w.own(i)]
			if m.pc >= leaveElect || m.ret == leaveElect {
				do(func(s stepper) { s.a.pc = over })
			} else if m.me != 0 && m.pc >= sweepMutex {
				do(func(s stepper) { s.beginSweep() })
			}
		case i != heir || w.othersDone():
			do(func(s stepper) { s.scan() })
		}
	case nap:
		if w.rouse(a.busy) {
			do(func(s stepper) { s.scan() })
		}
	case sweepMutex:
		if w.mu == 0 || w.mut == noSweepMu {
			do(func(s stepper) { s.mu = int8(i + 1); s.sweep() })
		}
	case claimPick:
		for k := uint8(1); k <= w.places; k++ {
			if a.cand>>k&1 != 0 {
				do(func(s stepper) { s.pick(k) })
			}
		}
	case confirmProc:
		do(func(s stepper) { s.confirmed(false) }) // /proc may not be told
		if p := w.pid[a.t.slot()]; p != 0 && w.actors[p-1].life >= stopped {
			do(func(s stepper) { s.a.pc = confirmNote })
		}
	case inside:
		do(func(s stepper) { // Unlock
			if s.word != s.name(i) {
				s.fault = lostWord
			}
			s.word = 0
			s.beginLeave()
		})
		do(func(s stepper) { s.beginLeave() }) // Close with the lock in hand
	case leaveElect:
		if t := w.actors[1]; w.shares && i == 0 && t.life == alive && t.pc != begin && t.pc != over {
			return // Close waits for the slow paths
		}
		do(func(s stepper) { s.leave() })
		if w.poor && i != heir { // no second mapping: it has stopped writing, others sweep it
			do(func(s stepper) { s.a.left, s.a.pc = true, leaveUnlock })
		}
	default:
		do(func(s stepper) {
			switch {
			case a.pc < visitElect:
				s.attach()
			case a.pc < sweepMutex:
				s.visit()
			case a.pc < hookTake:
				s.sweep()
			case a.pc < confirmAsk:
				s.hook()
			case a.pc < lockLook:
				s.confirm()
			case a.pc < leaveElect:
				s.lock()
			default:
				s.leave()
			}
		})
	}
}

// watch notes what only the whole step shows: old is the state before it.
func (w *tableWorld) watch(old *tableWorld) {
	rank := func(c cell) uint8 { return 4*c.inc + (c.state+3)%4 } // claiming, live, dead, free
	for k := range w.status {
		if rank(w.status[k]) < rank(old.status[k]) {
			w.fault = backToLife
		}
	}
	for i := range w.actors {
		a := &w.actors[i]
		if a.life != alive || a.me != 0 || a.pc == begin || a.pc == over || w.own(i) != i {
			continue // has a slot, or wants none
		}
		for k := uint8(1); k <= w.places; k++ {
			if p := w.byteLock[k]; p != 0 && int(p-1) != i && w.status[k].state != slotFree {
				a.saw |= 1 << k
			}
		}
	}
}
