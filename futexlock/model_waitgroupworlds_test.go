package futexlock

import "testing"

// newWGWorld is a world of the given calls. Goroutine i is of process i+1, the
// cells are empty.
func newWGWorld(cells, kills int8, calls ...[4]wgCall) wgWorld {
	w := wgWorld{plan: &wgPlan{tokens: [4]int8{1, 2, 3, 4}, cells: cells}, kills: kills}
	copy(w.plan.calls[:], calls)
	return w
}

// with has the cell at charged with tasks.
func (w wgWorld) with(at int, token int8, l load) wgWorld {
	w.cells[at] = charged(0, wgReal(token), l)
	w.total += int8(tasks(uint64(l)))
	return w
}

// begun starts the goroutines, and plants a bug.
func (w wgWorld) begun(m wgMutant) wgWorld {
	plan := *w.plan
	w.plan = &plan
	w.plan.mut = m
	for i := range w.plan.calls {
		w.begin(i)
	}
	return w.plain()
}

// unswept is w without a sweep.
func (w wgWorld) unswept() wgWorld {
	plan := *w.plan
	w.plan = &plan
	w.plan.unswept = true
	return w
}

// mute is w without bells.
func (w wgWorld) mute() wgWorld {
	plan := *w.plan
	w.plan = &plan
	w.plan.mute = true
	return w
}

// wgDones: two with a task each, and one adds another.
func wgDones(kills int8) wgWorld {
	return newWGWorld(2, kills, [4]wgCall{wgAdd, wgDone, wgDone}, [4]wgCall{wgDone}, [4]wgCall{wgWait}).with(1, 1, 1).with(0, 2, 1)
}

// wgHandsOn: a task is handed from one to the next, who waits for it.
func wgHandsOn(kills int8) wgWorld {
	return newWGWorld(2, kills, [4]wgCall{wgWait}, [4]wgCall{wgTake, wgDone}, [4]wgCall{wgWait}).with(1, 1, 1)
}

// wgBrokeOff: the same after a kill of who takes, late in its move.
func wgBrokeOff() wgWorld {
	w := wgHandsOn(0).with(0, 2, load(oneTaken))
	w.cells = [3]uint64{w.cells[0] | taskMoving, (w.cells[1] - 1) | taskMoving}
	w.total--
	w.journal, w.lock, w.life[2] = journal(1, 0, 1), 2, dying
	return w
}

// wgTwoTake: two take the tasks of one that waits.
func wgTwoTake(kills int8) wgWorld {
	return newWGWorld(3, kills, [4]wgCall{wgWait}, [4]wgCall{wgTake, wgDone}, [4]wgCall{wgTake, wgDone}).with(1, 1, 2)
}

// wgForgets: who is told resets, and waits again.
func wgForgets(kills int8) wgWorld {
	return newWGWorld(2, kills, [4]wgCall{wgDone}, [4]wgCall{wgWait, wgReset, wgWait}, [4]wgCall{wgTake, wgDone}).with(1, 1, 1+load(oneTaken))
}

// wgForgetsFirst: what was lost is forgotten while others still have a task.
func wgForgetsFirst(kills int8) wgWorld {
	return newWGWorld(2, kills, [4]wgCall{wgReset}, [4]wgCall{wgDone}, [4]wgCall{wgWait, wgReset, wgWait}).with(0, wgGone, 2).with(1, 2, 1)
}

// wgFull: there is no cell for who takes, before those of the dead are one.
func wgFull(kills int8) wgWorld {
	return newWGWorld(3, kills, [4]wgCall{wgDone}, [4]wgCall{wgTake, wgDone}, [4]wgCall{wgWait}).with(0, wgGone, 1).with(1, wgGone, load(oneTaken)).with(2, 1, 2)
}

// wgFullAdd: nor for who adds.
func wgFullAdd(kills int8) wgWorld {
	w := newWGWorld(3, kills, [4]wgCall{wgGate, wgDone}, [4]wgCall{wgAdd, wgDone}, [4]wgCall{wgWait}).with(0, wgGone, 1).with(1, wgGone, load(oneTaken)).with(2, 1, 1)
	w.plan.gate = 1
	return w
}

