package futexlock

import (
	"fmt"
	"testing"
)

// The world of a lock word: three processes lock and unlock one word, one of
// them by trying. All arithmetic is the real code's, of lockword.go; the order
// of the steps is that of lockwait.go.
type mutexWorld struct {
	word    uint32
	queue   queue
	p       [3]locker
	sweep   sweeper
	kills   int8 // still allowed
	died    bool // somebody was killed
	dirty   bool // ghost: a holder died, and nobody has called Consistent since
	fault   string
	mut     mutant
	tries   bool // process 2 locks by trying
	unswept bool // nobody sweeps the dead
}

// mutant is a planted bug.
type mutant int8

const (
	sound         mutant = iota
	dropsWaited          // unlock stores 0 and then wakes, as most mutexes do
	noQuiescence         // takes over from a holder that is still dying
	ownerAfter           // takes the word first and writes its name afterwards
	forgetsKeep          // a woken locker does not carry waited on
	dropsDied            // a takeover does not say so
	noReopen             // unlock gives up when its flag cannot be dropped
	keepsBaton           // a cancelled sleeper does not pass its wake on
	noBackstopCAS        // newcomers sleep on the all-ones word as it is
)

// locker is one process.
type locker struct {
	pc       pc
	life     life
	rounds   int8
	v, nv    uint32
	keep     bool
	entitled bool
	lost     bool
	long     bool
	told     bool
	cancels  int8 // how often its context may be done; of a dead process: it was swept
}

// sweeper is the process that looks after the dead.
type sweeper struct {
	pc pc
	of int8 // whom
	v  uint32
}

type pc int8

const (
	idle pc = iota
	look
	take
	inherit
	sign
	wait
	asleep
	pass
	passWake
	named // mutant ownerAfter: holds the word without a name
	inside
	unlockLook
	unlockDied
	release
	drop
	reopenLook
	reopenCAS
	reopenWake
	mutWake
	tryLook
	tryWake
	tryTake
	over
)

func token(i int) uint32 { return uint32(i + 1) }

func newMutexWorld(m mutant, kills int8) mutexWorld {
	w := mutexWorld{kills: kills, mut: m}
	for i := range w.p {
		w.p[i].rounds = 1
	}
	if !testing.Short() { // a third of the states; every mutant is caught in it
		w.p[0].rounds = 2
	}
	w.p[1].cancels = 1
	return w
}

// excused: without a sweep, the wake that a killed process was given is lost.
func (w mutexWorld) excused() bool { return w.died && w.unswept }

func (w mutexWorld) finished() bool {
	for _, p := range w.p {
		if p.life == alive && p.pc != over {
			return false
		}
	}
	return true
}

func (w mutexWorld) wrong() string {
	if w.fault != "" {
		return w.fault
	}
	n := 0
	for _, p := range w.p {
		// A dying process inside goes on storing until it is dead.
		if p.pc == inside && p.life != dead {
			n++
		}
	}
	if n > 1 {
		return "two processes are inside"
	}
	if w.finished() && !w.died && !isFree(w.word) {
		return fmt.Sprintf("residue %#x", w.word)
	}
	return ""
}

// wake wakes up to n sleepers.
func (w *mutexWorld) wake(n int) (woken int) {
	for ; woken < n; woken++ {
		i := w.queue.pop()
		if i < 0 {
			break
		}
		w.p[i].pc, w.p[i].entitled, w.p[i].lost = look, true, false
	}
	return woken
}

func (w *mutexWorld) cas(old, new uint32) bool {
	if w.word != old {
		return false
	}
	w.word = new
	return true
}

// enter is the moment when a lock function returns with the lock.
func (w *mutexWorld) enter(i int, told bool) {
	p := &w.p[i]
	if told != w.dirty {
		w.fault = fmt.Sprintf("process %d was told died=%v, true is %v", i, told, w.dirty)
	}
	p.pc, p.told = inside, told
}

// leave ends a round.
func (p *locker) leave() {
	*p = locker{life: p.life, rounds: p.rounds - 1, cancels: p.cancels}
	if p.rounds == 0 {
		p.pc = over
	}
}

