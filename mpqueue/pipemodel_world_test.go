package mpqueue

import "fmt"

// The model of one way of a pipe: two senders and two receivers, each a process of its
// own, as small programs that make one access to shared memory in each step. All that
// they share is written by atomic operations, so that there are no store buffers here;
// a message is one access too, the one in which the order matters. Positions count
// messages. The locks are those of package futexlock, which has a model of its own:
// here one is taken in one step, by whoever finds it free or its holder dead.

const (
	pipeProcs    = 4 // senders 0 and 1, receivers 2 and 3
	pipeReceiver = 2 // the first one
	pipeNotEmpty = 0 // words, and the sides of who publishes there
	pipeNotFull  = 1
	pipeSequence = 1 << 2
)

// pipeWorld is one state. It holds no pointers: its bytes are hashed.
type pipeWorld struct {
	write, read uint8
	slot        [2]uint8 // position + 1, 0: not written
	roomAt      int8
	lock        [2]uint8 // process + 1, of send and of recv
	word        [2]uint8 // waited, pending, sequence modulo 64
	gone        [2]uint8 // of the ends
	proc        [pipeProcs]pipeProc
	kills       uint8
	cancels     uint8

	// What no process knows: sets of positions.
	committed, got, spoilt uint8
	bad                    pipeBad
}

// pipeBad is what a step has done wrong.
type pipeBad uint8

const (
	pipeTwice pipeBad = iota + 1
	pipeOrder
	pipeTorn
	pipeEarlyEOF
	pipeFalseGone
)

var pipeBadNames = []string{"", "delivered twice", "out of order", "a message that was not written", "EOF before the last message", "an end that is held was given up"}

// pipeProc is one process: where it is, and its variables.
type pipeProc struct {
	pc, then  pipeStep // then: where a wake goes on
	left      uint8    // messages to send, or to receive before it closes; 255: until EOF
	open      uint8    // its cell: it holds its end
	pos       uint8    // write position of a sender, read position of a receiver
	val       uint8    // of the word
	seen, saw uint8    // who was gone, and the write position
	on        uint8    // the word of a wake
	asleep    uint8
	cancelled uint8
	dead      uint8 // 2: and swept
	took      uint8 // position + 1 that it has taken and not returned
	newest    uint8 // position + 1 that it got last
	eof       uint8
	closed    uint8 // its Send has said ErrClosedPipe
}

type pipeStep uint8

const (
	atTop pipeStep = iota
	atLock
	atRead     // under the lock
	atWrite    // under the lock
	atGone     // the look whether a wait is over: who is there,
	atLook     // the other side's position,
	atCompare  // and the own side's, which others move too
	atRoomAt   // what a sleeping sender waits for
	atAnnounce // sets waited
	atSleep
	atSleeping
	atRoused // clears pending, and waited
	atRousedGo
	atRousedEnd
	atFill
	atPublish
	atCopy
	atTake
	atWake // looks whether to wake, and does
	atWakeCAS
	atWakeOne
	atWakeBack
	atWakeAll
	atRoomReached
	atUnlock
	atUnlockAgain // having found nothing
	atUnlockFull  // having given up
	atRelay
	atReturn
	atDrop
	atDeclare
	atDeclareLook
	atDeclareCAS
	atStir
	atStirAll
	atDone
)

var pipeStepNames = map[pipeStep]string{
	atTop: "begins", atLock: "takes its lock", atRead: "reads read", atWrite: "reads write", atGone: "looks who is gone", atLook: "looks",
	atCompare: "compares", atRoomAt: "says what it waits for", atAnnounce: "sets waited", atSleep: "falls asleep, or not", atSleeping: "wakes up",
	atRoused: "is awake", atRousedGo: "is awake, and it is there", atRousedEnd: "is awake, and gives up", atFill: "writes", atPublish: "publishes",
	atCopy: "copies", atTake: "moves read", atWake: "looks at waited", atWakeCAS: "sets pending", atWakeOne: "wakes one", atWakeBack: "found nobody",
	atWakeAll: "wakes all", atRoomReached: "looks how much room is waited for", atUnlock: "unlocks", atUnlockAgain: "unlocks, and looks again",
	atUnlockFull: "unlocks, without success", atRelay: "looks whether to pass a wake on", atReturn: "returns", atDrop: "lets go of its end",
	atDeclare: "looks whether its end is gone", atDeclareLook: "looks for holders", atDeclareCAS: "declares its end gone", atStir: "signals all",
	atStirAll: "wakes all of a word", atDone: "is done",
}

func pipeSide(i int) int { return i / pipeReceiver }

