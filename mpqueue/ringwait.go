package mpqueue

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"shmkit/shm"
	"shmkit/shm/fault"
)

// The state words stand beside the words to sleep on, so that one cache line,
// which is seldom written, tells a side after each step whether all is plain
// sailing:
//
//	bit  name    word                  set by                      cleared by
//	0    open    sendState, recvState  creator                     nobody; reads 0 once this process has closed the segment
//	1    closed  sendState             CloseSend                   nobody
//	2    fence   sendState, recvState  a process that lacks        nobody
//	                                   membarrier, see ringfence.go
const (
	ringOpen   = 1 << 0
	ringClosed = 1 << 1
	ringFence  = 1 << 2
)

// The words to sleep on are those of wait.go. As only the holder of a role
// sleeps on its word, it clears both flags itself when it leaves, and spares the
// other side the wake that finds nobody.
func rouse(word *atomic.Uint32) { takeBack(word, waited|pending) }

// published is what follows a put if not all is plain sailing: items from
// position from to position to have just been published.
func (c *ringCore) published(from, to uint64) error {
	if fault.Enabled {
		fault.Point("mpqueue.ring.published")
	}
	if c.ctl.sendState.Load()&ringFence != 0 {
		fullFence()
	}
	st := c.ctl.sendState.Load()
	signal(&c.ctl.notEmpty)
	switch {
	case st&ringOpen == 0:
		return shm.ErrClosed
	case st&ringClosed != 0:
		return c.settle(from, to)
	}
	return nil
}

// taken is what follows a get if not all is plain sailing.
func (c *ringCore) taken() error {
	if fault.Enabled {
		fault.Point("mpqueue.ring.taken")
	}
	if c.ctl.recvState.Load()&ringFence != 0 {
		fullFence()
	}
	signal(&c.ctl.notFull)
	if c.ctl.recvState.Load()&ringOpen == 0 {
		return shm.ErrClosed
	}
	return nil
}

// ready reports whether side s can go on by n items, or never will.
func (c *ringCore) ready(s *ringSide, n uint64) (bool, error) {
	closed := c.ctl.sendState.Load()&ringClosed != 0
	if s == &c.in {
		if closed {
			return false, ErrClosed
		}
		return c.room(n)
	}
	if ok, err := c.items(n); ok || err != nil || !closed {
		return ok, err
	}
	return c.lastItems(n)
}

// quickRingLooks is how often a side looks again before it looks at the clock:
// for a microsecond or two.
const quickRingLooks = 64

// noWait is the context of calls that must not wait.
var noWait context.Context

// await waits until side s can go on by n items. With noWait, or a context that
// is done already, it tries once. It takes the role if this process does not have
// it.
//
// Errors: s.why, joined with the context's; ErrClosed; ErrBusy; ErrAbandoned;
// ErrCorrupt; shm.ErrClosed.
func (c *ringCore) await(ctx context.Context, s *ringSide, n uint64) error {
	if !s.waiting.CompareAndSwap(false, true) {
		panic("mpqueue: two goroutines at one side of a ring")
	}
	defer s.waiting.Store(false)
	if !s.mine.Load() && !c.isShut(s) {
		if err := c.claim(ctx, s); err != nil {
			return err
		}
	}
	if c.isShut(s) {
		return c.leaveShut(s)
	}
	c.goPlain(s)
	if ctx != noWait && s.limit-s.next < n && shm.CanSpin() {
		c.standBack(s)
	}
	if ok, err := c.ready(s, n); ok || err != nil {
		return err
	}
	if ctx == noWait {
		return c.lastTry(s, n, s.why)
	}
	if err := ctx.Err(); err != nil {
		return c.lastTry(s, n, errors.Join(s.why, err))
	}
	if ok, err := c.spin(s, n); ok || err != nil {
		return err
	}
	return c.sleep(ctx, s, n)
}

// lastTry is the answer to who must not wait, why if side s cannot go on. With
// the fence it is exact: what the other side had published when the call began
// is seen.
func (c *ringCore) lastTry(s *ringSide, n uint64, why error) error {
	if ok, err := c.lastLook(s, n); ok || err != nil {
		return err
	}
	return why
}

