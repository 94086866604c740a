package futexlock

import (
	"fmt"
	"testing"
)

// The world of a Cond: two processes wait for items, a third makes them. The
// mutex is taken as sound (its own world shows that): it is free, or somebody's,
// or a dead one's, who has lost it. The arithmetic is condword.go's, the order of
// the steps cond.go's.
type condWorld struct {
	state   uint64
	queue   queue
	mu      int8 // who holds the mutex, from 1; 0: nobody
	items   int8
	p       [3]condProc
	sweep   int8 // whose sweep is under way, from 1
	doubt   bool // a holder of the mutex has died
	inside  bool // the maker signals while it holds the mutex
	kills   int8
	unswept bool
	mut     condMutant
	crowd   bool // the maker broadcasts
}

type condMutant int8

const (
	condSound        condMutant = iota
	condNoAnswer                // a sleeper does not take over an unanswered signal
	condQuietSeq                // the flag is dropped without changing seq
	condQuietCrowd              // the flag is dropped without telling those awake
	condQuietAsleep             // the flag is dropped without waking
	condAnswersEarly            // the woken waiter answers before it has the mutex
	condResignsLate             // a sleeper goes on from a state that it has not looked at
	condSignsOutside            // the waiter puts up its flag after it has let go of the mutex
)

type condProc struct {
	pc     condPC
	life   life
	swept  bool
	make   int8 // items to make
	v, now uint64
	woken  bool // the kernel says that we were woken
	slept  bool // the slice ended
}

type condPC int8

const (
	condLock condPC = iota
	condTell
	condSign
	condFree
	condWait
	condAsleep
	condRead
	condAnswer
	condResign
	condSignal
	condWake
	condQuiet
	condQuietWake
	condWakeAll
	condLetGo
	condOver
)

func newCondWorld(items, kills int8) condWorld {
	// What a process has changed and not yet signalled dies with it unless it
	// holds the mutex.
	w := condWorld{kills: kills, inside: kills > 0}
	w.p[2].make = items
	return w
}

func (w condWorld) excused() bool {
	return w.unswept && w.died()
}

func (w condWorld) died() bool {
	for _, p := range w.p {
		if p.life != alive {
			return true
		}
	}
	return false
}

// finished: nobody waits for items that are there.
func (w condWorld) finished() bool {
	if w.sweep != 0 {
		return false
	}
	for i, p := range w.p {
		switch {
		case p.life == dying || p.life == dead && !p.swept && !w.unswept:
			return false
		case p.life == dead || p.pc == condOver:
		case i < 2 && p.pc == condAsleep && w.items == 0 && (w.p[2].life == dead || w.p[2].pc == condOver):
		default:
			return false
		}
	}
	return true
}

func (w condWorld) wrong() string { return "" }

func (w *condWorld) wake(n int) (woken int) {
	for ; n < 0 || woken < n; woken++ {
		i := w.queue.pop()
		if i < 0 {
			break
		}
		w.p[i].pc, w.p[i].woken, w.p[i].slept = condRead, true, false
	}
	return woken
}

func (w condWorld) plain() condWorld {
	for i := range w.p {
		p := &w.p[i]
		if p.life != alive {
			*p = condProc{life: p.life, pc: condOver, swept: p.swept}
			continue
		}
		switch p.pc {
		case condLock, condTell:
			if i < 2 && !p.woken && p.pc != condTell {
				p.v = 0
			}
			p.slept = false
		case condSign, condFree, condOver:
			if i < 2 && p.pc != condFree {
				p.v = 0
			}
			p.woken, p.slept = false, false
		}
		if p.pc != condAnswer && p.pc != condResign {
			p.now = 0
		}
	}
	return w
}

func (w condWorld) moves(emit func(string, moveKind, condWorld)) {
	yield := func(label string, kind moveKind, n condWorld) { emit(label, kind, n.plain()) }
	for i := range w.p {
		p := w.p[i]
		switch p.life {
		case alive:
			if p.pc == condOver {
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
			if n.mu == int8(i+1) {
				n.mu = 0
				n.doubt = true
			}
			yield(fmt.Sprintf("%d is quiescent", i), step, n)
		case dead:
			if !p.swept && w.sweep == 0 && !w.unswept {
				n := w
				n.sweep = int8(i + 1)
				yield(fmt.Sprintf("sweep of %d begins", i), step, n)
			}
		}
	}
	if w.sweep != 0 {
		n := w
		// Its two steps as one: killed between them it is run again.
		if v := n.state; v&condWaited == 0 || condPending(v) > 0 || n.doubt {
			if v&condWaited != 0 {
				n.state = broadcast(v)
			}
			n.wake(-1)
		}
		n.p[w.sweep-1].swept = true
		n.sweep = 0
		yield("sweep wakes", step, n)
	}
}

func TestModelCond(t *testing.T) {
	t.Run("signal", func(t *testing.T) { mustHold(t, newCondWorld(3, 1), modelLimit) })
	t.Run("two kills", func(t *testing.T) { mustHold(t, newCondWorld(2, 2), modelLimit) })
	t.Run("no sweep", func(t *testing.T) {
		w := newCondWorld(2, 1)
		w.unswept = true
		mustHold(t, w, modelLimit)
	})
	t.Run("one signal, no sweep", func(t *testing.T) {
		w := newCondWorld(1, 1)
		w.unswept = true
		mustHold(t, w, modelLimit)
	})
	t.Run("signal outside", func(t *testing.T) { mustHold(t, newCondWorld(3, 0), modelLimit) })
	t.Run("broadcast", func(t *testing.T) {
		w := newCondWorld(2, 1)
		w.crowd = true
		mustHold(t, w, modelLimit)
	})
}

func TestModelCondMutants(t *testing.T) {
	for _, c := range []struct {
		name    string
		m       condMutant
		unswept bool
		want    string
	}{
		{"unanswered signals not taken over", condNoAnswer, true, "never all finish"},
		{"flag dropped without a new seq", condQuietSeq, false, "never all finish"},
		{"flag dropped without telling those awake", condQuietCrowd, false, "lost wake"},
		{"flag dropped with sleepers behind it", condQuietAsleep, false, "lost wake"},
		{"signal answered before the mutex is held", condAnswersEarly, true, "never all finish"},
		{"a later state slept on", condResignsLate, false, "lost wake"},
		{"flag put up outside the lock", condSignsOutside, false, "lost wake"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newCondWorld(3, 1)
			if w.mut = c.m; c.unswept {
				w.p[2].make, w.unswept = 1, true
			}
			mustFail(t, w, modelLimit, c.want)
		})
	}
}
