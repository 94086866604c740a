package mpqueue

import "fmt"

// The model of messages in parts: one way of a pipe that holds less than a message.
// Positions count parts. What pipemodel_world_test.go has step by step, a wake and a
// store of a position behind a copy, is one step here; what is looked at is who has
// which part, whose turn it is, and who is told that a message was cut off.

const (
	partsProcs = 4 // senders 0 and 1, receivers 2 and 3
	partsEmpty = 0 // the words to sleep on: notEmpty, more, notFull, turn
	partsMore  = 1
	partsFull  = 2
	partsTurn  = 3
)

// sentPart is a part in the way: of which message, the how many-th.
type sentPart struct{ id, index, first, last, cut uint8 }

// partsWorld is one state. It holds no pointers: its bytes are hashed.
type partsWorld struct {
	write, read uint8
	slot        [4]sentPart
	lock        [2]uint8 // process + 1, of send and of recv
	turn        uint8    // process + 1
	word        [4]uint8 // waited; a sequence that has changed shows in armed
	gone        uint8    // the senders' end
	proc        [partsProcs]partsProc
	kills       uint8
	cancels     uint8

	// What no process knows: sets of messages, and what a step has done wrong.
	committed, got, spoilt uint8
	bad                    partsBad
}

type partsBad uint8

const (
	partsTwice partsBad = iota + 1
	partsMixed
	partsFalseCut
	partsNoRoom
)

var partsBadNames = []string{"", "delivered twice", "parts of two messages", "a whole message is called cut off", "a part where there is no room"}

// partsProc is one process: where it is, and its variables.
type partsProc struct {
	pc, then  partsStep
	left      uint8 // messages to send
	sent      uint8 // parts of this message that have been sent
	pos       uint8
	has       uint8 // parts received of a message
	half      uint8 // a message is kept for the next call
	id        uint8 // that message
	seen      uint8 // what the first half of a look has seen
	on        uint8 // the word that it sleeps on, or wakes
	armed     uint8 // it has said that it is about to sleep, and the word is what it was
	asleep    uint8
	cancelled uint8
	dead      uint8 // 2: and swept
}

type partsStep uint8

const (
	inTop partsStep = iota
	inLock
	inRead // a sender reads write; a receiver the turn, under the lock
	inRoom
	inPart
	inSent
	inCut
	inUnlock
	inGone // a receiver's look for data
	inData
	inTurn // and for its turn
	inFirst
	inMore
	inRest
	inTake
	inSkip
	inEnd // of the turn
	inRelay
	inAnnounce
	inSleep
	inWake
	inDone
)

var partsStepNames = []string{"begins", "takes its lock", "reads", "looks for room", "publishes a part", "has sent it", "says that it gave up", "unlocks",
	"looks who is gone", "looks for data", "looks whose turn it is", "looks for a first part", "looks whether its sender is there", "looks for the rest", "takes a part",
	"passes over a part", "ends the turn", "looks whether to pass a wake on", "sets waited", "falls asleep, or not", "wakes", "is done"}

// partsModel is what is to be explored: a world's size, and a planted bug.
type partsModel struct {
	capacity, parts    uint8 // of the way, of a message
	senders, receivers uint8
	messages           uint8 // of each sender, 2 at most
	kills, cancels     uint8
	mutant             string
}

func (m *partsModel) start() partsWorld {
	var w partsWorld
	for i := range w.proc {
		p := &w.proc[i]
		p.left = m.messages
		if i < 2 && i >= int(m.senders) || i >= 2+int(m.receivers) {
			*p = partsProc{pc: inDone, dead: 2}
		}
	}
	return w
}

func (m *partsModel) moves(w *partsWorld, f func(kind moveKind, who int, n *partsWorld)) {
	try := func(kind moveKind, who int, act func(n *partsWorld)) {
		n := *w
		act(&n)
		f(kind, who, &n)
	}
	for i := range w.proc {
		p := &w.proc[i]
		if p.dead == 1 {
			try(step, -1, func(n *partsWorld) { m.sweep(n, i) })
		}
		if p.dead != 0 || p.pc == inDone {
			continue
		}
		if w.kills < m.kills {
			try(kill, i, func(n *partsWorld) {
				if i >= 2 && p.has > 0 {
					n.spoilt |= 1 << p.id // what it has received goes with it
				}
				n.proc[i] = partsProc{pc: inDone, dead: 1}
				n.kills++
			})
		}
		if w.cancels < m.cancels && p.cancelled == 0 && (p.asleep != 0 || p.pc == inLock || p.pc == inSleep || p.pc == inRoom || p.pc == inRest) {
			try(outside, i, func(n *partsWorld) {
				n.cancels++
				n.proc[i].cancelled = 1
				n.rouse(i)
			})
		}
		switch {
		case p.asleep != 0:
			try(backstop, i, func(n *partsWorld) { n.rouse(i) })
		case p.pc == inLock && w.lock[i/2] != 0 && w.proc[w.lock[i/2]-1].dead == 0:
			if p.cancelled != 0 {
				try(step, i, func(n *partsWorld) { n.proc[i].pc, n.proc[i].cancelled = inTop, 0 })
			}
		case p.pc == inWake:
			m.wake(w, i, try)
		default:
			try(step, i, func(n *partsWorld) { m.act(n, i) })
		}
	}
}

