package futexlock

import (
	"fmt"
	"testing"
)

// The world of a Once: three processes call Do, one of them twice, and its
// first run of f fails. The order of the steps is that of once.go.
type onceWorld struct {
	word    uint32
	queue   queue
	p       [3]onceProc
	sweep   onceSweep
	known   [3]bool // all can read that it is dead
	kills   int8
	began   int8 // ghost: runs that are not over, of processes that are not dead
	ended   bool // ghost: a run has succeeded
	mute    bool // the processes have no bell: their death is seen by who asks
	unswept bool
	mut     onceMutant
	fault   string
}

type onceMutant int8

const (
	onceSound        onceMutant = iota
	onceTakesDying              // the runner is replaced before it is dead
	onceEarly                   // f is done when it begins
	onceLooksBefore             // who sleeps is looked up before the end is stored
	onceForgetsError            // a run that failed counts
	onceSweepsDumb              // the sweep wakes nobody
	onceClaimsFree              // the word is stored, not compared
)

type onceProc struct {
	pc      oncePC
	life    life
	swept   bool
	rounds  int8
	fails   int8
	cancels int8
	v       uint32
	ask     bool // its sleep has ended by itself
	late    bool // its context is done
}

type onceSweep struct {
	of   int8 // from 1
	wake bool
}

type oncePC int8

const (
	onceOver oncePC = iota
	onceFast
	onceLook
	onceClaim
	onceRunning
	onceEnd
	onceWake
	onceSign
	onceSleep
	onceAsleep
)

var onceNames = [...]string{"over", "looks at once", "looks", "claims", "runs f", "ends", "wakes all", "signs", "goes to sleep", "wakes up"}

func newOnceWorld(kills int8) onceWorld {
	w := onceWorld{kills: kills}
	for i := range w.p {
		w.p[i] = onceProc{pc: onceFast, rounds: 1}
	}
	w.p[0].rounds, w.p[0].fails = 2, 1
	w.p[1].cancels = 1
	return w
}

func (w onceWorld) died() bool {
	for _, p := range w.p {
		if p.life != alive {
			return true
		}
	}
	return false
}

func (w onceWorld) excused() bool { return w.unswept && w.mute && w.died() }

func (w onceWorld) finished() bool {
	for _, p := range w.p {
		if p.life == alive && p.pc != onceOver || p.life == dying || p.life == dead && !p.swept && !w.unswept {
			return false
		}
	}
	return w.sweep.of == 0
}

func (w onceWorld) wrong() string {
	switch r := w.word & holderMask; {
	case w.fault != "":
		return w.fault
	case w.began > 1:
		return "two run f"
	case r != 0 && w.p[r-1].swept, r != 0 && w.finished() && !w.unswept:
		return fmt.Sprintf("residue %#x", w.word)
	}
	return ""
}

func (w *onceWorld) wakeAll() {
	for i := w.queue.pop(); i >= 0; i = w.queue.pop() {
		w.p[i].pc, w.p[i].ask = onceLook, false
	}
}

// gone is a watcher's gone. It may note what it hears of r.
func (w *onceWorld) gone(p *onceProc, r int8) bool {
	if w.known[r] || w.mut == onceTakesDying && w.p[r].life != alive {
		return true
	}
	if w.p[r].life == dead && (p.ask || !w.mute) {
		w.known[r] = true
	}
	return w.known[r]
}

// returns ends a call of Do; ok says that it returned nil.
func (w *onceWorld) returns(i int, ok bool) {
	p := &w.p[i]
	if ok && !w.ended {
		w.fault = "Do returned before f was done"
	}
	*p = onceProc{rounds: p.rounds - 1, fails: p.fails, cancels: p.cancels}
	if p.rounds > 0 {
		p.pc = onceFast
	}
}

// step makes the next step of process i.
func (w *onceWorld) step(i int) {
	p := &w.p[i]
	switch p.pc {
	case onceFast: // Done
		if p.pc = onceLook; w.word&onceDone != 0 {
			w.returns(i, true)
		}
	case onceLook:
		v := w.word
		p.v = v
		r := int8(v&holderMask) - 1
		switch {
		case v&onceDone != 0:
			w.returns(i, true)
		case r < 0 || w.gone(p, r):
			p.pc = onceClaim
		case p.late:
			w.returns(i, false)
		case w.p[r].life != alive && !w.mute: // again, after a pause
		case v&waited == 0:
			p.pc = onceSign
		default:
			p.pc = onceSleep
		}
		p.ask = false
	case onceClaim:
		if p.pc = onceLook; w.word == p.v || w.mut == onceClaimsFree {
			w.word = p.v&waited | token(i)
			if w.mut == onceEarly {
				w.word |= onceDone
			}
			if w.began++; w.ended {
				w.fault = "f runs, and it was done"
			}
			p.pc = onceRunning
		}
	case onceRunning:
		p.pc = onceEnd
		if w.mut == onceLooksBefore {
			p.v = w.word
		}
	case onceEnd:
		end := onceDone
		if p.fails > 0 && w.mut != onceForgetsError {
			end = 0
		}
		v := w.word
		if w.mut == onceLooksBefore {
			v = p.v
		}
		if w.word = end; v&holderMask != token(i) {
			w.fault = "a runner found another"
		}
		w.began--
		w.ended = w.ended || p.fails == 0
		if v&waited != 0 {
			p.pc = onceWake
			return
		}
		w.ends(i)
	case onceWake:
		w.wakeAll()
		w.ends(i)
	case onceSign:
		if p.pc = onceLook; w.word == p.v {
			w.word |= waited
			p.v, p.pc = w.word, onceSleep
		}
	case onceSleep:
		r := p.v&holderMask - 1
		if p.pc = onceLook; w.word == p.v && !w.known[r] && (w.mute || w.p[r].life == alive) {
			w.queue.push(i)
			p.pc = onceAsleep
		}
	}
}

