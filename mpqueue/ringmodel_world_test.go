package mpqueue

import "fmt"

// The model of a ring: two producers, two consumers and one that closes, as small
// programs that make one access to shared memory in each step. A second producer
// claims the role when the first is dead; so does a second consumer. Plain stores
// go through a store buffer, as on amd64: the others see them when the buffer is
// drained, by an atomic operation of the same process, by membarrier, by the
// kernel when the process dies, or by and by.

const (
	modelProducers = 2
	modelProcs     = 5 // producers 0 and 1, consumers 2 and 3, the closer
	modelCloser    = 4
	modelNotEmpty  = 0 // words, and the sides of who publishes there
	modelNotFull   = 1
	modelPlain     = 1 << 4
	modelAbandoned = 1 << 7
	modelSequence  = 1 << 2
)

// ringWorld is one state. It holds no pointers: its bytes are hashed.
type ringWorld struct {
	write, read uint8 // positions
	end         uint8 // position + 1; 0: undecided
	closed      uint8
	role        [2]uint8 // process + 1, plain, abandoned
	word        [2]uint8 // waited, pending, sequence modulo 8
	slot        [2]uint8 // position << 1 | producer
	proc        [modelProcs]ringProc
	kills       uint8

	// What no process knows: sets of positions.
	committed, refused, got, spoilt uint8
	bad                             modelBad
}

// modelBad is what a step has done wrong.
type modelBad uint8

const (
	badTwice modelBad = iota + 1
	badOrder
	badSlot
	badTold
	badCorrupt
)

var modelBadNames = []string{"", "delivered twice", "out of order", "a slot that was not filled", "lost was reported before the last item", "positions that cannot be"}

// ringProc is one process: where it is, and its variables.
type ringProc struct {
	pc, then    ringStep // then: where a wake, or a look, goes on
	next, limit uint8
	left        uint8 // messages to put
	val, seen   uint8
	looked      uint8 // stage of the consumer's last look
	asleep, eof uint8
	dead        uint8 // 2: and swept
	watch       uint8 // process + 1, whose death wakes it
	lost, told  uint8 // process + 1
	buf         [4]uint8
	stores      uint8
}

type ringStep uint8

const (
	doClaim ringStep = iota
	doTakeWrite
	doTakeRead
	doTakeRouse
	doPlain
	doTop
	doReady // first access of the look whether to go on
	doReadRead
	doSetWaited
	doFence
	doMembarrier
	doLost
	doReadyAgain
	doSleep
	doAsleep
	doRouse
	doRouseGo
	doFill
	doPublish
	doLookClosed
	doLookWaited
	doState
	doWake
	doWakeCAS
	doWakeOne
	doWakeBack
	doWakeAll
	doSettle
	doSettleEnd
	doRollBack
	doWrite // the consumer's look: write position,
	doClosed
	doEnd
	doUndecided
	doEndFence
	doEndMembarrier
	doDecide
	doEnded
	doCopy
	doTake
	doGot
	doSignal
	doDone
)

var ringStepNames = map[ringStep]string{
	doClaim: "claims the role", doTakeWrite: "reads write", doTakeRead: "reads read", doTakeRouse: "clears its word", doPlain: "says plain",
	doTop: "begins", doReady: "looks whether closed", doReadRead: "reads read", doSetWaited: "sets waited", doFence: "looks whether a fence is due",
	doMembarrier: "membarrier", doLost: "looks who is lost", doReadyAgain: "looks again whether closed", doSleep: "falls asleep, or not",
	doAsleep: "is awake", doRouse: "clears its word", doRouseGo: "clears its word", doFill: "fills", doPublish: "publishes",
	doLookClosed: "looks at closed", doLookWaited: "looks at waited", doState: "looks at closed again", doWake: "looks at waited again",
	doWakeCAS: "sets pending", doWakeOne: "wakes one", doWakeBack: "found nobody", doWakeAll: "wakes all", doSettle: "settles the end",
	doSettleEnd: "reads the end", doRollBack: "takes its item back", doWrite: "reads write", doClosed: "looks at closed", doEnd: "reads the end",
	doUndecided: "looks whether the end is decided", doEndFence: "looks whether a fence is due", doEndMembarrier: "membarrier", doDecide: "decides the end",
	doEnded: "compares the end", doCopy: "copies", doTake: "moves read", doGot: "has got", doSignal: "signals", doDone: "is done",
}

// Kinds of stores in a buffer.
const (
	storeWrite = iota << 6
	storeRead
	storeSlot
)

func sideOf(i int) int {
	if i < modelProducers {
		return 0
	}
	return 1
}