// wgTwoOfOne: one goroutine of a process ends its task while another adds one
// that a child takes.
func wgTwoOfOne(kills int8) wgWorld {
	w := newWGWorld(3, kills, [4]wgCall{wgDone}, [4]wgCall{wgAdd}, [4]wgCall{wgGate, wgTake, wgDone}).with(0, 1, 1)
	w.plan.tokens = [4]int8{1, 1, 2, 4}
	w.plan.gate = 1
	return w
}

// wgTwoAdd: two goroutines of a process add and do tasks while a child takes one.
func wgTwoAdd(kills int8) wgWorld {
	w := newWGWorld(3, kills, [4]wgCall{wgAdd, wgDone}, [4]wgCall{wgAdd, wgDone}, [4]wgCall{wgTake, wgDone}).with(2, 1, 1)
	w.plan.tokens = [4]int8{1, 1, 2, 4}
	return w
}

// wgLength is how much there is to explore.
type wgLength int

const (
	wgQuick wgLength = iota
	wgLong           // not with -short
	wgDeep           // only with -deep
)

func TestModelWaitGroup(t *testing.T) {
	for _, c := range []struct {
		name   string
		w      wgWorld
		length wgLength
	}{
		{"done", wgDones(2), wgQuick},
		{"done, no sweep", wgDones(2).unswept(), wgQuick},
		{"take, two wait", wgHandsOn(1), wgDeep},
		{"take, two wait, no sweep", wgHandsOn(1).unswept(), wgLong},
		{"take broke off, two wait", wgBrokeOff(), wgQuick},
		{"take, two wait, two kills", wgHandsOn(2), wgDeep},
		{"two take", wgTwoTake(1), wgLong},
		{"two take, two kills", wgTwoTake(2), wgDeep},
		{"reset", wgForgets(1), wgQuick},
		{"reset, others at work", wgForgetsFirst(2), wgQuick},
		{"reset, two kills", wgForgets(2), wgDeep},
		{"cells run out, take", wgFull(1), wgLong},
		{"cells run out, take, two kills", wgFull(2), wgDeep},
		{"cells run out, add", wgFullAdd(1), wgQuick},
		{"done, no bell", wgDones(2).mute(), wgQuick},
		{"done, no bell, no sweep", wgDones(2).mute().unswept(), wgQuick},
		{"take, two wait, no bell", wgHandsOn(1).mute(), wgDeep},
		{"two take, no bell", wgTwoTake(1).mute(), wgDeep},
		{"reset, no bell", wgForgets(1).mute(), wgLong},
		{"two goroutines", wgTwoOfOne(2), wgQuick},
		{"two goroutines add", wgTwoAdd(2), wgQuick},
	} {
		t.Run(c.name, func(t *testing.T) {
			switch {
			case c.length == wgDeep:
				deep(t)
			case c.length == wgLong && testing.Short():
				t.Skip("a large world: not with -short")
			}
			mustHold(t, c.w.begun(wgSound), modelLimit)
		})
	}
}

func TestModelWaitGroupMutants(t *testing.T) {
	for _, c := range []struct {
		name string
		m    wgMutant
		w    wgWorld
		want string
	}{
		{"no second look", wgNoRecheck, wgDones(0), "lost wake"},
		{"flag dropped with sleepers behind it", wgQuietAsleep, wgDones(0), "lost wake"},
		{"cells added up once", wgNoRises, wgHandsOn(0), "returned nil"},
		{"rises changed after the source is clear", wgLateRise, wgHandsOn(0), "returned nil"},
		{"no ring at the end of a move", wgNoRing, wgBrokeOff(), "lost wake"},
		{"not put back", wgNoRestore, wgHandsOn(1), "residue"},
		{"put back though arrived", wgTwice, wgHandsOn(1), "in truth"},
		{"journal written late", wgLateNote, wgHandsOn(1), "in truth"},
		{"taken tasks dropped by the sweep", wgNamesLate, wgTwoTake(1), "in truth"},
		{"Done looks once", wgDonesOnce, wgTwoOfOne(0), "Done found no task"},
		{"Reset tries once", wgResetsOnce, wgForgets(1), "Reset left"},
		{"Reset unseen", wgResetsUnseen, wgForgetsFirst(0), "Wait said"},
		{"the sweep wakes nobody", wgNoAlarm, wgDones(1), "lost wake"},
		{"lost before dead", wgDyingLost, wgTwoTake(1), "Wait said"},
	} {
		t.Run(c.name, func(t *testing.T) { mustFail(t, c.w.begun(c.m), modelLimit, c.want) })
	}
}
