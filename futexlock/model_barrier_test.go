package futexlock

import (
	"fmt"
	"slices"
	"testing"

	"shmkit/shm"
)

// The world of a Barrier: three processes of one goroutine each call its methods
// as their scripts say, a word a call. The arithmetic is barrierword.go's, the
// order of the steps that of barrier.go and barriercell.go. Rounds and epochs
// begin shortly before they wrap. What a process learns about a death is the worst
// of what watch.go allows: at once, or not before its sleep has ended by itself
// and the kernel is asked. Nobody closes anything here.
type barWorld struct {
	state  uint64
	cells  [3]uint64
	p      [3]barParty
	sweep  barSweep
	rounds [8]barRound // ghost
	queue  queue
	doomed bool // ghost: a party of this epoch is dead and swept
	died   bool
	kills  int8
	fault  string
	plan   *barPlan
}

// barPlan is what no move changes.
type barPlan struct {
	scripts [3]string // letters: see begin
	parties uint32
	kills   int8
	cancels [3]int8
	cells   int  // 0: all
	apart   bool // each begins at a cell of its own
	unswept bool
	meets   bool // unless somebody dies all come to the end of their scripts
	mut     barMutant
}

type barMutant int8

const (
	barSound        barMutant = iota
	barWakesFirst             // the last arrival wakes, and then ends the round
	barAnyRound               // whoever breaks a round does not look which one it is
	barCellLate               // arrives, and then takes a cell
	barEndsWell               // a round that is over has ended well
	barForgetsFail            // an action's failure breaks nothing
	barActsLate               // ends the round, and then runs the action
	barAbortsOnce             // Abort gives up when the round ends meanwhile
	barResetMute              // Reset wakes nobody
	barBreakMute              // whoever breaks the round wakes nobody
	barSweepMute              // the sweep breaks nothing
	barSweepWaited            // the sweep breaks a round only if somebody has arrived
	barSweepOnce              // the sweep gives up when the round ends meanwhile
	barSweepSilent            // the sweep does not wake those that the dead had to wake
	barForgetsAll             // a Reset clears the cells of later epochs too
	barTakesLater             // a cell of a later epoch is taken for an empty one
	barFullForGood            // full in an epoch that is over is full
	barGivesUpTwice           // who gives up in a full round goes on to the next
	barGivesUpBlind           // who gives up does not look whether the round is over
	barAnyEpoch               // the parties of earlier epochs count
)

// barRound is the true story of a round.
type barRound struct {
	arrived int8
	end     barEnd
	acted   int8
	passed  int8
}

type barEnd int8

const (
	barOpen barEnd = iota
	barCompleted
	barBroke
	barBrokeDied
	barWasReset
)

type barParty struct {
	v, now  uint64 // v of a Reset: the state that it made
	pc      barPC
	then    barThen
	life    life
	swept   bool
	op      int8
	cell    int8
	cancels int8
	member  barMember // ghost
	gone    bool      // ctx is done
	gave    bool      // ghost: has broken a round by giving up
	saw     bool      // ghost: the barrier was broken during this Abort
	early   bool      // place >= parties
	ask     bool
	last    bool
	watch   bool
}

// barMember says what a process is to the epoch.
type barMember int8

const (
	barStranger barMember = iota
	barListed             // has a cell
	barArrived            // has arrived in some round
)

type barSweep struct {
	v, now uint64
	pc     barPC
	of     int16
	cell   int32
}

// barFirst is the state to begin with.
const barFirst = uint64(1<<29-2)<<3 | uint64(epochMask)<<32

func newBarWorld(plan *barPlan) barWorld {
	w := barWorld{state: barFirst, plan: plan, kills: plan.kills}
	for i := range w.p {
		w.p[i].cancels = plan.cancels[i]
		w.begin(i)
	}
	return w.plain()
}

func (w *barWorld) cellCount() int {
	if w.plan.cells > 0 {
		return w.plan.cells
	}
	return len(w.cells)
}

// round is the story of the round of v.
func (w *barWorld) round(v uint64) *barRound {
	return &w.rounds[(barrierRound(v)-barrierRound(barFirst))&(1<<29-1)]
}

