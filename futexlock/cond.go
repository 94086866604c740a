package futexlock

import (
	"context"
	"errors"
	"fmt"
	"math"
	"structs"
	"sync/atomic"

	"shmkit/shm"
	"shmkit/shm/fault"
)

// Cond is a condition variable in shared memory, for processes that wait for a
// change of what a Mutex protects. All zero bytes are a Cond that nobody waits
// on. It must not be copied or moved. The Mutex belongs to the calls, not to
// the Cond; all waiters of a Cond must use the same one, in the same segment or
// another. Any goroutine of any process may use it.
//
// Signal and Broadcast never wait for the waiters, so a dead or stopped waiter
// holds up nobody. Callers need not hold the Mutex.
//
// A waiter may be killed right after a signal chose it. Then another waiter
// gets the signal, when the dead process is swept or when the other's sleep has
// lasted its slice of 100 ms. A process may also be killed after it changed the
// condition and before it signalled: if it held the Mutex then, all waiters
// return, as soon, with ErrOwnerDied from the Mutex. So signal while you hold
// it. After a death a Wait may also return without a signal: check the condition
// in a loop, or use WaitFor.
//
// It is the sequence condition variable of musl's process-shared path and of
// Rust, with a count of unanswered signals. It has no lock inside.
type Cond struct {
	_     structs.HostLayout
	_     noCopy
	state atomic.Uint64
	// mutex is where the waiters' Mutex lies, in bytes from the Cond: for the
	// sweep. 0: nobody has waited; elsewhere: not near.
	mutex atomic.Int32
	_     uint32
}

// elsewhere stands for a Mutex in another segment, or 2 GiB away.
const elsewhere = math.MinInt32

var _ = fault.Declare(
	"futexlock.cond.waited", "futexlock.cond.unlocked", "futexlock.cond.woken",
	"futexlock.cond.signalled", "futexlock.cond.woke", "futexlock.cond.broadcast",
)

// Wait unlocks m, waits for a Signal or Broadcast, and locks m again. It always
// returns with m held, however long that takes: nil after a signal;
// ErrOwnerDied if m's holder died meanwhile, as from m.Lock; ctx's error,
// wrapped, when ctx is done first; both if both. If this process closes the
// segment meanwhile Wait panics, as Lock does. It panics if this process does
// not hold m.
func (c *Cond) Wait(ctx context.Context, m *Mutex) error {
	seg, _ := attached("Cond.Wait", shm.Find(c))
	ms, self := attached("Cond.Wait: the Mutex", shm.Find(m))
	if h := holderOf(m.word.Load()); h != self {
		notHeld("Cond.Wait", "Mutex", ms, shm.Token(h))
	}
	// Whatever m lies in may be closed while we wait: see the end.
	var here, there shm.Stay
	if here.Enter(seg, low(&c.state)) != nil || there.Enter(ms, &m.word) != nil {
		here.Leave()
		mustLock("Cond.Wait", shm.ErrClosed)
	}
	there.Leave()
	defer here.Leave()
	c.remember(seg, ms, m)
	// Whoever dies inside m from here on may have died before it could signal.
	sound := m.word.Load()&ownerDied == 0
	doubt := func() bool {
		w := m.word.Load()
		return sound && w&ownerDied != 0 || holderOf(w) != 0 && ms.Confirm(shm.Token(holderOf(w)))
	}
	// While we hold m: whoever changes the condition after we let go of it
	// sees the flag.
	v := c.change(func(v uint64) uint64 { return v | condWaited })
	if fault.Enabled {
		fault.Point("futexlock.cond.waited")
	}
	m.Unlock()
	if fault.Enabled {
		fault.Point("futexlock.cond.unlocked")
	}
	woken, err := c.sleep(ctx, seg, v, doubt)
	here.Leave()
	if errors.Is(err, shm.ErrClosed) {
		mustLock("Cond.Wait", err) // without m: it may lie in a block that is another's by now
	}
	if fault.Enabled {
		fault.Point("futexlock.cond.woken")
	}
	if lerr := relock(ms, m, &there); lerr != nil {
		err = errors.Join(err, lerr)
	}
	if woken && here.Enter(seg, low(&c.state)) == nil {
		// Only now: killed before, we leave the signal to another waiter;
		// killed after, we leave m to tell that its holder died.
		c.answer(condCrowd(v))
		here.Leave()
	}
	shm.RaceAcquire(c)
	return err
}