// ringModel is what is to be explored: a world's size, and a planted bug.
type ringModel struct {
	capacity, messages, kills uint8
	closes                    bool // somebody sends CloseSend, at any time
	coarse                    bool // and wakes everybody in one step
	running                   bool // the first ones have their roles already
	mutant                    string
}

func (m *ringModel) start() ringWorld {
	var w ringWorld
	for i := range w.proc {
		w.proc[i].left = m.messages
	}
	if m.running {
		w.role = [2]uint8{1 | modelPlain, 3 | modelPlain}
		w.proc[0].pc, w.proc[0].limit, w.proc[2].pc = doTop, m.capacity, doTop
	}
	w.proc[modelCloser].pc = doTop
	if !m.closes {
		w.proc[modelCloser].pc = doDone
	}
	return w
}

// store puts one store into the buffer of process i; a full buffer drains its
// oldest first.
func (m *ringModel) store(w *ringWorld, i int, kind, v uint8) {
	p := &w.proc[i]
	if int(p.stores) == len(p.buf) {
		m.drainOne(w, i)
	}
	p.buf[p.stores] = kind | v
	p.stores++
}

func (m *ringModel) drainOne(w *ringWorld, i int) {
	p := &w.proc[i]
	switch v := p.buf[0] & 0x3f; p.buf[0] &^ 0x3f {
	case storeWrite:
		w.write = v
	case storeRead:
		w.read = v
	case storeSlot:
		w.slot[(v>>1)%m.capacity] = v
	}
	copy(p.buf[:], p.buf[1:])
	p.buf[len(p.buf)-1] = 0
	p.stores--
}

func (m *ringModel) drain(w *ringWorld, i int) {
	for w.proc[i].stores > 0 {
		m.drainOne(w, i)
	}
}

// wakeUp takes up to all sleepers of a word out of its queue, and returns how many.
func (w *ringWorld) wakeUp(word int) int {
	n := 0
	for i := range w.proc[:modelCloser] {
		if p := &w.proc[i]; p.asleep != 0 && 1-sideOf(i) == word {
			p.asleep, p.pc, p.watch = 0, doRouse, 0
			n++
		}
	}
	return n
}

// kill kills process i: the kernel drains its buffer before anybody may know that
// it is dead.
func (m *ringModel) kill(w *ringWorld, i int) {
	if m.mutant != "take-over before the last store" {
		m.drain(w, i)
	}
	old := w.proc[i]
	w.proc[i] = ringProc{dead: 1, pc: doDone, buf: old.buf, stores: old.stores}
	if sideOf(i) == 1 && i != modelCloser && old.next > 0 {
		w.spoilt |= 1 << (old.next - 1) // perhaps it went with the consumer
	}
	w.kills++
}

// wrong says what must not be in any state.
func (m *ringModel) wrong(w *ringWorld) string {
	switch {
	case w.bad != 0:
		return modelBadNames[w.bad]
	case w.got&w.refused != 0:
		return "delivered, though its Put said ErrClosed"
	case w.proc[2].eof|w.proc[3].eof != 0 && w.committed&^(w.got|w.spoilt) != 0:
		return "the end was reported before a committed item"
	}
	return ""
}

// finished reports whether the living have nothing left to do.
func (m *ringModel) finished(w *ringWorld) bool {
	for i, p := range w.proc[:modelCloser] {
		h := int(w.role[sideOf(i)]&7) - 1
		other := h >= 0 && h != i && w.proc[h].dead == 0
		if p.dead == 0 && p.pc != doDone && !(p.pc == doClaim && other) && !m.content(w, i) {
			return false
		}
	}
	return w.proc[modelCloser].pc == doDone
}

// content reports whether process i sleeps and rightly so: nothing is there to be
// done for it, and the other side either lives or has been reported lost.
func (m *ringModel) content(w *ringWorld, i int) bool {
	p := &w.proc[i]
	if p.asleep == 0 || w.closed != 0 {
		return false
	}
	peer := w.role[1-sideOf(i)]
	if h := int(peer&7) - 1; h >= 0 && w.proc[h].dead != 0 && p.told != peer&7 {
		return false
	}
	if sideOf(i) == 1 {
		return w.write == p.next
	}
	return p.next-w.read == m.capacity
}

func (w *ringWorld) picture() string {
	s := fmt.Sprintf("write %d read %d end %d closed %d roles %#x words %#x slots %v committed %b got %b refused %b",
		w.write, w.read, w.end, w.closed, w.role, w.word, w.slot, w.committed, w.got, w.refused)
	for i, p := range w.proc {
		s += fmt.Sprintf("\n\t  %d: %s, next %d limit %d stores %v, asleep %d dead %d", i, ringStepNames[p.pc], p.next, p.limit, p.buf[:p.stores], p.asleep, p.dead)
	}
	return s
}
