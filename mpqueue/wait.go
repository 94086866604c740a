package mpqueue

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"shmkit/shm"
	"shmkit/shm/fault"
)

// Each side of a queue sleeps on one word:
//
//	31..2  sequence  changes with every wake, so that who is on the way into
//	                 the kernel finds another value there and looks again
//	1      pending   a sleeper has been woken and has not looked yet: further
//	                 wakes would be for nothing. Cleared by any sleeper that
//	                 comes back, for whatever reason; so a wake given to a
//	                 process that is killed is taken over within a backstop
//	0      waited    somebody may sleep. Set before the last look at the queue;
//	                 cleared only by a wake that found nobody
//
// It is legal for waited to be set with no sleeper: that costs one system call.
// It is illegal to be clear with one. The handshake is Dekker's: the sleeper
// sets waited and then looks at the slots, the waker writes a slot and then
// looks at waited; one of them sees the other.
//
// A process whose sleeper was woken takes one item and, if more are there and
// waited is set, wakes the next (passes the baton).
const (
	waited   = 1 << 0
	pending  = 1 << 1
	sequence = 1 << 2
)

// signal wakes one sleeper of word, if there may be one and none is on its way.
func signal(word *atomic.Uint32) {
	if v := word.Load(); v&(waited|pending) == waited {
		signalSlow(word)
	}
}

func signalSlow(word *atomic.Uint32) {
	for {
		v := word.Load()
		if v&(waited|pending) != waited {
			return
		}
		next := v + sequence | pending
		if !word.CompareAndSwap(v, next) {
			continue
		}
		if fault.Enabled {
			fault.Point("mpqueue.signal.pending")
		}
		if shm.Wake(word, 1) == 0 && word.CompareAndSwap(next, (next+sequence)&^(waited|pending)) {
			// Nobody was asleep. Who fell asleep on the value that we
			// have just replaced must not stay so.
			shm.Wake(word, -1)
		}
		return
	}
}

// signalAll wakes every sleeper of word.
func signalAll(word *atomic.Uint32) {
	for {
		v := word.Load()
		if word.CompareAndSwap(v, (v+sequence)&^(waited|pending)) {
			break
		}
	}
	shm.Wake(word, -1)
}

// awake is what every sleeper does first.
func awake(word *atomic.Uint32) { takeBack(word, pending) }

func takeBack(word *atomic.Uint32, flags uint32) {
	for {
		v := word.Load()
		if v&flags == 0 || word.CompareAndSwap(v, v&^flags) {
			return
		}
	}
}

// signalSides wakes everybody who waits to put or to get.
func (q *core) signalSides() {
	for _, w := range []*atomic.Uint32{&q.notEmpty, &q.notFull, &q.roomy, &q.spare} {
		signalAll(w)
	}
}

// stirSides makes everybody who sleeps look again, as a handle has been closed: who
// waits by it is told nothing else, for the process has others. The sleeper sets
// waited before he looks whether it is closed, and that was said before we look here.
// Nothing, if it was the last handle: then shm has woken our own.
func (q *core) stirSides() {
	for _, w := range []*atomic.Uint32{&q.notEmpty, &q.notFull, &q.roomy, &q.spare, &q.idle} {
		if w.Load()&waited != 0 {
			signalAll(w)
		}
	}
}

// waiter is one blocked call: what to do, and where to sleep meanwhile.
type waiter struct {
	word *atomic.Uint32
	spin *spinner
	op   operation
	why  error // to join with the context's
	size int   // of the message, if it may need a block
}

// bed returns the word to sleep on after outcome r, and what is to be led on first:
// of the goroutines of this process that wait for the same only one sleeps, and when
// it has what it waited for the next one looks. Those who wait for room in the arena
// wait for the same if they need blocks of one class. Messages of several chunks
// differ, so each of them sleeps on its own; else one that needs much would keep
// another from looking at what is enough for it.
func (q *core) bed(w *waiter, r outcome) (on, line *atomic.Uint32) {
	switch r {
	case noRoom, roomBusy:
		if c := classOf(w.size); c < classes {
			line = &q.cursor.lines[c]
		}
		return &q.roomy, line
	case noSpare:
		return &q.spare, &q.spare
	}
	return w.word, w.word
}

// operation is a put or a get.
type operation interface {
	// try does the operation if it can. If not, it returns the word of the
	// slot in the way; an unfinished operation of a dead process there is
	// recovered.
	try() (word uint64, r outcome, err error)
	// more reports whether another sleeper would find something to do.
	more() bool
}

