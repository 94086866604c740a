package futexlock

import (
	"fmt"
	"testing"
)

// The world of an Event: three processes, each with a short list of calls. The
// order of the steps is that of event.go.
type eventWorld struct {
	word    uint32
	queue   queue
	p       [3]eventProc
	calls   [3][4]eventCall
	sweep   eventSweep
	kills   int8
	unswept bool
	mut     eventMutant
	fault   string
}

type eventCall int8

const (
	eventNone eventCall = iota
	eventSets
	eventClears
	eventWaits
)

type eventMutant int8

const (
	eventSound       eventMutant = iota
	eventNoCount                 // a waiter does not look at the generation
	eventThrough                 // who was woken returns
	eventDropsLate               // waited is dropped whatever has happened since the wake
	eventClearsAll               // Clear drops waited too
	eventSweepsSet               // the sweep wakes only while the event is set
	eventWakesEarly              // Set wakes before it sets
	eventSleepsBlind             // who goes to sleep does not compare the word
)

type eventProc struct {
	pc       eventPC
	life     life
	swept    bool
	at       int8 // number of its call
	cancels  int8
	start, v uint32
	due      bool // ghost: e was set at some time since its Wait began
}

type eventSweep struct {
	of int8 // from 1
	pc eventPC
	v  uint32
}

type eventPC int8

const (
	eventOver eventPC = iota
	eventSetFast
	eventSetSlow
	eventWake
	eventDrop
	eventClear
	eventStart
	eventLook
	eventSign
	eventSleep
	eventAsleep
)

var eventNames = [...]string{"over", "sets", "sets, somebody waits", "wakes all", "drops the flag", "clears", "begins to wait", "looks", "signs", "goes to sleep", "wakes up"}

func newEventWorld(kills int8, calls ...[4]eventCall) eventWorld {
	w := eventWorld{kills: kills}
	copy(w.calls[:], calls)
	for i := range w.p {
		w.begin(i)
	}
	return w
}

func (w *eventWorld) begin(i int) {
	p := &w.p[i]
	*p = eventProc{at: p.at, cancels: p.cancels}
	if int(p.at) < len(w.calls[i]) {
		p.pc = [...]eventPC{eventOver, eventSetFast, eventClear, eventStart}[w.calls[i][p.at]]
	}
}

func (w *eventWorld) end(i int) {
	w.p[i].at++
	w.begin(i)
}

func (w eventWorld) died() bool {
	for _, p := range w.p {
		if p.life != alive {
			return true
		}
	}
	return false
}

func (w eventWorld) excused() bool { return w.unswept && w.died() }

// finished: nobody waits for what has happened.
func (w eventWorld) finished() bool {
	for _, p := range w.p {
		switch {
		case p.life == dying || p.life == dead && !p.swept && !w.unswept:
			return false
		case p.life == dead || p.pc == eventOver || p.pc == eventAsleep && !p.due:
		default:
			return false
		}
	}
	return w.sweep.of == 0
}

func (w eventWorld) wrong() string { return w.fault }

func (w *eventWorld) wakeAll() {
	for i := w.queue.pop(); i >= 0; i = w.queue.pop() {
		if w.p[i].pc = eventLook; w.mut == eventThrough {
			w.through(i)
		}
	}
}

// through ends a Wait with nil.
func (w *eventWorld) through(i int) {
	if !w.p[i].due && w.word&eventSet == 0 {
		w.fault = "Wait was let through, and the event was never set"
	}
	w.end(i)
}

// step makes the next step of process i. A load and the CAS that is tried again
// until it succeeds are one.
func (w *eventWorld) step(i int) {
	p := &w.p[i]
	v := w.word
	switch p.pc {
	case eventSetFast:
		switch {
		case v&eventWaited != 0:
			p.pc = eventSetSlow
		case v&eventSet == 0:
			w.word = v + eventOnce | eventSet
			w.end(i)
		default:
			w.end(i)
		}
	case eventSetSlow:
		if w.mut == eventWakesEarly && p.v == 0 {
			w.wakeAll()
			p.v = v // and here once more
			return
		}
		if v&eventSet == 0 {
			w.word = v + eventOnce | eventSet
		}
		if p.v, p.pc = w.word, eventWake; w.word&eventWaited == 0 {
			w.end(i)
		}
	case eventWake:
		if w.mut != eventWakesEarly {
			w.wakeAll()
		}
		p.pc = eventDrop
	case eventDrop:
		if v == p.v || w.mut == eventDropsLate {
			w.word &^= eventWaited
		}
		w.end(i)
	case eventClear:
		if v&eventSet != 0 {
			if w.word &^= eventSet; w.mut == eventClearsAll {
				w.word &^= eventWaited
			}
		}
		w.end(i)

	case eventStart:
		if p.start, p.pc = v, eventLook; v&eventSet != 0 {
			w.through(i)
		}
	case eventLook:
		switch p.v = v; {
		case v&eventSet != 0 || v>>2 != p.start>>2 && w.mut != eventNoCount:
			w.through(i)
		case v&eventWaited == 0:
			p.pc = eventSign
		default:
			p.pc = eventSleep
		}
	case eventSign:
		if p.pc = eventLook; v == p.v {
			w.word |= eventWaited
			p.v, p.pc = w.word, eventSleep
		}
	case eventSleep:
		if p.pc = eventLook; v == p.v || w.mut == eventSleepsBlind {
			w.queue.push(i)
			p.pc = eventAsleep
		}
	}
}

