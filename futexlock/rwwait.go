package futexlock

import (
	"context"
	"math/bits"
	"sync/atomic"

	"shmkit/shm"
	"shmkit/shm/fault"
)

// What can be lost when a process is killed in an RWMutex, beyond what its
// write side, a lock word, can lose (lockwait.go).
//
//	killed                               leaves                     healed
//	reader, before its cell's CAS        nothing
//	reader, after it                     a count in its cell        a writer clears the cell of a dead process
//	reader, left, wake not sent          a writer asleep            it sleeps on this process's death too
//	reader, took another's cell,         a writer asleep            the sweep of this process clears the cell, and
//	wake not sent                                                   wakes
//	writer, gate not closed              the write side held        the next takes over, nobody is told
//	writer, gate closed, not inside      the gate closed            the next writer goes on from there; a reader
//	                                                                or the sweep opens it again; nobody is told
//	writer, inside                       gate closed, writing       the same, and ownerDied is set
//	writer, gate opened, wake not sent   readers asleep             they sleep on this process's death too
//	writer, gate opened, side held       the write side held        the next takes over, nobody is told
//	whoever opens for the dead           itself as dead holder of   the same again
//	                                     the write side
//
// While the gate is closed somebody, alive or dead, holds the write side. So
// every state says by itself what has to be done, whoever finds it.

var _ = fault.Declare(
	"futexlock.rwmutex.counted", "futexlock.rwmutex.left", "futexlock.rwmutex.waited",
	"futexlock.rwmutex.held", "futexlock.rwmutex.closed", "futexlock.rwmutex.writing",
	"futexlock.rwmutex.opened", "futexlock.rwmutex.woke", "futexlock.rwmutex.mourned",
	"futexlock.rwmutex.succeeded",
)

// doneContext makes a lock function try once.
var doneContext = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// home is the cell that process self looks at first: of its slot in the table of
// participants.
func home(self uint32) uint32 { return self >> slotShift % ReaderCells }

const slotShift = 18 // of a Token

// changeGate applies f to the gate and returns the value before and after.
// Readers may set waited at any time, nothing else changes under the holder of
// the write side.
func (rw *RWMutex) changeGate(f func(uint32) uint32) (before, after uint32) {
	for {
		g := rw.gate.Load()
		n := f(g)
		if n == g || rw.gate.CompareAndSwap(g, n) {
			return g, n
		}
	}
}

// openGate opens the gate as f says and wakes the readers that wait at it. The
// caller holds the write side.
func (rw *RWMutex) openGate(f func(uint32) uint32) {
	// Publishes the writer's section. Pairs with the loads in readLock.
	before, _ := rw.changeGate(f)
	if fault.Enabled {
		fault.Point("futexlock.rwmutex.opened")
	}
	if before&waited != 0 {
		shm.Wake(&rw.gate, -1)
	}
	if fault.Enabled {
		fault.Point("futexlock.rwmutex.woke")
	}
}

// releaseWrite gives the write side to the next.
func (rw *RWMutex) releaseWrite(self uint32) {
	if !rw.write.CompareAndSwap(self, 0) {
		unlockWordSlow(&rw.write, self)
	}
}

// settle is what whoever gets the write side does first: it sees in the gate
// whether the last holder died, and where. The word's own mark is not needed
// any more then.
func (rw *RWMutex) settle(self uint32, f func(uint32) uint32) {
	if rw.gate.Load()&gateClosed != 0 {
		rw.openGate(f)
		if fault.Enabled {
			fault.Point("futexlock.rwmutex.mourned")
		}
	}
	consistentWord(&rw.write, self)
}

// writeLock gets the write side, closes the gate and waits until the readers
// inside have left. inside is gateWriting or gateShared. The caller ends the stay,
// which begins when something has to be waited for.
func (rw *RWMutex) writeLock(ctx context.Context, seg *shm.Segment, stay *shm.Stay, self, inside uint32) (died bool, err error) {
	if !rw.write.CompareAndSwap(0, self) {
		died, err := lockWordSlow(ctx, seg, stay, &rw.write, self)
		if err != nil {
			return false, err
		}
		if died || rw.gate.Load()&gateClosed != 0 {
			rw.settle(self, mourned)
		}
	}
	if fault.Enabled {
		fault.Point("futexlock.rwmutex.held")
	}
	// From here on newcomers wait, but in lanes that are still open. Pairs with the
	// second load of the gate in readLock: either they see it closed, or we see
	// their count.
	_, g := rw.changeGate(func(g uint32) uint32 { return g | gateClosed })
	if fault.Enabled {
		fault.Point("futexlock.rwmutex.closed")
	}
	if err := rw.drain(ctx, seg, stay, class(g)); err != nil {
		if stay.Enter(seg, &rw.write) != nil {
			return false, err // it was closed before the stay could begin
		}
		rw.openGate(givenUp)
		rw.releaseWrite(self)
		return false, err
	}
	_, g = rw.changeGate(func(g uint32) uint32 { return g | inside })
	if fault.Enabled {
		fault.Point("futexlock.rwmutex.writing")
	}
	if died, err = unlessClosed(seg, stay, g&ownerDied != 0); err != nil && stay.Enter(seg, &rw.write) == nil {
		rw.openGate(left) // as in lockWordSlow
		rw.releaseWrite(self)
	}
	return died, err
}