// pipeModel is what is to be explored: a world's size, and a planted bug.
type pipeModel struct {
	capacity       uint8
	senders        uint8 // 1 or 2
	receivers      uint8
	messages       uint8 // of each sender
	quota          uint8 // messages after which a receiver closes; 0: it waits for EOF
	kills, cancels uint8
	stay           bool // who is through keeps its end
	mutant         string
}

func (m *pipeModel) start() pipeWorld {
	var w pipeWorld
	for i := range w.proc {
		p := &w.proc[i]
		p.left, p.open = m.messages, 1
		if i >= pipeReceiver {
			if p.left = m.quota; m.quota == 0 {
				p.left = 255
			}
		}
		if i >= int(m.senders) && i < pipeReceiver || i >= pipeReceiver+int(m.receivers) {
			p.pc, p.open, p.dead = atDone, 0, 2
		}
	}
	return w
}

// kill kills process i. What it had taken and not returned goes with it.
func (w *pipeWorld) kill(i int) {
	old := w.proc[i]
	if old.took != 0 {
		w.spoilt |= 1 << (old.took - 1)
	}
	w.proc[i] = pipeProc{dead: 1, pc: atDone, open: old.open}
	w.kills++
}

// held reports whether a living process holds the end of a side.
func (w *pipeWorld) held(side int) bool {
	for i := range w.proc {
		if p := &w.proc[i]; pipeSide(i) == side && p.open != 0 && p.dead == 0 {
			return true
		}
	}
	return false
}

// signalled is the first half of signalAll.
func (w *pipeWorld) signalled(word uint8) {
	w.word[word] = (w.word[word] + pipeSequence) &^ (waited | pending)
}

// sleepsOn reports whether process i sleeps on word.
func (w *pipeWorld) sleepsOn(i int, word uint8) bool {
	return w.proc[i].asleep != 0 && pipeSide(i) == 1-int(word)
}

func (w *pipeWorld) wakeUp(i int) { w.proc[i].asleep, w.proc[i].pc = 0, atRoused }

func (w *pipeWorld) wakeAll(word uint8) {
	for i := range w.proc {
		if w.sleepsOn(i, word) {
			w.wakeUp(i)
		}
	}
}

// sweep is what the living do for a process that is dead. To do it again does no harm,
// so that it is one step here.
func (m *pipeModel) sweep(w *pipeWorld, i int) {
	w.proc[i].dead, w.proc[i].open = 2, 0
	for side := range w.gone {
		if !w.held(side) {
			w.gone[side] = 1
		}
	}
	for word := range uint8(2) {
		if m.mutant == "the sweep wakes nobody" {
			break
		}
		w.signalled(word)
		w.wakeAll(word)
	}
}

// wrong says what must not be in any state.
func (m *pipeModel) wrong(w *pipeWorld) string {
	if w.bad != 0 {
		return pipeBadNames[w.bad]
	}
	for side, gone := range w.gone {
		if gone != 0 && w.held(side) {
			return pipeBadNames[pipeFalseGone]
		}
	}
	if lost := w.committed &^ (w.got | w.spoilt) & (1<<w.read - 1); lost != 0 && m.finished(w) {
		return fmt.Sprintf("committed, taken, and got by nobody: %b", lost)
	}
	return ""
}

// finished reports whether the living have nothing left to do.
func (m *pipeModel) finished(w *pipeWorld) bool {
	for i := range w.proc {
		if p := &w.proc[i]; p.dead == 0 && p.pc != atDone && !m.content(w, i) || p.dead == 1 {
			return false
		}
	}
	return true
}

// content reports whether process i sleeps, and rightly so.
func (m *pipeModel) content(w *pipeWorld, i int) bool {
	p := &w.proc[i]
	switch {
	case p.asleep == 0, w.gone[1-pipeSide(i)] != 0, !w.held(1 - pipeSide(i)):
		return false
	case i < pipeReceiver:
		return p.pos-w.read == m.capacity
	}
	return w.write == w.read
}

func (w *pipeWorld) picture() string {
	s := fmt.Sprintf("write %d read %d slots %v room at %d locks %v words %#x gone %v committed %b got %b spoilt %b",
		w.write, w.read, w.slot, w.roomAt, w.lock, w.word, w.gone, w.committed, w.got, w.spoilt)
	for i, p := range w.proc {
		s += fmt.Sprintf("\n\t  %d: %s, then %s, left %d open %d pos %d asleep %d dead %d eof %d", i, pipeStepNames[p.pc], pipeStepNames[p.then], p.left, p.open, p.pos, p.asleep, p.dead, p.eof)
	}
	return s
}