// sweepStep is a step of the sweep.
func (w *eventWorld) sweepStep() {
	switch s := &w.sweep; s.pc {
	case eventLook:
		if s.v, s.pc = w.word, eventWake; s.v&eventWaited == 0 || w.mut == eventSweepsSet && s.v&eventSet == 0 {
			s.pc = eventOver
		}
	case eventWake:
		w.wakeAll()
		if s.pc = eventOver; s.v&eventSet != 0 {
			s.pc = eventDrop
		}
	case eventDrop:
		if w.word == s.v {
			w.word &^= eventWaited
		}
		s.pc = eventOver
	}
	if w.sweep.pc == eventOver {
		w.p[w.sweep.of-1].swept, w.sweep = true, eventSweep{}
	}
}

func (w eventWorld) plain() eventWorld {
	for i := range w.p {
		p := &w.p[i]
		switch {
		case p.life != alive:
			*p = eventProc{life: p.life, swept: p.swept}
		case p.pc < eventLook:
			if p.start = 0; p.pc < eventSetSlow || p.pc > eventDrop {
				p.v = 0
			}
		default:
			p.due = p.due || w.word&eventSet != 0
			if p.pc == eventLook || p.pc == eventAsleep {
				p.v = 0
			}
		}
	}
	return w
}

func (w eventWorld) moves(emit func(string, moveKind, eventWorld)) {
	yield := func(label string, kind moveKind, n eventWorld) { emit(label, kind, n.plain()) }
	for i, p := range w.p {
		n := w
		switch {
		case p.life == dying:
			n.p[i].life = dead
			yield(fmt.Sprintf("%d is quiescent", i), step, n)
		case p.life == dead:
			if !p.swept && w.sweep.of == 0 && !w.unswept {
				n.sweep = eventSweep{of: int8(i + 1), pc: eventLook}
				yield(fmt.Sprintf("sweep of %d begins", i), step, n)
			}
		case p.pc == eventOver:
		case p.pc == eventAsleep:
			n.queue.remove(i)
			n.p[i].pc = eventLook
			yield(fmt.Sprintf("%d %s", i, eventNames[p.pc]), backstop, n)
			if p.cancels > 0 {
				n.p[i].cancels--
				n.end(i)
				yield(fmt.Sprintf("%d is cancelled", i), step, n)
			}
		default:
			n.step(i)
			yield(fmt.Sprintf("%d %s", i, eventNames[p.pc]), step, n)
		}
		if w.kills > 0 && p.life == alive && p.pc != eventOver {
			n := w
			n.kills--
			n.queue.remove(i)
			n.p[i].life = dying
			yield(fmt.Sprintf("kill %d", i), kill, n)
		}
	}
	if w.sweep.of != 0 {
		n := w
		n.sweepStep()
		yield("sweep", step, n)
	}
}

// eventPulses: one sets and clears, two wait.
func eventPulses(kills int8) eventWorld {
	w := newEventWorld(kills, [4]eventCall{eventSets, eventClears, eventSets, eventClears}, [4]eventCall{eventWaits, eventWaits}, [4]eventCall{eventWaits})
	w.p[2].cancels = 1
	return w
}

// eventCrossed: one sets while another sets and clears.
func eventCrossed(kills int8) eventWorld {
	return newEventWorld(kills, [4]eventCall{eventSets, eventClears}, [4]eventCall{eventSets, eventClears, eventSets}, [4]eventCall{eventWaits, eventWaits, eventWaits})
}

func TestModelEvent(t *testing.T) {
	for _, c := range []struct {
		name    string
		w       eventWorld
		unswept bool
	}{
		{"pulses, nobody dies", eventPulses(0), false},
		{"pulses", eventPulses(2), false},
		{"pulses, no sweep", eventPulses(2), true},
		{"crossed", eventCrossed(2), false},
		{"crossed, no sweep", eventCrossed(2), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.w.unswept = c.unswept
			mustHold(t, c.w, modelLimit)
		})
	}
}

func TestModelEventMutants(t *testing.T) {
	for _, c := range []struct {
		name  string
		m     eventMutant
		kills int8
		want  string
	}{
		{"generation not looked at", eventNoCount, 0, "lost wake"},
		{"let through by a wake", eventThrough, 0, "let through"},
		{"flag dropped late", eventDropsLate, 0, "lost wake"},
		{"flag dropped by Clear", eventClearsAll, 1, "lost wake"},
		{"swept only while set", eventSweepsSet, 1, "lost wake"},
		{"woken before it is set", eventWakesEarly, 0, "lost wake"},
		{"asleep on another value", eventSleepsBlind, 0, "lost wake"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := eventCrossed(c.kills)
			w.mut = c.m
			mustFail(t, w, modelLimit, c.want)
		})
	}
}
