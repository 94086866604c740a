package shm

import (
	"fmt"
	"testing"

	"shmkit/procs/procstest/explore"
)

var arenaLabels = func() (all [7][len(arenaNames)]string) {
	for i := range all {
		for pc, name := range arenaNames {
			switch who := fmt.Sprint(i); {
			case i == 3:
				all[i][pc] = "the second goroutine " + name
			case i > 3:
				all[i][pc] = fmt.Sprintf("%d's pins: %s", i-arenaPins, name)
			default:
				all[i][pc] = who + " " + name
			}
		}
	}
	return all
}()

var (
	arenaKilled   = [3]string{"kill 0", "kill 1", "kill 2"}
	arenaRestarts = [3]string{"another process takes the slot of 0", "another process takes the slot of 1", "another process takes the slot of 2"}
	arenaSweeps   = [...]string{"sweep: looks at the row", "sweep: loads gen", "sweep: reads the descriptor", "sweep: runs the hook", "sweep: clears the row", "sweep: frees the slot"}
)

const (
	sweepLooks int8 = iota
	sweepAsks
	sweepReads
	sweepHook
	sweepClears
	sweepFrees
)

func (w arenaWorld) Moves(emit func(string, explore.Kind, arenaWorld)) {
	yield := func(label string, kind explore.Kind, n arenaWorld) {
		n.note()
		emit(label, kind, n)
	}
	for i := range w.g {
		g, p := &w.g[i], &w.p[w.process(i)]
		if p.dead || g.pc == arenaOver && (i < arenaPins || !w.looks(p)) {
			continue
		}
		n := w
		if i >= arenaPins && g.pc == arenaOver {
			n.g[i].pc = arenaUnpin
		}
		label := arenaLabels[i][n.g[i].pc]
		if other := w; i < 3 && g.pc == arenaReady && w.calls(i)[g.at] == arenaOpen && w.mail[i][0].n > 0 && w.mail[i][1].n > 0 {
			other.pick = 1
			if other.step(i) {
				yield(label+", the newer", explore.Step, other)
			}
		}
		if n.pick = 0; i < 3 && w.mail[i][0].n == 0 {
			n.pick = 1
		}
		if n.step(i) {
			n.pick = 0
			yield(label, explore.Step, n)
		}
	}
	for i := range w.p {
		p := &w.p[i]
		if w.kills > 0 && !p.dead && !w.idle(i) {
			n := w
			n.kill(i)
			yield(arenaKilled[i], explore.Kill, n)
		}
		if p.dead && !p.swept && w.sweep.of == 0 {
			n := w
			n.sweep = arenaSweep{of: int8(i + 1)}
			n.sweepStep()
			yield(arenaSweeps[0], explore.Step, n)
		}
		if p.swept && w.restarts(i) {
			n := w
			n.p[i] = arenaProc{again: true}
			n.g[i] = arenaGo{at: -1}
			n.next(i)
			yield(arenaRestarts[i], explore.Step, n)
		}
	}
	if w.sweep.of != 0 {
		n := w
		n.sweepStep()
		yield(arenaSweeps[w.sweep.pc], explore.Step, n)
		if w.kills > 0 {
			n := w
			n.kills--
			n.sweep = arenaSweep{}
			yield("kill the sweeper", explore.Kill, n)
		}
	}
}

// idle reports whether a kill of process i would change nothing.
func (w *arenaWorld) idle(i int) bool {
	return w.g[i].pc == arenaOver && !w.rows[i] && w.g[i+arenaPins].pc == arenaOver && (int(w.plan.of) != i || w.g[3].pc == arenaOver)
}

// note keeps the ghosts: an object that nobody holds may be void for whoever is
// opening it now.
func (w *arenaWorld) note() {
	for i := range w.g {
		g := &w.g[i]
		if g.pc < arenaBit || g.pc > arenaUnbit || g.gap {
			continue
		}
		g.gap = !w.held(g.want)
	}
}