// drain waits until no reader is inside: in a cell, counted in class cl, or in a
// lane. Cells first, see rwlane.go.
func (rw *RWMutex) drain(ctx context.Context, seg *shm.Segment, stay *shm.Stay, cl uint32) error {
	rw.shutLanes()
	// The Or in enter pairs with this load.
	for used := rw.used.Load(); used != 0; used &= used - 1 {
		c := &rw.cells[bits.TrailingZeros32(used)].v
		if cellCount(c.Load(), cl) == 0 { // as in drainWord: mostly they are empty
			continue
		}
		err := rw.drainWord(ctx, seg, stay, c, low(c), func(v uint64) (busy bool, token, half uint32) {
			return cellCount(v, cl) != 0, cellToken(v), uint32(v)
		})
		if err != nil {
			return err
		}
	}
	return rw.drainLanes(ctx, seg, stay)
}

// drainWord waits until c is not busy; word is the half of c that it sleeps on.
func (rw *RWMutex) drainWord(ctx context.Context, seg *shm.Segment, stay *shm.Stay, c *atomic.Uint64, word *atomic.Uint32,
	look func(v uint64) (busy bool, token, half uint32)) error {
	w := watchFor(ctx, seg, stay, word)
	for spins := 0; ; {
		v := c.Load() // pairs with the changes in RUnlock
		busy, token, half := look(v)
		if !busy {
			return nil
		}
		t := shm.Token(token)
		if w.gone(t) {
			c.CompareAndSwap(v, 0)
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := stay.Enter(seg, &rw.write); err != nil {
			return err
		}
		if spins < spinRounds && shm.CanSpin() {
			shm.Pause(2 << spins)
			spins++
			continue
		}
		if w.pause(ctx, t) {
			continue
		}
		if _, err := w.sleep(ctx, word, half, t); err != nil {
			return err
		}
	}
}

// drained wakes the writer that may wait for cell c.
func (rw *RWMutex) drained(c *atomic.Uint64) {
	if fault.Enabled {
		fault.Point("futexlock.rwmutex.left")
	}
	shm.Wake(low(c), 1)
}

// unread takes one reader of class cl out of c, if it is ours.
func (rw *RWMutex) unread(c *atomic.Uint64, self, cl uint32) bool {
	for {
		v := c.Load()
		if cellToken(v) != self || cellCount(v, cl) == 0 {
			return false
		}
		if c.CompareAndSwap(v, v-oneReader(cl)) {
			if cellCount(v, cl) == 1 && rw.gate.Load()&gateClosed != 0 { // pairs with the CAS in writeLock
				rw.drained(c)
			}
			return true
		}
	}
}

// readLock is RLock in full. For stay see writeLock.
func (rw *RWMutex) readLock(ctx context.Context, seg *shm.Segment, stay *shm.Stay, self uint32) (died bool, err error) {
	for {
		g := rw.gate.Load()
		cl := joins(g)
		c := rw.enter(seg, self, cl)
		if c == nil {
			// No cell is left: read alone.
			return rw.writeLock(ctx, seg, stay, self, gateShared)
		}
		if fault.Enabled {
			fault.Point("futexlock.rwmutex.counted")
		}
		// Pairs with the CAS in writeLock, see there.
		now := rw.gate.Load()
		if (now^g)&gateShape != 0 {
			rw.unread(c, self, cl) // we may have joined the wrong class
			continue
		}
		if now&gateClosed == 0 {
			rw.openLane(seg, self)
			return unlessClosed(seg, stay, now&ownerDied != 0)
		}
		if err := stay.Enter(seg, &rw.write); err != nil {
			return false, err
		}
		in, died, err := rw.waitAtGate(ctx, seg, stay, self, cl)
		if in {
			rw.openLane(seg, self)
			return unlessClosed(seg, stay, died)
		}
		rw.unread(c, self, cl)
		if err != nil {
			return false, err
		}
	}
}

// waitAtGate waits, counted in class cl, until cl is the class inside. It
// returns false if a writer gave up and the caller must start again.
func (rw *RWMutex) waitAtGate(ctx context.Context, seg *shm.Segment, stay *shm.Stay, self, cl uint32) (in, died bool, err error) {
	w := watchFor(ctx, seg, stay, &rw.gate)
	for {
		g := rw.gate.Load() // pairs with the CAS in openGate
		if class(g) == cl {
			return true, g&ownerDied != 0, nil
		}
		if g&gateClosed == 0 {
			return false, false, nil
		}
		h := shm.Token(holderOf(rw.write.Load()))
		if h == 0 || w.gone(h) {
			if rw.gate.Load() != g {
				continue // it was just leaving
			}
			if rw.bury(seg, self) {
				continue
			}
		}
		if err := ctx.Err(); err != nil {
			return false, false, err
		}
		if w.pause(ctx, h) {
			continue
		}
		if g&waited == 0 && !rw.gate.CompareAndSwap(g, g|waited) {
			continue
		}
		if fault.Enabled {
			fault.Point("futexlock.rwmutex.waited")
		}
		if _, err := w.sleep(ctx, &rw.gate, g|waited, h); err != nil {
			return false, false, err
		}
	}
}

// bury opens the gate that a dead process left closed, if there is one. It
// reports whether it looked; false means that somebody else holds the write
// side.
func (rw *RWMutex) bury(seg *shm.Segment, self uint32) bool {
	if ok, _ := tryLockWord(seg, &rw.write, self, false); !ok {
		return false
	}
	rw.settle(self, buried)
	rw.releaseWrite(self)
	return true
}

// enter counts one reader of class cl in a cell of this process and returns
// the cell; nil if there is none to be had.
func (rw *RWMutex) enter(seg *shm.Segment, self, cl uint32) *atomic.Uint64 {
	// Our own cell; then an empty one; then one whose process does not read
	// just now; then one of the dead. Where all 32 are in use for long, that is
	// asked by every reader: the kernel only now and then.
	w := watcher{seg: seg}
	ours := func(v uint64) bool { return cellToken(v) == self && !fullCell(v) }
	for try, free := range []func(v uint64) bool{
		ours,
		func(v uint64) bool { return cellToken(v) == 0 },
		func(v uint64) bool { return cellReaders(v) == 0 },
		func(v uint64) bool { return cellToken(v) != self && w.gone(shm.Token(cellToken(v))) },
	} {
		if try == 3 {
			w.ask = due(&rw.used)
		}
		for k := range uint32(ReaderCells) {
			i := (home(self) + k) % ReaderCells
			c := &rw.cells[i].v
			// One that was free may be ours by now, by another goroutine.
			for v := c.Load(); free(v) || ours(v); v = c.Load() {
				n := v + oneReader(cl)
				if cellToken(v) != self {
					// The writer must look here. Pairs with the load in drain.
					rw.used.Or(1 << i)
					n = uint64(self)<<32 | oneReader(cl)
				}
				if !c.CompareAndSwap(v, n) {
					continue
				}
				if t := cellToken(v); t != self && t != 0 && rw.gate.Load()&gateClosed != 0 {
					// A writer may wait for the one before, who died, or was
					// killed between leaving and the wake; its sweep finds
					// nothing here any more.
					if fault.Enabled {
						fault.Point("futexlock.rwmutex.succeeded")
					}
					shm.Wake(low(c), 1)
				}
				return c
			}
		}
	}
	return nil
}

// runlockSlow is RUnlock of a reader that cannot leave by an open lane.
func (rw *RWMutex) runlockSlow() {
	var stay shm.Stay // see Unlock
	seg, self := entered("RWMutex.RUnlock", shm.Find(rw), &stay, &rw.write)
	defer stay.Leave()
	for {
		g, lane := rw.gate.Load(), rw.homeLane(self).Load()
		// Whoever reads alone is the only one inside. What a cell of ours counts
		// then are others of this process, about to see that the gate is shut: they
		// need their counts to go back by.
		if g&gateShared != 0 && holderOf(rw.write.Load()) == self {
			rw.openGate(left)
			rw.releaseWrite(self)
			return
		}
		if rw.unlane(self) {
			return
		}
		// The class of those inside does not change before we have left.
		for i := range rw.cells {
			if rw.unread(&rw.cells[i].v, self, class(g)) {
				return
			}
		}
		// Another goroutine may have left by the cell and put back what it took out
		// of the lane, between our looks. Then a writer may have gone by, too.
		if rw.homeLane(self).Load() == lane && class(rw.gate.Load()) == class(g) {
			break
		}
	}
	notHeld("RUnlock", "RWMutex", seg, 0)
}