// rouse ends the sleep of process i.
func (w *partsWorld) rouse(i int) {
	if p := &w.proc[i]; p.asleep != 0 {
		p.asleep, p.on, p.armed, p.pc = 0, 0, 0, p.then
	}
}

// wake is a wake of p.on by process i: of one, or, of those who wait for a turn, all.
func (m *partsModel) wake(w *partsWorld, i int, try func(moveKind, int, func(*partsWorld))) {
	on, found := w.proc[i].on, false
	next := func(n *partsWorld) { n.proc[i].pc, n.proc[i].on = n.proc[i].then, 0 }
	if w.word[on]&waited == 0 || on == partsTurn || m.mutant == "no wake for the rest" && on == partsMore {
		try(step, i, func(n *partsWorld) {
			if on == partsTurn {
				n.wakeAll(on)
			}
			next(n)
		})
		return
	}
	for k := range w.proc {
		if q := &w.proc[k]; q.asleep == on+1 {
			found = true
			try(step, i, func(n *partsWorld) {
				n.change(on)
				n.rouse(k)
				next(n)
			})
		}
	}
	if !found {
		try(step, i, func(n *partsWorld) {
			n.wakeAll(on)
			next(n)
		})
	}
}

// change counts the sequence of a word up.
func (w *partsWorld) change(on uint8) {
	for k := range w.proc {
		if q := &w.proc[k]; q.on == on && q.asleep == 0 {
			q.armed = 0
		}
	}
}

func (w *partsWorld) wakeAll(on uint8) {
	w.change(on)
	w.word[on] = 0
	for k := range w.proc {
		if w.proc[k].asleep == on+1 {
			w.rouse(k)
		}
	}
}

// held reports whether somebody has the senders' end.
func (w *partsWorld) held() bool {
	for i := range w.proc[:2] {
		if p := &w.proc[i]; p.dead == 0 && p.pc != inDone {
			return true
		}
	}
	return false
}

// sweep is what the living do for a process that is dead, in one step.
func (m *partsModel) sweep(w *partsWorld, i int) {
	w.proc[i].dead = 2
	if w.turn == uint8(i+1) && m.mutant != "the turn of the dead" {
		w.turn = 0
	}
	if !w.held() {
		w.gone = 1
	}
	for on := range w.word {
		w.wakeAll(uint8(on))
	}
}

// reads reports whether there is anybody to receive.
func (m *partsModel) reads(w *partsWorld) bool { return w.proc[2].dead == 0 || w.proc[3].dead == 0 }

func (m *partsModel) free(w *partsWorld, pos uint8) uint8 { return m.capacity - (pos - w.read) }

func (m *partsModel) idle(*partsWorld) bool { return false }

// finished reports whether the living have nothing left to do: without a receiver the
// senders wait, for somebody may still take that end.
func (m *partsModel) finished(w *partsWorld) bool {
	for i := range w.proc {
		if p := &w.proc[i]; p.dead == 1 || p.pc != inDone && m.reads(w) {
			return false
		}
	}
	return true
}

func (m *partsModel) wrong(w *partsWorld) string {
	if w.bad != 0 {
		return partsBadNames[w.bad]
	}
	if lost := w.committed &^ (w.got | w.spoilt); lost != 0 && m.reads(w) && m.finished(w) {
		return fmt.Sprintf("sent, and got by nobody: %b", lost)
	}
	return ""
}

func (m *partsModel) name(w, _ *partsWorld, who int) string { return partsStepNames[w.proc[who].pc] }

func (m *partsModel) show(w *partsWorld) string {
	s := fmt.Sprintf("write %d read %d slots %v locks %v turn %d words %v gone %d committed %b got %b spoilt %b",
		w.write, w.read, w.slot, w.lock, w.turn, w.word, w.gone, w.committed, w.got, w.spoilt)
	for i, p := range w.proc {
		s += fmt.Sprintf("\n\t  %d: %s, %+v", i, partsStepNames[p.pc], p)
	}
	return s
}