func (w barWorld) excused() bool { return w.plan.unswept && w.died }

// finished: whoever sleeps waits for a party that lives and does not come.
func (w barWorld) finished() bool {
	if w.sweep.of != 0 {
		return false
	}
	missing := false
	for _, p := range w.p {
		missing = missing || p.life != alive && p.member == barArrived
	}
	waits := w.state&barrierFlags == 0 && !missing && (w.died || !w.plan.meets)
	for _, p := range w.p {
		switch {
		case p.life == dying || p.life == dead && !p.swept && !w.plan.unswept:
			return false
		case p.life == dead || p.pc == barOver:
		case p.pc == barAsleep && !p.early && waits && barrierRound(w.state) == barrierRound(p.v):
		default:
			return false
		}
	}
	return true
}

func (w barWorld) wrong() string {
	if w.fault != "" {
		return w.fault
	}
	n := barrierArrived(w.state)
	if n > w.plan.parties || n == w.plan.parties && w.state&(barrierActing|barrierBroken) == 0 {
		return fmt.Sprintf("%d of %d have arrived and the round is not over", n, w.plan.parties)
	}
	for i, p := range w.p {
		if p.member == barArrived && p.life == alive && !slices.Contains(w.cells[:], partyCell(w.state, token(i))) && w.plan.mut != barCellLate {
			return fmt.Sprintf("process %d has arrived in this epoch and has no cell", i)
		}
	}
	if !w.finished() {
		return ""
	}
	asleep := uint32(0)
	for _, p := range w.p {
		if p.pc == barAsleep {
			asleep++
		}
	}
	if !w.died && w.state&barrierBroken == 0 && n != asleep {
		return fmt.Sprintf("residue: %d have arrived, %d wait", n, asleep)
	}
	for k, c := range w.cells {
		t := uint32(c >> 32)
		if t != 0 && w.p[t-1].swept {
			return fmt.Sprintf("residue: cell %d is of the dead", k)
		}
	}
	return ""
}

func (w *barWorld) wake() {
	for i := w.queue.pop(); i >= 0; i = w.queue.pop() {
		w.p[i].pc = barWaitLook
	}
}

// blame notes what must not be, the first time.
func (w *barWorld) blame(is bool, format string, args ...any) {
	if is && w.fault == "" {
		w.fault = fmt.Sprintf(format, args...)
	}
}

// plain forgets what no longer matters.
func (w barWorld) plain() barWorld {
	inUse := 0
	for i := range w.p {
		p := &w.p[i]
		if p.life != alive {
			*p = barParty{life: p.life, pc: barOver, swept: p.swept, member: p.member}
			continue
		}
		if p.pc >= barWaitLook && p.pc <= barBreakWake {
			p.v &= 1<<arrivedShift - 1 - historyMask<<historyShift // its round is all that matters
		}
		switch p.pc {
		case barResetWake, barForget, barForgetCell:
			p.v &= epochMask << 32
		case barLook, barOver, barAbort, barReset, barResetCAS, barLeave, barLeaveCell:
			p.v = 0
		default:
			inUse |= 1 << ((barrierRound(p.v) - barrierRound(barFirst)) & 7)
		}
		switch p.pc {
		case barJoinTake, barRoll, barSleep, barBreakCAS, barResetCAS, barForgetCell, barLeaveCell:
		default:
			p.now = 0
		}
		p.saw = p.saw || w.state&barrierBroken != 0 && w.op(i) == 'b'
	}
	here := (barrierRound(w.state) - barrierRound(barFirst)) & 7
	for r := range w.rounds {
		if uint32(r) != here && inUse>>r&1 == 0 {
			w.rounds[r] = barRound{}
		}
	}
	return w
}

