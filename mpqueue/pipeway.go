package mpqueue

import (
	"context"
	"errors"
	"io"
	"runtime"
	"sync/atomic"
	"time"

	"shmkit/futexlock"
	"shmkit/shm"
	"shmkit/shm/fault"
)

// way is one direction of a pipe in this process: two positions that only grow,
// in a ring of bytes.
//
//	              read                 write
//	               │                     │
//	─┬──────┬──────┬──────┬──────┬──────┬──────┬──────┬─
//	 │ free │ free │ part │ part │ part │ free │ free │
//	─┴──────┴──────┴──────┴──────┴──────┴──────┴──────┴─
//	            receivers ──>           senders ──>
//
// A sender holds the lock send, a receiver the lock recv, while it moves bytes; a
// receiver that waits for a message holds nothing. So goroutines and processes can
// share an end, and whoever is killed holds up nobody: the next one is told
// ErrOwnerDied, and as every part of a message is published, and freed, in one
// step, there is nothing to repair.
type way struct {
	wayMemory
	pipe     *pipeCore
	from, to int // ends

	// Positions of the other side as seen last, written under send and under
	// recv. They are lower bounds, and spare a look at the other side's line.
	readSeen  uint64
	writeSeen atomic.Uint64

	// How many messages this process has received; written under recv. And how
	// often one was there as soon as it was looked for.
	got   atomic.Uint64
	soons atomic.Uint32

	// half is the message of which this process has received a part, in a call
	// that gave up; guarded by recv. It counts while it is our turn.
	half *halfMessage

	spinSend, spinRecv spinner
}

func newWay(p *pipeCore, d int) *way {
	w := &way{wayMemory: overlayWay(p.seg, p.ctl, &p.geo, d), pipe: p, from: d, to: 1 - d}
	w.readSeen = w.ctl.read.Load()
	w.writeSeen.Store(w.readSeen)
	w.spinSend.init()
	w.spinRecv.init()
	return w
}

// room returns how many bytes are free behind the write position p. The caller
// holds send, and wants n.
func (w *way) room(p, n uint64) (uint64, error) {
	if used := p - w.readSeen; used <= w.size && w.size-used >= n {
		return w.size - used, nil
	}
	r := w.ctl.read.Load() // pairs with the store in advance: the bytes have been copied
	if p-r > w.size {
		return 0, corrupt("the read position of pipe", 0, r)
	}
	w.readSeen = r
	return w.size - (p - r), nil
}

// there returns how many bytes have been published from the read position r on. The
// caller holds recv.
func (w *way) there(r uint64) (uint64, error) {
	if n := w.writeSeen.Load() - r; n > 0 && n <= w.size {
		return n, nil
	}
	p := w.ctl.write.Load() // pairs with the store in publish: the bytes are there
	if p-r > w.size {
		return 0, corrupt("the write position of pipe", 0, p)
	}
	shm.StoreRelease(&w.writeSeen, p)
	return p - r, nil
}

// publish makes everything before position p visible.
func (w *way) publish(p uint64) {
	// Publishes the bytes; pairs with the load in there. It is also the fence
	// between them and the look at who sleeps.
	w.ctl.write.Store(p)
	if fault.Enabled {
		fault.Point("mpqueue.pipe.published")
	}
	signal(&w.ctl.notEmpty)
	signal(&w.ctl.more)
}

// received counts a message, or what a Read has got. The caller holds recv.
func (w *way) received() { shm.StoreRelease(&w.got, w.got.Load()+1) }

// advance gives everything before position r back to the senders.
func (w *way) advance(r uint64) {
	if fault.Enabled {
		fault.Point("mpqueue.pipe.copied")
	}
	// Frees the bytes; pairs with the load in room. It is also the fence before
	// the look at who sleeps.
	w.ctl.read.Store(r)
	if fault.Enabled {
		fault.Point("mpqueue.pipe.taken")
	}
	if v := w.ctl.notFull.Load(); v&(waited|pending) == waited && int64(r-w.ctl.roomAt.Load()) >= 0 {
		signalSlow(&w.ctl.notFull)
	}
}

var _ = fault.Declare("mpqueue.pipe.published", "mpqueue.pipe.copied", "mpqueue.pipe.taken", "mpqueue.pipe.waited")

// empty reports whether nothing is there to be received.
func (w *way) empty() bool { return w.ctl.write.Load() == w.ctl.read.Load() }