func (w mutexWorld) lifeOf(token uint32) life {
	if token == 0 || token > 3 {
		return alive
	}
	return w.p[token-1].life
}

// plain forgets what no longer matters, so that states which behave alike are
// one: locals that will be written before they are read, and all of the dead.
func (w mutexWorld) plain() mutexWorld {
	for i := range w.p {
		p := &w.p[i]
		if p.life != alive {
			in := p.pc == inside && p.life == dying
			*p = locker{life: p.life, pc: over, cancels: p.cancels}
			if p.life == dying {
				p.cancels = 0
			}
			if in {
				p.pc = inside
			}
			continue
		}
		switch p.pc {
		case sign:
		case wait, asleep:
			p.v = 0
		case take, inherit, unlockDied, release, reopenCAS, tryWake, tryTake:
			p.nv = 0
		case drop:
		default:
			p.v, p.nv = 0, 0
		}
		switch p.pc {
		case sign, look, take, inherit:
		case wait, asleep:
			p.entitled, p.lost = false, false
		default:
			p.keep, p.entitled, p.lost, p.long = false, false, false, false
		}
	}
	if w.sweep.pc != inherit && w.sweep.pc != reopenCAS {
		w.sweep.v = 0
	}
	return w
}

func (w mutexWorld) moves(emit func(string, moveKind, mutexWorld)) {
	yield := func(label string, kind moveKind, n mutexWorld) { emit(label, kind, n.plain()) }
	for i := range w.p {
		p := w.p[i]
		switch p.life {
		case alive:
			if p.pc == over {
				continue
			}
			if w.kills > 0 {
				n := w
				n.kills--
				n.died = true
				n.queue.remove(i)
				n.p[i].life = dying
				if holderOf(n.word) == token(i) {
					n.dirty = true
				}
				yield(fmt.Sprintf("kill %d", i), kill, n)
			}
			w.step(i, yield)
		case dying:
			n := w
			n.p[i].life = dead
			yield(fmt.Sprintf("%d is quiescent", i), step, n)
		case dead:
			if w.sweep.of == 0 && !w.unswept && p.cancels == 0 {
				n := w
				n.sweep = sweeper{look, int8(i + 1), 0}
				yield(fmt.Sprintf("sweep of %d begins", i), step, n)
			}
		}
	}
	w.sweepStep(yield)
}

const modelLimit = 8_000_000

func TestModelMutex(t *testing.T) {
	t.Run("lock", func(t *testing.T) { mustHold(t, newMutexWorld(sound, 1), modelLimit) })
	t.Run("trylock", func(t *testing.T) {
		w := newMutexWorld(sound, 1)
		w.tries = true
		mustHold(t, w, modelLimit)
	})
	t.Run("no sweep", func(t *testing.T) {
		w := newMutexWorld(sound, 1)
		w.unswept = true
		mustHold(t, w, modelLimit)
	})
	t.Run("two kills", func(t *testing.T) {
		w := newMutexWorld(sound, 2)
		w.p[0].rounds = 1
		if testing.Short() {
			w.p[1].cancels = 0
		}
		mustHold(t, w, modelLimit)
	})
}

func TestModelMutexMutants(t *testing.T) {
	for _, c := range []struct {
		name string
		m    mutant
		want string
	}{
		{"W dropped in unlock", dropsWaited, "lost wake"},
		{"takeover without quiescence", noQuiescence, "two processes are inside"},
		{"owner written after acquisition", ownerAfter, "never all finish"},
		{"death not reported", dropsDied, "was told died=false"},
		{"flag forgotten by the woken", forgetsKeep, "lost wake"},
		{"no reopening", noReopen, "lost wake"},
		{"baton kept by the cancelled", keepsBaton, "lost wake"},
		{"all ones slept on", noBackstopCAS, "lost wake"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newMutexWorld(c.m, 1)
			w.unswept = c.m == ownerAfter
			mustFail(t, w, modelLimit, c.want)
		})
	}
}
