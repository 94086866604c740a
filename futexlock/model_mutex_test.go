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
	w.p[0].rounds = 2
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

// step yields what process i can do next. Each case is one atomic access to
// shared memory, or one system call.
func (w mutexWorld) step(i int, yield func(string, moveKind, mutexWorld)) {
	self := token(i)
	do := func(label string, f func(n *mutexWorld, p *locker)) {
		n := w
		f(&n, &n.p[i])
		yield(fmt.Sprintf("%d %s", i, label), step, n)
	}
	p := w.p[i]
	switch p.pc {
	case idle:
		if i == 2 && w.tries {
			do("trylock", func(n *mutexWorld, p *locker) { p.pc = tryLook })
			return
		}
		do("lock", func(n *mutexWorld, p *locker) {
			switch {
			case w.mut == ownerAfter:
				if n.cas(0, holderMask-1) {
					p.pc = named
				} else {
					p.pc = look
				}
			case n.cas(0, self):
				n.enter(i, false)
			default:
				p.pc = look
			}
		})
	case named:
		do("name", func(n *mutexWorld, p *locker) {
			n.word = n.word&^holderMask | self
			n.enter(i, n.word&ownerDied != 0)
		})
	case look:
		if p.cancels > 0 && p.entitled {
			// Woken and cancelled at once.
			do("cancelled", func(n *mutexWorld, p *locker) { p.cancels, p.pc = p.cancels-1, pass })
		}
		w.look(i, do)
	case take:
		do("take", func(n *mutexWorld, p *locker) {
			keep := uint32(0)
			if p.keep && w.mut != forgetsKeep {
				keep = waited
			}
			nv := taken(p.v, self, keep, p.long && !p.lost)
			if w.mut == ownerAfter {
				nv = nv&^holderMask | holderMask - 1
			}
			switch {
			case !n.cas(p.v, nv):
				p.pc = look
			case w.mut == ownerAfter:
				p.pc = named
			default:
				n.enter(i, p.v&ownerDied != 0)
			}
		})
	case inherit:
		do("inherit", func(n *mutexWorld, p *locker) {
			keep := uint32(0)
			if p.keep {
				keep = waited
			}
			nv := inherited(p.v, self, keep)
			if w.mut == dropsDied {
				nv &^= ownerDied
			}
			if n.cas(p.v, nv) {
				n.enter(i, nv&ownerDied != 0)
			} else {
				p.pc = look
			}
		})
	case sign:
		do("sign", func(n *mutexWorld, p *locker) {
			if p.nv == p.v || n.cas(p.v, p.nv) {
				p.keep, p.pc = true, wait
			} else {
				p.pc = look
			}
		})
	case wait:
		do("wait", func(n *mutexWorld, p *locker) {
			if n.word == p.nv {
				n.queue.push(i)
				p.pc = asleep
				return
			}
			p.pc, p.entitled, p.lost = look, false, false
		})
	case asleep:
		n := w
		n.queue.remove(i)
		q := &n.p[i]
		q.pc, q.entitled, q.lost, q.long = look, true, true, true
		if w.lifeOf(holderOf(p.nv)) != alive {
			yield(fmt.Sprintf("%d hears of the death", i), step, n)
		} else {
			yield(fmt.Sprintf("%d backstop", i), backstop, n)
		}
		if p.cancels > 0 {
			n := w
			n.queue.remove(i)
			n.p[i].cancels--
			n.p[i].pc = pass
			yield(fmt.Sprintf("%d cancelled", i), step, n)
		}
	case pass:
		do("pass on", func(n *mutexWorld, p *locker) {
			v := n.word
			switch {
			case !isFree(v) || v&(waited|starving) == 0 || w.mut == keepsBaton:
				p.leave()
			case v&starving != 0:
				p.pc = reopenLook
			default:
				p.pc = passWake
			}
		})
	case passWake:
		do("pass on wake", func(n *mutexWorld, p *locker) { n.wake(1); p.leave() })
	case inside:
		do("unlock", func(n *mutexWorld, p *locker) {
			if n.cas(self, 0) {
				p.leave()
			} else {
				p.pc = unlockLook
			}
		})
		if p.told {
			do("repair", func(n *mutexWorld, p *locker) {
				p.told, n.dirty = false, false
				n.word &^= ownerDied
			})
		}
	default:
		w.unlockStep(i, do)
	}
}

// look is a locker's load of the word and what follows from it.
func (w mutexWorld) look(i int, do func(string, func(*mutexWorld, *locker))) {
	p := w.p[i]
	v := w.word
	h := w.lifeOf(holderOf(v))
	gone := h == dead || h == dying && w.mut == noQuiescence
	if open(v, p.entitled) {
		do("look", func(n *mutexWorld, p *locker) { p.v, p.pc = v, take })
		return
	}
	if gone {
		do("look", func(n *mutexWorld, p *locker) { p.v, p.pc = v, inherit })
	}
	// Dead reads memory and may not know yet; Confirm, after a slice, does.
	if gone && p.lost || h == dying && p.lost {
		return
	}
	do("look", func(n *mutexWorld, p *locker) {
		p.v, p.nv, p.pc = v, awaited(v, p.long), sign
		if w.mut == noBackstopCAS && isFree(v) {
			p.nv = v | waited
		}
	})
}