// relock locks m again, if it still is what it was in that stay.
func relock(ms *shm.Segment, m *Mutex, stay *shm.Stay) error {
	mustLock("Cond.Wait", stay.Enter(ms, &m.word))
	defer stay.Leave()
	return m.Lock()
}

// remember notes where m lies.
func (c *Cond) remember(seg, ms *shm.Segment, m *Mutex) {
	d := int32(elsewhere)
	from, _ := shm.Offset(seg, c)
	if to, ok := shm.Offset(seg, m); ok && ms == seg && to-from == int(int32(to-from)) {
		d = int32(to - from)
	}
	if c.mutex.Load() != d {
		c.mutex.Store(d)
	}
}

// doubtful reports whether a process died inside the waiters' Mutex, as far as
// can be seen.
func (c *Cond) doubtful(s *shm.Segment, dead uint32) bool {
	d := c.mutex.Load()
	if d == 0 || d == elsewhere {
		return d == elsewhere
	}
	off, _ := shm.Offset(s, c)
	doubt := true // a damaged distance
	each(s, uint64(off+int(d)), 0, 1, func(m *Mutex) {
		v := m.word.Load()
		doubt = v&ownerDied != 0 || holderOf(v) == dead
	})
	return doubt
}

// change applies f and returns the state after it.
func (c *Cond) change(f func(uint64) uint64) uint64 {
	for {
		v := c.state.Load()
		n := f(v)
		if n == v || c.state.CompareAndSwap(v, n) {
			return n
		}
	}
}

// sleep sleeps until a signal comes after the state v. woken says that a signal
// woke this waiter, which must answer it.
func (c *Cond) sleep(ctx context.Context, seg *shm.Segment, v uint64, doubt func() bool) (woken bool, err error) {
	crowd := condCrowd(v)
	for {
		why := seg.Sleep(ctx, low(&c.state), uint32(v), 0)
		switch why {
		case shm.Woken:
			return true, nil
		case shm.Closed:
			return false, failed("Cond.Wait", shm.ErrClosed)
		}
		now := c.state.Load()
		for condSeq(now) != condSeq(v) {
			// Signals came. One was ours if we were still on our way to
			// sleep, so that its sender found nobody; or if it was for all; or
			// if nobody has answered it.
			if why == shm.Changed || condCrowd(now) != crowd || c.answer(crowd) {
				return false, nil
			}
			// They were others'. Go on from there, but not from later: what
			// comes after now may be ours.
			if now&condWaited != 0 || c.state.CompareAndSwap(now, now|condWaited) {
				v = now | condWaited
				break
			}
			now = c.state.Load()
		}
		if why == shm.Cancelled {
			return false, failed("Cond.Wait", ctx.Err())
		}
		if doubt() {
			return false, nil
		}
	}
}

// answer takes one pending signal; false if there is none, or if everybody
// who waited with us has been told.
func (c *Cond) answer(crowd uint16) bool {
	for {
		v := c.state.Load()
		if condCrowd(v) != crowd || condPending(v) == 0 {
			return false
		}
		if c.state.CompareAndSwap(v, answered(v, 1)) {
			return true
		}
	}
}

// WaitFor waits until pred, called with m held, returns true: it is Wait in a
// loop. It returns with m held: nil when pred is true; ctx's error, wrapped,
// when ctx is done and pred is still false; ErrOwnerDied at once, whatever pred
// says, when m's holder died, since pred looks at data in doubt.
func (c *Cond) WaitFor(ctx context.Context, m *Mutex, pred func() bool) error {
	for {
		if pred() {
			return nil
		}
		err := c.Wait(ctx, m)
		switch {
		case err == nil:
		case errors.Is(err, ErrOwnerDied):
			return err
		default:
			if pred() {
				return nil
			}
			return err
		}
	}
}