// await tries until it succeeds, the queue is closed, or ctx is done. A context
// that is done already means one try.
func (q *core) await(ctx context.Context, w *waiter) error {
	word, r, err := w.op.try()
	if err != nil || r == claimed || r == closed {
		return q.endOf(w, r, err)
	}
	look := func() bool {
		word, r, err = w.op.try()
		return err != nil || r == claimed || r == closed
	}
	if ctx.Err() == nil && q.canSpin() && w.spin.look(look) {
		return q.endOf(w, r, err)
	}
	var leads *atomic.Uint32
	leave := func() {
		if leads != nil {
			q.seg.Unlead(leads)
			leads = nil
		}
	}
	defer leave()
	idle := false // the last sleep has lasted a whole slice
	turns := 0    // how often in a row it found that it waits for something else
	for again := 0; ; {
		on, line := q.bed(w, r)
		if line != leads {
			leave()
			if line != nil {
				if err := leadUntil(ctx, q.life, q.seg, line); err != nil {
					if q.seg.Closed() {
						err = shm.ErrClosed
					}
					return q.gaveUp(w, err)
				}
				leads = line
			}
		}
		v := setWaited(on)
		if fault.Enabled {
			fault.Point("mpqueue.wait.waited")
		}
		if look() {
			break
		}
		if to, _ := q.bed(w, r); to != on {
			q.passOn(w) // as who leaves: it may have used up a wake on the other word
			if turns++; turns > lookAgain {
				time.Sleep(100 * time.Microsecond) // those who look may turn each other
			}
			continue // it waits for something else now, where nobody has been told yet
		}
		turns = 0
		var blocker shm.Token
		if r.unfinished() {
			if blocker, err = q.unblock(ctx, word); err != nil {
				break
			} else if blocker == 0 && again < lookAgain && ctx.Err() == nil {
				again++
				continue // recovered, or it has moved on
			}
		}
		again = 0
		if r == empty {
			q.giveBack(idle)
		}
		reason := q.seg.Sleep(ctx, on, v, blocker)
		idle = reason == shm.Timeout
		if fault.Enabled && reason == shm.Woken {
			fault.Point("mpqueue.wait.woken")
		}
		if reason == shm.Woken || !planted.keepPending {
			awake(on)
		}
		switch reason {
		case shm.Cancelled:
			if look() {
				break
			}
			return q.gaveUp(w, ctx.Err())
		case shm.Closed:
			return q.gaveUp(w, shm.ErrClosed)
		case shm.Died, shm.Timeout:
			// A slice has passed, or a bell rang: ask the kernel who is
			// still there, and recover what the dead left.
			q.seg.Sweep()
			continue
		default:
			continue
		}
		break
	}
	q.passOn(w)
	return q.endOf(w, r, err)
}

// leadUntil waits until this goroutine is the one of its process that sleeps on word,
// as shm's Lead does, or until life ends, which is that of a handle: the process may
// have others, by which those before us wait.
func leadUntil(ctx, life context.Context, seg *shm.Segment, word *atomic.Uint32) error {
	if ctx.Done() == nil {
		return seg.Lead(life, word)
	}
	if seg.Lead(doneContext, word) == nil {
		return nil // nobody was before us, as mostly: spare the two contexts
	}
	both, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(life, cancel)()
	return seg.Lead(both, word)
}

// doneContext is a context that has ended: with it Lead does not wait.
var doneContext = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// passOn wakes the next one, if there is anything to do for him: whoever leaves may
// have used up a wake that was for anybody.
func (q *core) passOn(w *waiter) {
	if w.op.more() {
		signal(w.word)
	}
}

// canSpin reports whether who waits may look again for a while before he sleeps.
func (q *core) canSpin() bool { return q.geo.rules&ruleSleep == 0 && shm.CanSpin() }

func setWaited(word *atomic.Uint32) uint32 {
	for {
		v := word.Load()
		if v&waited != 0 || word.CompareAndSwap(v, v|waited) {
			return v | waited
		}
	}
}

// gaveUp is the error of a call that leaves without having done anything.
func (q *core) gaveUp(w *waiter, err error) error {
	q.passOn(w)
	if errors.Is(err, shm.ErrClosed) {
		return err
	}
	return errors.Join(w.why, err)
}

func (q *core) endOf(w *waiter, r outcome, err error) error {
	switch {
	case err != nil || r != closed:
		return err
	case w.why == ErrFull:
		return ErrClosed // of who puts: why does not matter to him
	}
	return q.endError()
}

// endError is the error at the end of the queue, of who gets.
func (q *core) endError() error {
	shm.RaceAcquire(&q.control.closed)
	if q.control.closed.Load() == closedByDeath {
		return ErrAbandoned
	}
	return ErrClosed
}

// lookAgain is how often in a row a waiter looks again because the one in its way
// is dead. If another process is at the sweep, or stands still in it, the waiter
// sleeps: the sweep ends by waking everybody.
const lookAgain = 3

// dyingLooks is how often, 100 µs apart, one who waits asks whether a process that
// has begun to end has ended.
const dyingLooks = 100

// unblock deals with a slot word that says that an operation is unfinished. It
// returns the process that is at it, or 0 if the word is worth another look.
func (q *core) unblock(ctx context.Context, w uint64) (shm.Token, error) {
	st := stateOf(w)
	if st != writing && st != reading {
		return 0, nil
	}
	t, same := wordOwner(w).token(q.seg)
	if !same {
		if wordOwner(w) == 0 || int(wordOwner(w)>>incBits) > q.seg.MaxParticipants() {
			return 0, corrupt("the owner in a slot word", 0, w)
		}
		// Swept since we read it, or about to be: look again.
		q.seg.Sweep()
		return 0, nil
	}
	for n := 0; q.seg.Dying(t) && !q.seg.Confirm(t); n++ {
		if n == dyingLooks || ctx.Err() != nil {
			return 0, nil // or its live word is damaged: is it still in the way?
		}
		time.Sleep(100 * time.Microsecond)
	}
	if q.seg.Dead(t) {
		q.seg.Sweep()
		return 0, nil
	}
	return t, nil
}

// tryFor is how long Try operations wait for an unfinished operation of another.
const tryFor = 100 * time.Microsecond

// linger tries again for a moment, as an unfinished operation of another stands in
// the way in a slot with that word. It reports busy if one of a living process does
// so all the time.
func (q *core) linger(op operation, word uint64) (r outcome, err error) {
	r = busy
	for n := 0; r.unfinished() && err == nil && n < quickLooks; n++ {
		shm.Pause(4) // most are done within nanoseconds
		word, r, err = op.try()
	}
	for begin := time.Now(); r.unfinished() && err == nil && time.Since(begin) < tryFor; {
		if t, same := wordOwner(word).token(q.seg); !same || q.seg.Dead(t) || q.seg.Confirm(t) {
			q.seg.Sweep()
		}
		shm.Pause(40)
		word, r, err = op.try()
	}
	return r, err
}
