package mpqueue

import (
	"fmt"
	"strings"
)

// model is the size of a world and what happens in it. The numbers of slot and
// block words, of laps and of positions are the real ones: the model calls the
// functions of word.go and geometry.go, and takes the steps of core.go, fetch.go,
// put.go, item.go, wait.go and sweep.go in their order.
type model struct {
	geo       geometry
	producers int
	messages  int    // of each producer
	receives  []bool // for each consumer: Receive and Done, not Get
	gets      int    // items that a consumer takes; 0: all, until the end
	blocks    int    // messages lie in so many arena blocks, not in slots
	leases    int    // lease blocks
	sleeps    bool   // who cannot go on sleeps; else it looks again for ever
	backstops bool   // and wakes up by itself, sooner or later
	coarse    bool   // messages are copied, and hints raised, in no time
	kills     int8   // kill -9 of any process, or of the sweeper
	requeues  int8
	cancels   int8 // contexts that end while their call sleeps
	closeLast bool // CloseSend when the producers are done, not at any time
	lazy      bool // shared hints may not be raised
	mut       mutant
}

// mutant is a planted bug.
type mutant int

const (
	sound            mutant = iota
	headPastReading         // a slot still being read on the lap before counts as taken
	blockFreedFirst         // Get frees its block before the slot
	orphanUncounted         // the sweep marks orphans and does not say so
	orphanCountFirst        // the sweep says so, and marks them then
	noSeal                  // a free head under closed is the end, without a seal
	leaseCountedLate        // a lease is counted when its slot is free already
	endByCount              // the end looks at the count of leases only
	endWithoutWake          // who frees a slot under closed wakes no consumer
	waitedDropped           // a wake clears waited though others sleep
	pendingKept             // a sleeper that comes back leaves pending set
	batonKept               // a woken consumer wakes no other one
	sweepSlotsFirst         // the sweep looks at slots before blocks
	positionLate            // a block learns its slot after the commit
	leasesBeforeHead        // a producer counts the leases, and then the ring
	orphansUncapped         // orphans do not count against the capacity
	neverSwept              // nobody sweeps
	sweepCounts             // the sweep counts a death itself, and marks the orphan then
	deathUnmarked           // the sweep does not say that the holder of a lease died
	markKept                // who counts a death leaves the mark of it
)

// wSlot is a slot.
type wSlot struct {
	word  uint64
	val   int8 // the message: its number, 0 none, torn while it is being written
	block int8 // + 1
	tries int8 // deaths counted
	_     [5]int8
}

const torn = -1

// wBlock is a block of the arena or of the leases, which come first.
type wBlock struct {
	word  uint64
	pos   int8
	val   int8
	tries int8
	died  int8 // 1: one more, which is to be counted
	_     [4]int8
}

// wWord is a word to sleep on. Its sequence is not there: a word that has changed
// never returns to a value that it had, so it is enough that each process knows
// whether the word has changed since it looked (actor.same).
type wWord struct {
	bits   uint8
	asleep [4]int8 // actors + 1, first come first
}

// actor is a process. When it is dead its registers are those of the sweep of it,
// which some other process does: one that the model does not follow otherwise.
type actor struct {
	v uint64 // a word that was loaded, to be compared and swapped

	pc, ret, then pc // where it is, and where it goes on when signal, and freed, are done
	life          life
	sent          int8 // messages put, or got if there is a limit

	tail, head int8 // this process's own lower bounds
	seen       int8 // the count of orphans at which it found none
	clean      int8 // and no block
	limit      int8 // positions below leave room for the leases
	cell       int8 // its count of leases, in its slot of the participant table

	p, i, sum         int8
	epoch, best, bpos int8
	got, blk, spare   int8
	again             int8
	led, armed        bool // it waits; its look follows the setting of waited
	leaving           bool // its context is done
	on                int8 // the word to sleep on or to wake
	same              bool // which has not changed since
	_                 [6]int8
}

type life int8

const (
	alive life = iota
	dead       // past its last store
	swept
)