// held reports whether a living process has the object of that generation open.
func (w *arenaWorld) held(gen int8) bool {
	for k := range w.p {
		if p := &w.p[k]; !p.dead && p.handles > 0 && p.gen == gen {
			return true
		}
	}
	return false
}

func (w *arenaWorld) kill(i int) {
	w.kills--
	for k := range w.g {
		g := &w.g[k]
		if w.process(k) == i {
			if k == 3 && len(w.plan.calls[3]) == 0 {
				continue
			}
			w.lost = w.lost || g.pc >= arenaBit && g.pc <= arenaUnbit
			*g = arenaGo{}
		} else if g.from == int8(i+1) && g.pc >= arenaBit && g.pc <= arenaUnbit {
			g.sure = false
		}
	}
	for k := range w.mail {
		for n := range w.mail[k] {
			if m := &w.mail[k][n]; m.from == int8(i+1) {
				m.sure = false
			}
		}
	}
	w.p[i] = arenaProc{dead: true, again: w.p[i].again, holds: w.p[i].holds}
}

func (w *arenaWorld) sweepStep() {
	s, mut := &w.sweep, w.plan.mut
	of := s.of - 1
	p := &w.p[of]
	last := func(pc int8) int8 { // what comes before the slot is free
		if mut == arenaSlotFirst {
			return sweepFrees
		}
		return pc
	}
	switch s.pc {
	case sweepLooks:
		switch {
		case !w.rows[of]:
			s.pc = last(sweepClears)
		case mut == arenaRowFirst:
			w.rows[of], p.holds, s.pc = false, 0, sweepAsks
		default:
			s.pc = sweepAsks
		}
	case sweepAsks:
		if s.pc = sweepReads; w.gen&taking != 0 && mut != arenaSweepsTaken {
			s.pc = last(sweepClears)
		}
	case sweepReads:
		s.desc = w.desc
		s.pc = sweepHook
	case sweepHook:
		if s.desc != w.desc {
			w.fault = arenaStaleDesc
		}
		if w.lock == s.of {
			w.lock = 0
		}
		s.pc, s.desc = last(sweepClears), 0
	case sweepClears:
		if w.rows[of] = false; p.dead {
			p.holds = 0
		}
		if s.pc = sweepFrees; mut == arenaSlotFirst {
			*s = arenaSweep{}
		}
	case sweepFrees:
		if p.swept = true; mut == arenaSlotFirst {
			s.pc = sweepClears
			return
		}
		*s = arenaSweep{}
	}
}

type arenaCase struct {
	name  string
	plan  arenaPlan
	kills int8
	long  bool
}