func (w mutexWorld) unlockStep(i int, do func(string, func(*mutexWorld, *locker))) {
	self := token(i)
	switch w.p[i].pc {
	case unlockLook:
		do("unlock look", func(n *mutexWorld, p *locker) {
			p.v = n.word
			if holderOf(p.v) != self {
				n.fault = fmt.Sprintf("process %d lost the word to %#x", i, p.v)
			}
			if p.v == self|ownerDied {
				p.pc = unlockDied
				return
			}
			p.pc = release
		})
	case unlockDied:
		do("unlock, data in doubt", func(n *mutexWorld, p *locker) {
			if n.cas(p.v, ownerDied) {
				p.leave()
				return
			}
			p.pc = release
		})
	case release:
		do("release", func(n *mutexWorld, p *locker) {
			if w.mut == dropsWaited {
				n.word &= ownerDied
				p.pc = mutWake
				return
			}
			store, rest := released(p.v)
			p.v, p.nv = store, rest
			n.word = store
			if n.wake(1) == 0 {
				p.pc = drop
			} else {
				p.leave()
			}
		})
	case mutWake:
		do("wake", func(n *mutexWorld, p *locker) { n.wake(1); p.leave() })
	case drop:
		do("drop flag", func(n *mutexWorld, p *locker) {
			if n.cas(p.v, p.nv) || w.mut == noReopen {
				p.leave()
			} else {
				p.pc = reopenLook
			}
		})
	case reopenLook:
		do("reopen look", func(n *mutexWorld, p *locker) {
			p.v = n.word
			if !isFree(p.v) || p.v&starving == 0 {
				p.leave()
			} else {
				p.pc = reopenCAS
			}
		})
	case reopenCAS:
		do("reopen", func(n *mutexWorld, p *locker) {
			if n.cas(p.v, reopened(p.v)) {
				p.pc = reopenWake
			} else {
				p.pc = reopenLook
			}
		})
	case reopenWake:
		do("reopen wake", func(n *mutexWorld, p *locker) { n.wake(1); p.leave() })
	case tryLook:
		v := w.word
		h := w.lifeOf(holderOf(v))
		switch {
		case open(v, false):
			do("try look", func(n *mutexWorld, p *locker) { p.v, p.pc = v, tryTake })
		case isFree(v):
			do("try look", func(n *mutexWorld, p *locker) { p.v, p.pc = v, tryWake })
		case h == dead:
			do("try look", func(n *mutexWorld, p *locker) { p.v, p.pc = v, inherit })
			do("try busy", func(n *mutexWorld, p *locker) { p.leave() })
		default:
			do("try busy", func(n *mutexWorld, p *locker) { p.leave() })
		}
	case tryWake:
		do("try wake", func(n *mutexWorld, p *locker) {
			if n.wake(1) > 0 {
				p.leave()
			} else {
				p.pc = tryTake
			}
		})
	case tryTake:
		do("try take", func(n *mutexWorld, p *locker) {
			if n.cas(p.v, taken(p.v, self, 0, false)) {
				n.enter(i, p.v&ownerDied != 0)
			} else {
				p.pc = tryLook
			}
		})
	}
}

// sweepStep is the sweep of one dead process, as sweepWord does it.
func (w mutexWorld) sweepStep(yield func(string, moveKind, mutexWorld)) {
	do := func(label string, f func(n *mutexWorld, s *sweeper)) {
		n := w
		f(&n, &n.sweep)
		yield(label, step, n)
	}
	switch w.sweep.pc {
	case look:
		do("sweep look", func(n *mutexWorld, s *sweeper) {
			s.v, s.pc = n.word, inherit
			if holderOf(s.v) != uint32(s.of) {
				s.pc = pass
			}
		})
	case inherit:
		do("sweep orphan", func(n *mutexWorld, s *sweeper) {
			s.pc = look
			if n.cas(s.v, orphaned(s.v)) {
				s.pc = pass
			}
		})
	case pass:
		do("sweep pass on", func(n *mutexWorld, s *sweeper) {
			s.v, s.pc = n.word, over
			switch {
			case !isFree(s.v):
			case s.v&starving != 0:
				s.pc = reopenCAS
			case s.v&waited != 0:
				s.pc = passWake
			}
		})
	case reopenCAS:
		do("sweep reopen", func(n *mutexWorld, s *sweeper) {
			s.pc = pass
			if n.cas(s.v, reopened(s.v)) {
				s.pc = passWake
			}
		})
	case passWake:
		do("sweep wake", func(n *mutexWorld, s *sweeper) { n.wake(1); s.pc = over })
	case over:
		do("sweep ends", func(n *mutexWorld, s *sweeper) {
			n.p[s.of-1].cancels = 1 // swept
			*s = sweeper{}
		})
	}
	if w.sweep.of != 0 && w.kills > 0 {
		n := w
		n.kills--
		n.sweep = sweeper{} // another process begins again
		yield("kill the sweeper", kill, n)
	}
}

const modelLimit = 4_000_000

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