// world is a state of all processes and of the memory that they share. It is
// compared and hashed as bytes, so it has no gaps.
type world struct {
	actors [4]actor
	slots  [2]wSlot
	blocks [4]wBlock

	closed, leasing int8
	tail, head      int8
	orphans         int8
	words           [3]wWord // 1: notEmpty, 2: notFull
	closer          pc
	kills, requeues int8
	cancels         int8

	// What the processes do not know: bits and counts of messages, by number.
	committed, settled, unmarked, taken uint8
	allowed                             [8]int8 // deliveries again: one for each death of a holder
	due                                 [8]int8 // deaths that are counted when the message is claimed again
	eof                                 bool
	fault                               wrongness
	_                                   [2]int8
}

const (
	onNotEmpty = 1
	onNotFull  = 2
)

func (m *model) consumers() int { return len(m.receives) }
func (m *model) count() int     { return m.producers + len(m.receives) }

func (m *model) start() (w world) {
	for i := range m.count() {
		w.actors[i].pc = m.beginning(&w.actors[i], i)
	}
	_, lap := m.geo.locate(m.geo.first)
	for i := range m.geo.capacity {
		w.slots[i].word = makeWord(lap&lapMask, 0, free)
	}
	w.kills, w.requeues, w.cancels = m.kills, m.requeues, m.cancels
	return w
}

// newModel returns a world of that many places; positions begin at first.
func newModel(capacity, first uint64, m model) *model {
	g, err := plan(capacity, 8, 0, first, false)
	if err != nil {
		panic(err)
	}
	m.geo = g
	return &m
}

func (m *model) producer(i int) bool { return i < m.producers }
func (m *model) receiver(i int) bool { return i >= m.producers && m.receives[i-m.producers] }

func (m *model) self(i int) owner { return owner(i+1)<<incBits | 1 }

// actorOf returns the actor whose name is in w.
func actorOf(w uint64) int { return int(wordOwner(w)>>incBits) - 1 }

// at returns the slot of a position and the lap.
func (m *model) at(w *world, p int8) (*wSlot, uint64) {
	i, lap := m.geo.locate(m.geo.first + uint64(p))
	return &w.slots[i], lap
}

// positionOf returns the position that slot i is for, by its word.
func (m *model) positionOf(i int, word uint64) int8 {
	_, lap := m.geo.locate(m.geo.first)
	return int8(lapsAhead(word, lap)*int64(m.geo.capacity)) + int8(i)
}

func (m *model) cap() int { return int(m.geo.capacity) }

// number is the message that producer i is about to put, from 1.
func (m *model) number(w *world, i int) int8 { return int8(i*m.messages) + w.actors[i].sent + 1 }

// content returns the message of a slot.
func (w *world) content(s *wSlot) int8 {
	if s.block != 0 {
		return w.blocks[s.block-1].val
	}
	return s.val
}

func bit(n int8) uint8 { return 1 << (n - 1) }

// moves yields every state that one move leads to.
func (m *model) moves(w *world, yield func(move, *world)) {
	for i := range m.count() {
		a := &w.actors[i]
		who := int8(i)
		do := func(kind moveKind, choice int8) {
			n := *w
			m.act(&n, move{kind, who, choice})
			m.plain(&n)
			yield(move{kind, who, choice}, &n)
		}
		switch a.life {
		case alive:
			switch {
			case a.pc == atOver:
				continue // done, and nothing is held: its death changes nothing
			case a.pc == atAsleep:
				if m.backstops {
					do(backstop, 0)
				}
				if w.cancels > 0 && !a.leaving {
					do(outside, 0)
				}
			default:
				for c := range m.choices(w, i) {
					do(step, c)
				}
				if a.pc == atAwake && w.cancels > 0 && !a.leaving {
					do(outside, 0) // woken and cancelled at once
				}
			}
			if w.kills > 0 {
				do(kill, 0)
			}
		case dead:
			if m.mut == neverSwept {
				continue
			}
			do(step, 0)
			if w.kills > 0 && a.pc != atSweep {
				do(kill, 0)
			}
		}
	}
	if w.closer != atOver && (w.closer != 0 || m.mayClose(w)) {
		kind := step
		if w.closer == 0 {
			kind = outside
		}
		n := *w
		m.closeStep(&n)
		m.inOrder(&n)
		yield(move{kind, closerMove, 0}, &n)
		if w.closer != 0 && w.kills > 0 {
			n := *w
			n.kills, n.closer = n.kills-1, closeClearEmpty // its sweep wakes everybody
			yield(move{kill, closerMove, 0}, &n)
		}
	}
}

