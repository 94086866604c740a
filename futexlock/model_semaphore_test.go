package futexlock

import (
	"fmt"
	"testing"
)

// The world of a Semaphore: three processes take permits and give them back,
// counted ones (one process wants two) or owned ones in cells. The arithmetic
// is that of bell.go and permitword.go, the order of the steps that of
// semaphorewait.go.
type semWorld struct {
	bell    uint32
	value   int8
	cells   [2]uint64
	queue   queue
	p       [3]semProc
	sweep   semSweep
	kills   int8
	owned   bool
	unswept bool
	mut     semMutant
	fault   string
}

type semMutant int8

const (
	semSound       semMutant = iota
	semSilentAwake           // the flags are dropped without a wake
	semNoRecheck             // a waiter signs the bell and sleeps without looking again
	semKeepsRing             // a cancelled waiter does not pass its ring on
	semTakesDying            // the permit of a process is taken before it is dead
	semTwoSteps              // a permit is taken, and the name written afterwards
)

type semProc struct {
	pc       semPC
	then     semPC // where a ring returns to
	life     life
	swept    bool
	want     int8
	rounds   int8
	cancels  int8
	v, nv    uint32
	n        int8 // of a ring
	cell     int8
	entitled bool
	lost     bool
	long     bool
}

type semSweep struct {
	of   int8
	cell int8
}

type semPC int8

const (
	semFast semPC = iota
	semFastTake
	semMay
	semMayWake
	semMayTake
	semLook
	semSign
	semReclaim
	semTake
	semSleep
	semAsleep
	semCancel
	semCalm
	semRest
	semInside
	semGive
	semAnnounce
	semRing
	semRingWake
	semSilent
	semSilentWake
	semName // mutant: has a permit, but not its name
	semNext
	semOver
)

func newSemWorld(owned bool, permits, kills int8) semWorld {
	w := semWorld{owned: owned, kills: kills}
	for i := range w.p {
		w.p[i] = semProc{want: 1, rounds: 1}
	}
	w.p[1].cancels = 1
	if !owned {
		w.value = permits
		w.p[2].want = 2
		return w
	}
	for i := range permits {
		w.cells[i] = permitFree
	}
	return w
}

func (w semWorld) free() int8 {
	if !w.owned {
		return w.value
	}
	n := int8(0)
	for _, c := range w.cells {
		if permitState(c) == permitFree {
			n++
		}
	}
	return n
}

func (w semWorld) died() bool {
	for _, p := range w.p {
		if p.life != alive {
			return true
		}
	}
	return false
}

func (w semWorld) excused() bool { return w.unswept && w.died() }

func (w semWorld) finished() bool {
	if w.sweep.of != 0 {
		return false
	}
	for _, p := range w.p {
		switch {
		case p.life == dying || p.life == dead && !p.swept && !w.unswept:
			return false
		case p.life == dead || p.pc == semOver:
		case p.pc == semAsleep && !w.owned && w.died() && w.value < p.want:
			// The dead have taken with them what this one waits for.
		default:
			return false
		}
	}
	return true
}

func (w semWorld) wrong() string {
	if w.fault != "" {
		return w.fault
	}
	inside := int8(0)
	for _, p := range w.p {
		if p.pc == semInside && p.life != dead {
			inside += p.want
		}
	}
	if w.owned && inside+w.free() > 1 {
		return "more permits than there are"
	}
	if w.finished() && w.owned && !w.unswept && w.free() != 1 {
		return "a permit is lost"
	}
	if w.finished() && !w.owned && !w.died() && w.value != 3 {
		return "permits were lost or made"
	}
	return ""
}

func (w *semWorld) wake(n int8) (woken int8) {
	for ; n < 0 || woken < n; woken++ {
		i := w.queue.pop()
		if i < 0 {
			break
		}
		w.p[i].pc, w.p[i].entitled, w.p[i].lost = semLook, true, false
	}
	return woken
}