var arenaWorlds = []arenaCase{
	{"there and back", arenaPlan{calls: [4][]arenaCall{
		{arenaNew, arenaUse, arenaSend1, arenaClose, arenaNew, arenaHold, arenaClose},
		{arenaOpen, arenaHold, arenaSend2, arenaClose},
		{arenaOpen, arenaUse, arenaSend0, arenaClose},
	}}, 2, false},
	{"handles kept", arenaPlan{calls: [4][]arenaCall{
		{arenaNew, arenaSend1, arenaSend1, arenaClose, arenaNew, arenaUse, arenaSend2, arenaClose, arenaNew},
		{arenaOpen, arenaUse, arenaClose, arenaOpen, arenaUse, arenaClose},
		{arenaOpen, arenaUse, arenaClose},
	}}, 2, false},
	{"handed over", arenaPlan{calls: [4][]arenaCall{
		{arenaNew, arenaSend0, arenaSend1, arenaSend2, arenaSend2, arenaClose, arenaOpen, arenaClose, arenaNew},
		{arenaOpen, arenaUse, arenaSend2, arenaClose},
		{arenaOpen, arenaClose, arenaOpen, arenaUse, arenaClose, arenaOpen, arenaClose},
	}}, 0, false},
	{"handed over, and a kill", arenaPlan{calls: [4][]arenaCall{
		{arenaNew, arenaSend0, arenaSend1, arenaSend2, arenaSend2, arenaClose, arenaOpen, arenaClose, arenaNew},
		{arenaOpen, arenaClose},
		{arenaOpen, arenaClose, arenaOpen, arenaClose},
	}}, 1, true},
	{"two goroutines", arenaPlan{calls: [4][]arenaCall{
		{arenaNew, arenaClose, arenaNew, arenaSend2, arenaClose},
		{arenaOpen, arenaUse, arenaClose},
		{arenaOpen, arenaSend1, arenaUse, arenaClose},
		{arenaSend1},
	}}, 2, true},
	{"sent back", arenaPlan{calls: [4][]arenaCall{
		{arenaNew, arenaSend1, arenaOpen, arenaClose, arenaSend2, arenaClose, arenaNew},
		{arenaOpen, arenaSend0, arenaClose},
		{arenaOpen, arenaSend1, arenaClose},
	}}, 1, false},
	{"a slot is used again", arenaPlan{calls: [4][]arenaCall{
		{arenaNew, arenaSend1, arenaSend1, arenaSend1, arenaUse, arenaClose, arenaNew, arenaUse},
		{arenaOpen, arenaUse, arenaClose},
	}, again: [3][]arenaCall{1: {arenaOpen, arenaHold, arenaClose, arenaOpen, arenaUse, arenaClose}}}, 3, false},
	{"two too late", arenaPlan{calls: [4][]arenaCall{
		{arenaNew, arenaSend1, arenaSend2, arenaSend2, arenaSend2, arenaClose, arenaNew, arenaClose},
		{arenaOpen, arenaUse, arenaClose},
		{arenaOpen, arenaClose, arenaOpen, arenaClose, arenaOpen, arenaClose},
	}}, 1, true},
	{"a newcomer", arenaPlan{calls: [4][]arenaCall{
		{arenaNew, arenaSend1, arenaSend2, arenaClose, arenaNew, arenaUse},
		{arenaOpen, arenaUse, arenaClose},
		{arenaAttach, arenaOpen, arenaUse, arenaClose},
	}, late: true}, 2, false},
}

func TestModelArenaMutants(t *testing.T) {
	for _, c := range []struct {
		name  string
		mut   arenaMutant
		world string
		kills int8
		want  string
	}{
		{"gen is raised after the look at the bits", arenaLooksFirst, "handles kept", 0, "given away"},
		{"the bit is set after the look at gen", arenaBitLate, "handles kept", 0, "given away"},
		{"a handle that was sent is not counted", arenaSendsUncounted, "there and back", 0, "that was sent was void"},
		{"the row is cleared before the hooks", arenaRowFirst, "there and back", 2, "held for ever"},
		{"the slot is freed before the row is cleared", arenaSlotFirst, "a slot is used again", 1, "given away"},
		{"the bit is cleared before the locks are released", arenaLetsGoFirst, "there and back", 1, "for ever"},
		{"highSlot is read before the mark", arenaHighEarly, "a newcomer", 0, "given away"},
		{"an opening is counted before its bit", arenaOpensEarly, "there and back", 0, "that was sent was void"},
		{"a block is taken without a mark", arenaUnmarked, "two too late", 0, "always a holder"},
		{"a mark stays behind which somebody was seen", arenaMarkLeft, "handed over", 0, "was void"},
		{"gen is raised whatever it is", arenaSwaps, "two too late", 0, "always a holder"},
		{"a mark stays", arenaMarkStays, "two too late", 0, "always a holder"},
		{"no second look at gen", arenaLooksOnce, "handed over", 0, "always a holder"},
		{"the sweep reads what is being described", arenaSweepsTaken, "there and back", 2, "descriptor of another"},
		{"no look behind the raised gen", arenaScansOnce, "a slot is used again", 2, "descriptor of another"},
		{"Marshal of what is closed", arenaNotesClosed, "two goroutines", 0, "that was sent was void"},
		{"only the first opening counts", arenaCountsFirst, "sent back", 0, "held for ever"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, of := range arenaWorlds {
				if plan := of.plan; of.name == c.world {
					plan.mut = c.mut
					explore.Fail(t, newArenaWorld(plan, c.kills), arenaLimit, c.want)
				}
			}
		})
	}
}