const closerMove = -1

// act makes one move of an actor.
func (m *model) act(w *world, by move) {
	i := int(by.who)
	a := &w.actors[i]
	switch by.kind {
	case kill:
		w.kills--
		if a.life == dead {
			a.pc, a.i, a.v, a.best = atSweep, 0, 0, 0 // the sweeper was killed: another begins again
			return
		}
		m.die(w, i)
	case backstop:
		w.words[m.side(i)].remove(i)
		a.pc = atAwake
	case outside:
		w.cancels--
		w.words[m.side(i)].remove(i)
		a.leaving, a.pc = true, atAwake
	default:
		m.step(w, i, by.choice)
	}
	m.settle(w, i)
}

// die ends actor i.
func (m *model) die(w *world, i int) {
	for n := range int8(8) {
		if m.holds(w, i, n+1) {
			w.allowed[n]++
			if !w.uncounted(&w.actors[i]) { // else that death and this are counted as one
				w.due[n]++
			}
		}
	}
	for k := range w.words {
		w.words[k].remove(i)
	}
	w.actors[i] = actor{life: dead, pc: atSweep, cell: w.actors[i].cell}
}

// holds reports whether message n comes back if actor i dies.
func (m *model) holds(w *world, i int, n int8) bool {
	for k := range m.cap() {
		s := &w.slots[k]
		if actorOf(s.word) == i && stateOf(s.word) == reading && w.content(s) == n {
			return true
		}
	}
	for k := range w.blocks {
		b := &w.blocks[k]
		if actorOf(b.word) == i && stateOf(b.word) == bLeased && b.val == n {
			return true
		}
	}
	return false
}

// describe says what a move does.
func (m *model) describe(w *world, by move) string {
	name := "CloseSend"
	at := w.closer
	if by.who >= 0 {
		a := &w.actors[by.who]
		at = a.pc
		kind := "consumer"
		if m.producer(int(by.who)) {
			kind = "producer"
		}
		name = fmt.Sprintf("%s %d", kind, by.who+1)
		if a.life == dead {
			name = "sweep of " + name
		}
	}
	what := map[moveKind]string{kill: "killed before: ", backstop: "backstop: ", outside: "", step: ""}[by.kind]
	return fmt.Sprintf("%s: %s%s", name, what, at)
}

// picture shows the memory.
func (m *model) picture(w *world) string {
	var b strings.Builder
	states := []string{"free", "writing", "ready", "reading", "orphan", "sealed"}
	for i := range m.cap() {
		s := w.slots[i]
		fmt.Fprintf(&b, "[slot %d: position %d %s by %d, message %d] ", i, m.positionOf(i, s.word), states[stateOf(s.word)], actorOf(s.word)+1, w.content(&s))
	}
	states = []string{"free", "owned", "taken", "leased", "orphan", "gone"}
	for i := range m.leases + m.blocks {
		k := w.blocks[i]
		fmt.Fprintf(&b, "[block %d: %s by %d, position %d, message %d] ", i, states[stateOf(k.word)], actorOf(k.word)+1, k.pos, k.val)
	}
	fmt.Fprintf(&b, "closed %d, tail %d, head %d, orphans %d, asleep %v %v", w.closed, w.tail, w.head, w.orphans, w.words[onNotEmpty], w.words[onNotFull])
	return b.String()
}