// Signal wakes one waiter, if there is any. A signal that nobody waits for is
// lost.
func (c *Cond) Signal() { c.SignalN(1) }

// SignalN wakes up to n waiters, 65,535 at most.
func (c *Cond) SignalN(n int) {
	if shm.SelfAt(low(&c.state)) == 0 {
		stray("Cond.Signal")
	}
	if n <= 0 {
		return
	}
	shm.RaceRelease(c)
	if c.state.Load()&condWaited != 0 {
		c.signal(min(n, maxPending))
	}
}

// signal is SignalN where somebody waits.
func (c *Cond) signal(n int) {
	// Whoever is told may close c.
	var stay shm.Stay
	entered("Cond.Signal", shm.Find(c), &stay, low(&c.state))
	defer stay.Leave()
	var v, sent uint64
	for {
		v = c.state.Load()
		if v&condWaited == 0 {
			return
		}
		// Pairs with the loads in sleep.
		sent = signalled(v, uint64(n))
		if c.state.CompareAndSwap(v, sent) {
			break
		}
	}
	if fault.Enabled {
		fault.Point("futexlock.cond.signalled")
	}
	woken := shm.Wake(low(&c.state), n)
	if fault.Enabled {
		fault.Point("futexlock.cond.woke")
	}
	if woken == n {
		return
	}
	// The queue is empty, so the flag can go. But some waiters may be awake:
	// on their way to sleep, or looking whether somebody died. The signal was
	// for one of them, we cannot know which: tell all.
	for v = c.state.Load(); condSeq(v) == condSeq(sent); v = c.state.Load() {
		if c.state.CompareAndSwap(v, broadcast(v)) {
			if fault.Enabled {
				fault.Point("futexlock.cond.broadcast")
			}
			shm.Wake(low(&c.state), -1)
			return
		}
	}
	// Another signal came between. If nobody answers ours, a sleeper will
	// return for it.
}

// Broadcast wakes every waiter.
func (c *Cond) Broadcast() {
	if shm.SelfAt(low(&c.state)) == 0 {
		stray("Cond.Broadcast")
	}
	shm.RaceRelease(c)
	if c.state.Load()&condWaited != 0 {
		c.tellAll()
	}
}

// tellAll is Broadcast where somebody waits.
func (c *Cond) tellAll() {
	var stay shm.Stay // as in signal
	entered("Cond.Broadcast", shm.Find(c), &stay, low(&c.state))
	defer stay.Leave()
	for {
		v := c.state.Load()
		if v&condWaited == 0 {
			return
		}
		// Pairs with the loads in sleep.
		if c.state.CompareAndSwap(v, broadcast(v)) {
			break
		}
	}
	if fault.Enabled {
		fault.Point("futexlock.cond.broadcast")
	}
	shm.Wake(low(&c.state), -1)
}

// sweep tells everybody to look at the condition if dead was woken for a
// signal, or may have changed the condition and not have come to signal it.
func (c *Cond) sweep(s *shm.Segment, dead uint32) {
	v := c.state.Load()
	if v&condWaited != 0 {
		if condPending(v) == 0 && !c.doubtful(s, dead) {
			return
		}
		c.change(broadcast)
	}
	// Without the flag nobody should be asleep: dead dropped it, and did not
	// come to wake them.
	shm.Wake(low(&c.state), -1)
}

func (c *Cond) check(*shm.Segment) string { return "" }

// State describes c in a line for people.
func (c *Cond) State() string {
	v := c.state.Load()
	s := "nobody waits"
	if v&condWaited != 0 {
		s = "waiters"
	}
	if n := condPending(v); n > 0 {
		s += fmt.Sprintf(", %d signals under way", n)
	}
	return s
}

func init() { register[Cond](kindCond) }