// ends is the end of a Do that has run f.
func (w *onceWorld) ends(i int) {
	failed := w.p[i].fails > 0
	if failed {
		w.p[i].fails--
	}
	w.returns(i, !failed)
}

func (w onceWorld) plain() onceWorld {
	for i := range w.p {
		switch p := &w.p[i]; {
		case p.life != alive:
			*p = onceProc{life: p.life, swept: p.swept}
		case p.pc != onceClaim && p.pc != onceSign && p.pc != onceSleep && p.pc != onceAsleep && (p.pc != onceEnd || w.mut != onceLooksBefore):
			p.v = 0
		}
	}
	return w
}

func (w onceWorld) moves(emit func(string, moveKind, onceWorld)) {
	yield := func(label string, kind moveKind, n onceWorld) { emit(label, kind, n.plain()) }
	for i, p := range w.p {
		n := w
		switch {
		case p.life == dying:
			if n.p[i].life = dead; w.runs(i) {
				n.began--
			}
			yield(fmt.Sprintf("%d is quiescent", i), step, n)
		case p.life == dead:
			if !p.swept && w.sweep.of == 0 && !w.unswept {
				n.sweep, n.known[i] = onceSweep{of: int8(i + 1)}, true
				yield(fmt.Sprintf("sweep of %d begins", i), step, n)
			}
		case p.pc == onceOver:
		case p.pc == onceAsleep:
			n.queue.remove(i)
			r := p.v&holderMask - 1
			n.p[i].pc, n.p[i].ask = onceLook, true
			kind := backstop
			if w.p[r].life != alive && !w.mute {
				kind = step // it hears of the death
			}
			yield(fmt.Sprintf("%d %s", i, onceNames[p.pc]), kind, n)
			if p.cancels > 0 {
				n.p[i].cancels, n.p[i].late = p.cancels-1, true
				yield(fmt.Sprintf("%d is cancelled", i), step, n)
			}
		default:
			n.step(i)
			yield(fmt.Sprintf("%d %s", i, onceNames[p.pc]), step, n)
		}
		if w.kills > 0 && p.life == alive && p.pc != onceOver {
			n := w
			n.kills--
			n.queue.remove(i)
			n.p[i].life = dying
			yield(fmt.Sprintf("kill %d", i), kill, n)
		}
	}
	if w.sweep.of != 0 {
		n := w
		if !w.sweep.wake {
			if n.sweep.wake = true; w.word&holderMask == uint32(w.sweep.of) {
				n.word = 0
			}
		} else {
			if w.mut != onceSweepsDumb {
				n.wakeAll()
			}
			n.p[w.sweep.of-1].swept, n.sweep = true, onceSweep{}
		}
		yield("sweep", step, n)
	}
}

// runs reports whether process i, which was killed, was inside f: its word says so.
func (w *onceWorld) runs(i int) bool { return w.word&holderMask == token(i) }

func TestModelOnce(t *testing.T) {
	for _, c := range []struct {
		name          string
		kills         int8
		mute, unswept bool
	}{
		{"nobody dies", 0, false, false},
		{"two kills", 2, false, false},
		{"two kills, no sweep", 2, false, true},
		{"no bell", 2, true, false},
		{"no bell, no sweep", 2, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newOnceWorld(c.kills)
			w.mute, w.unswept = c.mute, c.unswept
			mustHold(t, w, modelLimit)
		})
	}
}

func TestModelOnceMutants(t *testing.T) {
	for _, c := range []struct {
		name string
		m    onceMutant
		mute bool
		want string
	}{
		{"runner replaced before it is dead", onceTakesDying, false, "two run f"},
		{"done when it begins", onceEarly, false, "returned before"},
		{"sleepers looked up before the end", onceLooksBefore, false, "lost wake"},
		{"an error counts", onceForgetsError, false, "returned before"},
		{"the sweep wakes nobody", onceSweepsDumb, true, "lost wake"},
		{"claimed without a look", onceClaimsFree, false, "two run f"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newOnceWorld(1)
			w.mut, w.mute = c.m, c.mute
			mustFail(t, w, modelLimit, c.want)
		})
	}
}