// lastLook is ready for who goes to sleep, or away, if it is not: it sees all that
// was published before, and that the other side is dead.
func (c *ringCore) lastLook(s *ringSide, n uint64) (bool, error) {
	c.fenceFor(s)
	lost := c.lost(s) // first, for its last items were published before it died
	ok, err := c.ready(s, n)
	if !ok && err == nil && lost != 0 {
		s.told = lost
		err = ErrAbandoned
	}
	return ok, err
}

// goPlain makes side s publish by plain stores as soon as that is right.
func (c *ringCore) goPlain(s *ringSide) {
	if s.mode.Load() == 0 && canPublishPlain() {
		if !storesFence() {
			s.role.Or(rolePlain) // before the first plain store; pairs with the load in fenceFor
		}
		s.mode.Or(sidePlain)
	}
}

const (
	ringLagMax  = 128 // pauses: 2 to 5 µs
	longRingRun = 64  // messages between two looks that are enough
)

// standBack pauses a side that has caught up with the other one, in a stream.
//
// A consumer that looks at the write position takes its cache line away from the
// producer that is about to write it, and if it does so after each item the line
// travels to and fro with every item. So in a stream a side that has caught up
// lets the other one get ahead by some items first: what costs most is then paid
// once for all of them. How long that pause should be is learned from what each look
// finds. If that was one message, put or taken in one step however many items it has,
// or if nothing comes soon after it, this is a conversation, not a stream: the other
// side waits for the answer while we pause. So the pause soon ends.
func (c *ringCore) standBack(s *ringSide) {
	run := s.next - s.mark
	steps := run - s.more
	s.mark, s.more = s.next, 0
	switch {
	case run > c.geo.capacity/2, steps <= 1: // the other side had to wait for us, or waits
		s.lag /= 2
	case steps < longRingRun && run < c.geo.capacity/8:
		s.lag = min(max(2*s.lag, 2), ringLagMax)
	}
	for n := s.lag; n > 0; n -= 16 {
		shm.Pause(min(n, 16))
	}
}

// spin looks again while the other side is likely to be at work.
func (c *ringCore) spin(s *ringSide, n uint64) (ok bool, err error) {
	if !shm.CanSpin() {
		return false, nil
	}
	s.lag /= 4
	for range quickRingLooks {
		shm.Pause(1)
		if ok, err = c.ready(s, n); ok || err != nil {
			return ok, err
		}
	}
	s.spin.look(func() bool {
		ok, err = c.ready(s, n)
		return ok || err != nil
	})
	return ok, err
}

// sleep waits in the kernel. Who is killed in here leaves waited set, perhaps
// pending too: that costs the other side one system call, and the successor
// clears it (see takeOver). Who was killed before it woke us has published all the
// same: we notice its death, or look again when the backstop ends.
func (c *ringCore) sleep(ctx context.Context, s *ringSide, n uint64) error {
	defer rouse(s.word)
	for {
		v := setWaited(s.word)
		if fault.Enabled {
			fault.Point("mpqueue.ring.waited")
		}
		// The other side publishes and then looks at waited; we set waited
		// and then look for what it published. With the fence in between
		// one of the two sees the other.
		if ok, err := c.lastLook(s, n); ok || err != nil {
			return err
		}
		if c.isShut(s) { // pairs with the signals in release
			return c.leaveShut(s)
		}
		peer := livingHolder(s.peer.Load())
		switch c.seg.Sleep(ctx, s.word, v, peer) {
		case shm.Cancelled:
			if ok, err := c.ready(s, n); ok || err != nil {
				return err
			}
			return errors.Join(s.why, ctx.Err())
		case shm.Closed:
			return shm.ErrClosed
		case shm.Died:
			bury(ctx, c.seg, peer)
			c.seg.Sweep()
			c.disown(s)
		case shm.Timeout:
			if ok, _ := c.ready(s, n); ok {
				s.late++ // nobody woke us
			}
			c.seg.Sweep()
			c.disown(s)
		}
		rouse(s.word)
	}
}

// bury waits until a participant that is dying is dead for certain: until its last
// thread is past its last store.
func bury(ctx context.Context, s *shm.Segment, t shm.Token) {
	for t != 0 && s.Dying(t) && !s.Confirm(t) && ctx.Err() == nil {
		time.Sleep(100 * time.Microsecond)
	}
}