func (w barWorld) moves(emit func(string, moveKind, barWorld)) {
	yield := func(label string, kind moveKind, n barWorld) { emit(label, kind, n.plain()) }
	for i := range w.p {
		p := w.p[i]
		switch p.life {
		case alive:
			if w.kills > 0 {
				n := w
				n.kills--
				n.died = true
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
			if !p.swept && w.sweep.of == 0 && !w.plan.unswept {
				n := w
				n.sweep = barSweep{of: int16(i + 1), pc: barSweepLook}
				yield(fmt.Sprintf("sweep of %d begins", i), step, n)
			}
		}
	}
	if w.sweep.of != 0 {
		w.sweepStep(yield)
		if w.kills > 0 {
			n := w
			n.kills--
			n.sweep = barSweep{}
			yield("kill the sweeper", kill, n)
		}
	}
}

// barCase is a world to begin with.
type barCase struct {
	name string
	plan barPlan
	size barSize
}

type barSize int8

const (
	barSmall barSize = iota
	barLarge         // not with -short
	barDeep          // only with -deep
)

func TestModelBarrier(t *testing.T) {
	for _, c := range []barCase{
		{"two rounds", barPlan{scripts: [3]string{"ww", "ww", "ww"}, parties: 3, meets: true}, barLarge},
		{"a kill", barPlan{scripts: [3]string{"ww", "w", "w"}, parties: 3, kills: 1, apart: true}, barLarge},
		{"a kill, no sweep", barPlan{scripts: [3]string{"ww", "ww", "w"}, parties: 3, kills: 1, apart: true, unswept: true}, 0},
		{"actions", barPlan{scripts: [3]string{"aa", "a", "a"}, parties: 2, apart: true}, 0},
		{"actions and a kill", barPlan{scripts: [3]string{"aw", "aw"}, parties: 2, kills: 1}, 0},
		{"an action fails", barPlan{scripts: [3]string{"fw", "aw", "r"}, parties: 2, apart: true}, 0},
		{"an action fails, kill", barPlan{scripts: [3]string{"f", "w", "r"}, parties: 2, kills: 1, apart: true}, barLarge},
		{"abort and reset", barPlan{scripts: [3]string{"mm", "mm", "br"}, parties: 2, meets: true}, barLarge},
		{"abort, reset, come again", barPlan{scripts: [3]string{"brm", "m", "m"}, parties: 3, meets: true, apart: true}, 0},
		{"abort and a kill", barPlan{scripts: [3]string{"ww", "ww", "b"}, parties: 2, kills: 1, apart: true}, 0},
		{"giving up", barPlan{scripts: [3]string{"a", "a", "ar"}, parties: 2, cancels: [3]int8{1, 0, 1}, apart: true}, barLarge},
		{"giving up and a kill", barPlan{scripts: [3]string{"ww", "w", "w"}, parties: 3, cancels: [3]int8{1}, kills: 1, apart: true}, barLarge},
		{"reset and a kill", barPlan{scripts: [3]string{"ww", "rw"}, parties: 2, kills: 1}, 0},
		{"resets", barPlan{scripts: [3]string{"w", "rw", "rw"}, parties: 2}, barLarge},
		{"a substitute", barPlan{scripts: [3]string{"ww", "w", "w"}, parties: 2, kills: 1, apart: true}, barLarge},
		{"leaving", barPlan{scripts: [3]string{"wl", "ww"}, parties: 2, kills: 1}, 0},
		{"two cells", barPlan{scripts: [3]string{"w", "rw", "w"}, parties: 2, cells: 2}, 0},
		{"two kills", barPlan{scripts: [3]string{"ww", "w", "b"}, parties: 2, kills: 2, apart: true}, barLarge},
		{"two kills, no sweep", barPlan{scripts: [3]string{"w", "w", "w"}, parties: 3, kills: 2, apart: true, unswept: true}, 0},
		{"three parties, two kills", barPlan{scripts: [3]string{"w", "w", "w"}, parties: 3, kills: 2, apart: true}, barDeep},
		{"three times an action, and a kill", barPlan{scripts: [3]string{"aa", "aa", "a"}, parties: 2, kills: 1, apart: true}, barDeep},
		{"giving up, reset and a kill", barPlan{scripts: [3]string{"ww", "ww", "wr"}, parties: 3, cancels: [3]int8{1}, kills: 1, apart: true}, barDeep},
		{"three parties, reset and a kill", barPlan{scripts: [3]string{"w", "w", "rw"}, parties: 3, kills: 1}, barDeep},
		{"leaving, and a kill", barPlan{scripts: [3]string{"wl", "ww", "w"}, parties: 2, kills: 1, apart: true}, barDeep},
		{"abort, reset and two kills", barPlan{scripts: [3]string{"ww", "wr", "b"}, parties: 2, kills: 2, apart: true}, barDeep},
	} {
		t.Run(c.name, func(t *testing.T) {
			switch {
			case c.size == barDeep:
				deep(t)
			case c.size == barLarge && (shm.RaceEnabled || testing.Short()):
				t.Skip("a large world: not with -short, and one goroutine is nothing for the race detector")
			}
			mustHold(t, newBarWorld(&c.plan), modelLimit)
		})
	}
}

func TestModelBarrierMutants(t *testing.T) {
	rounds := barPlan{scripts: [3]string{"ww", "ww"}, parties: 2, meets: true}
	killed := barPlan{scripts: [3]string{"ww", "ww"}, parties: 2, kills: 1, apart: true}
	unswept := killed
	unswept.unswept = true
	acts := barPlan{scripts: [3]string{"a", "a"}, parties: 2}
	fails := barPlan{scripts: [3]string{"f", "f", "r"}, parties: 2}
	reset := barPlan{scripts: [3]string{"w", "rw", ""}, parties: 2}
	resets := barPlan{scripts: [3]string{"w", "rw", "r"}, parties: 2}
	abort := barPlan{scripts: [3]string{"ww", "ww", "b"}, parties: 2}
	breaker := barPlan{scripts: [3]string{"w", "b"}, parties: 2, kills: 1}
	gives := barPlan{scripts: [3]string{"ww", "ww", "r"}, parties: 2, cancels: [3]int8{1}}
	crowd := barPlan{scripts: [3]string{"a", "ar", "a"}, parties: 2, cancels: [3]int8{1}}
	alone := barPlan{scripts: [3]string{"w", "ww"}, parties: 1, kills: 1}
	full := barPlan{scripts: [3]string{"w", "w", "rw"}, parties: 2, cells: 2}
	dead := barPlan{scripts: [3]string{"ww", "ww", "r"}, parties: 2, kills: 1, apart: true}
	for _, c := range []struct {
		name string
		m    barMutant
		in   barPlan
		want string
	}{
		{"woken before the round ends", barWakesFirst, rounds, "a lost wake"},
		{"the round that is broken not looked at", barAnyRound, fails, "not its own"},
		{"counted before it has a cell", barCellLate, unswept, "never all finish"},
		{"counted before it has a cell, swept", barCellLate, killed, "after a party was swept"},
		{"whatever ended has ended well", barEndsWell, reset, "was not completed"},
		{"failure of an action forgotten", barForgetsFail, fails, "its round did not"},
		{"action after the round", barActsLate, acts, "before the action"},
		{"Abort at the end of a round lost", barAbortsOnce, abort, "never broken"},
		{"Reset without a wake", barResetMute, reset, "a lost wake"},
		{"broken without a wake", barBreakMute, abort, "a lost wake"},
		{"sweep breaks nothing", barSweepMute, killed, "after a party was swept"},
		{"sweep breaks what is waited for", barSweepWaited, alone, "after a party was swept"},
		{"sweep gives up at the end of a round", barSweepOnce, alone, "after a party was swept"},
		{"sweep without a wake", barSweepSilent, breaker, "a lost wake"},
		{"cells of later epochs forgotten", barForgetsAll, resets, "has no cell"},
		{"cell of a later epoch taken", barTakesLater, resets, "has no cell"},
		{"full for good", barFullForGood, full, "there is an empty cell"},
		{"giving up twice", barGivesUpTwice, crowd, "after it gave up"},
		{"giving up without a look", barGivesUpBlind, gives, "that was completed"},
		{"parties of earlier epochs count", barAnyEpoch, dead, "and none died"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.in.mut = c.m
			mustFail(t, newBarWorld(&c.in), modelLimit, c.want)
		})
	}
}