// seemsEmpty is empty for who holds no lock and will ask again. In a stream it
// spares a look at the senders' line.
func (w *way) seemsEmpty() bool {
	r := w.ctl.read.Load()
	n := w.writeSeen.Load() - r
	return (n == 0 || n > w.size) && w.ctl.write.Load() == r
}

// relay wakes another receiver if something is there for it. Who was woken and
// takes one message, or none, calls it: a wake wakes one.
func (w *way) relay() {
	if fault.Enabled && planted.pipeNoPass {
		return
	}
	if v := w.ctl.notEmpty.Load(); v&(waited|pending) == waited && !w.empty() {
		signalSlow(&w.ctl.notEmpty)
	}
}

// lock takes one of the locks, for Conn c; n is what a sender wants to send.
func (w *way) lock(ctx context.Context, c *Conn, m *futexlock.Mutex, n uint64) error {
	if fault.Enabled && planted.pipeNoLock {
		return nil
	}
	ok, err := m.TryLock()
	if !ok {
		ok, err = w.lockSlow(ctx, c, m)
	}
	switch {
	case ok && err == nil:
		return nil
	case errors.Is(err, futexlock.ErrOwnerDied):
		if fault.Enabled && planted.pipeSkip && m == &w.ctl.recv {
			if p, ok, err := w.firstPart(); ok && err == nil {
				w.advance(p.next)
			}
		}
		return settle(m) // see way
	case c.life.Err() != nil:
		return shm.ErrClosed
	case ctx.Err() != nil:
		return errors.Join(w.unlocked(m, n), ctx.Err())
	}
	return err
}

func (w *way) lockSlow(ctx context.Context, c *Conn, m *futexlock.Mutex) (ok bool, err error) {
	if ctx.Err() != nil {
		// The lock is held for a copy, or by one who waits. Do not call the
		// pipe full, or empty, because of the former.
		for begin := time.Now(); !ok && time.Since(begin) < tryFor; ok, err = m.TryLock() {
			shm.Pause(10)
		}
		return ok, err
	}
	both, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.life, cancel)() // Close ends the waiting too
	err = m.LockContext(both)
	return err == nil, err
}

// unlocked is why somebody gives up who did not get the lock.
func (w *way) unlocked(m *futexlock.Mutex, n uint64) error {
	there := min(w.ctl.write.Load()-w.ctl.read.Load(), w.size)
	switch {
	case m == &w.ctl.send && w.size-there < n:
		return ErrFull
	case m == &w.ctl.recv && (there == 0 || w.turn() != 0):
		return ErrEmpty
	}
	return ErrBusy
}

// unlock releases a lock. If its word does not say that we hold it somebody has
// written over it; the pipe goes on as well as it can.
func unlock(m *futexlock.Mutex) {
	defer excuse(nil)
	m.Unlock()
}

// settle declares that there is nothing to repair.
func settle(m *futexlock.Mutex) (err error) {
	defer excuse(&err)
	m.Consistent()
	return nil
}

// excuse turns the panic of a lock that we do not hold, though we should, into an
// error: in a pipe that is no misuse but damage.
func excuse(err *error) {
	r := recover()
	if r == nil {
		return
	}
	if _, bug := r.(runtime.Error); bug {
		panic(r)
	}
	if err != nil {
		*err = corrupt("the lock of pipe", 0, 0)
	}
}

// anyData reports whether something is there to be received; io.EOF: it never will
// be.
func (w *way) anyData() (bool, error) {
	// First who is there, then the bytes: what they sent before they went has
	// been published before.
	gone := w.pipe.gone(w.from)
	if !w.empty() {
		return true, nil
	}
	if gone {
		return false, io.EOF
	}
	return false, nil
}

// anyPart reports whether something is there. If the sender of the message is dead,
// and nothing is there, or nobody holds the other end, the error is
// io.ErrUnexpectedEOF.
func (w *way) anyPart(from shm.Token) (bool, error) {
	cut := w.pipe.gone(w.from) || w.pipe.seg.Dead(from) // first: see anyData
	if !w.empty() {
		return true, nil
	}
	if cut {
		return false, io.ErrUnexpectedEOF
	}
	return false, nil
}

// anyRoom reports whether n bytes are free behind position p; io.ErrClosedPipe:
// nobody will read them.
func (w *way) anyRoom(p, n uint64) (bool, error) {
	if w.pipe.gone(w.to) {
		return false, io.ErrClosedPipe
	}
	free, err := w.room(p, n)
	return free >= n, err
}