func (w semWorld) plain() semWorld {
	for i := range w.p {
		p := &w.p[i]
		if p.life != alive {
			in := p.pc == semInside && p.life == dying
			*p = semProc{life: p.life, pc: semOver, swept: p.swept, want: p.want}
			if in {
				p.pc = semInside
			}
			continue
		}
		switch p.pc {
		case semSign, semReclaim, semTake, semSleep, semAsleep:
		case semRing, semRingWake, semSilent, semSilentWake:
			p.nv = 0
		default:
			p.v, p.nv = 0, 0
		}
		if p.pc < semAnnounce || p.pc > semSilentWake {
			p.n = 0
			if p.pc != semLook {
				p.then = 0
			}
		}
		if p.pc == semAsleep {
			p.entitled, p.lost, p.v = false, false, 0
		}
		if p.pc > semCancel {
			p.entitled, p.lost = false, false
		}
	}
	return w
}

func (w semWorld) moves(emit func(string, moveKind, semWorld)) {
	yield := func(label string, kind moveKind, n semWorld) { emit(label, kind, n.plain()) }
	for i := range w.p {
		p := w.p[i]
		switch p.life {
		case alive:
			if p.pc == semOver {
				continue
			}
			if w.kills > 0 {
				n := w
				n.kills--
				n.queue.remove(i)
				n.p[i].life = dying
				yield(fmt.Sprintf("kill %d", i), kill, n)
			}
			w.step(i, yield)
		case dying:
			n := w
			n.p[i].life = dead
			yield(fmt.Sprintf("%d is quiescent", i), step, n)
		case dead:
			if !p.swept && w.sweep.of == 0 && !w.unswept {
				n := w
				n.sweep = semSweep{of: int8(i + 1)}
				yield(fmt.Sprintf("sweep of %d begins", i), step, n)
			}
		}
	}
	if w.sweep.of != 0 {
		w.sweepStep(yield)
	}
}

// sweepStep frees the cells of one dead process, and wakes everybody. That is
// one step here: killed inside, the sweep is run again from the start.
func (w semWorld) sweepStep(yield func(string, moveKind, semWorld)) {
	n := w
	s := &n.sweep
	switch {
	case int(s.cell) < len(w.cells):
		c := &n.cells[s.cell]
		if permitToken(*c) == uint32(s.of) {
			*c, _ = bequeathed(*c)
		}
		s.cell++
	default:
		n.bell = silent(n.bell)
		n.wake(-1)
		n.p[s.of-1].swept = true
		*s = semSweep{}
	}
	yield("sweep", step, n)
}

func TestModelSemaphore(t *testing.T) {
	t.Run("counted", func(t *testing.T) { mustHold(t, newSemWorld(false, 3, 0), modelLimit) })
	t.Run("counted, twice", func(t *testing.T) {
		deep(t)
		w := newSemWorld(false, 3, 0)
		w.p[0].rounds, w.p[1].rounds = 2, 2
		mustHold(t, w, modelLimit)
	})
	t.Run("counted, kill", func(t *testing.T) { mustHold(t, newSemWorld(false, 3, 1), modelLimit) })
	t.Run("owned, cancel, nobody dies", func(t *testing.T) { mustHold(t, newSemWorld(true, 1, 0), modelLimit) })
	t.Run("owned", func(t *testing.T) {
		if testing.Short() {
			t.Skip("a large world: not with -short")
		}
		w := newSemWorld(true, 1, 1)
		w.p[1].cancels = 0
		mustHold(t, w, modelLimit)
	})
	t.Run("owned, cancel", func(t *testing.T) {
		deep(t)
		mustHold(t, newSemWorld(true, 1, 1), modelLimit)
	})
	t.Run("owned, no sweep", func(t *testing.T) {
		w := newSemWorld(true, 1, 1)
		w.unswept = true
		if testing.Short() {
			w.p[1].cancels = 0
		}
		mustHold(t, w, modelLimit)
	})
}

func TestModelSemaphoreMutants(t *testing.T) {
	for _, c := range []struct {
		name  string
		m     semMutant
		owned bool
		want  string
	}{
		{"flags dropped with sleepers behind them", semSilentAwake, true, "lost wake"},
		{"no second look", semNoRecheck, true, "lost wake"},
		{"ring kept by the cancelled", semKeepsRing, true, "lost wake"},
		{"permit taken from the dying", semTakesDying, true, "more permits"},
		{"owner written after acquisition", semTwoSteps, true, "a permit is lost"},
	} {
		t.Run(c.name, func(t *testing.T) {
			permits := int8(3)
			if c.owned {
				permits = 1
			}
			w := newSemWorld(c.owned, permits, 1)
			w.mut = c.m
			mustFail(t, w, modelLimit, c.want)
		})
	}
}
