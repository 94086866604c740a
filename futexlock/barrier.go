package futexlock

import (
	"context"
	"fmt"
	"structs"
	"sync/atomic"

	"shmkit/shm"
	"shmkit/shm/fault"
)

// BarrierProcesses is the number of processes that can take part in one
// Barrier; each with any number of goroutines, up to 16,383 parties in all.
const BarrierProcesses = 64

// Barrier lets a fixed number of parties wait for each other, round after
// round: Python's Barrier. It must not be copied or moved. Init says how many
// parties there are; before that Wait returns ErrNotInit. Any goroutine of any
// process may call any method; each call of Wait is one party of one round.
//
// When a party gives up waiting, when its action fails, or when somebody calls
// Abort, the barrier is broken: every Wait, current and future, returns
// ErrBroken until Reset.
//
// A process that has called Wait since the last Reset is expected to come
// again. When it dies, those that wait get an error that is both ErrBroken and
// ErrOwnerDied, and so do those that come later. A process that has done its
// rounds and ends calls Leave first, or the others Reset.
//
// Everything before a Wait in one party happens before the return of that round's Wait
// in every other. A Barrier takes 528 bytes.
type Barrier struct {
	_       structs.HostLayout
	_       noCopy
	state   atomic.Uint64 // barrierword.go
	parties atomic.Uint32 // 0: not initialised
	_       uint32
	cells   [BarrierProcesses]atomic.Uint64
}

var _ = fault.Declare(
	"futexlock.barrier.joined", "futexlock.barrier.arrived", "futexlock.barrier.acting",
	"futexlock.barrier.complete", "futexlock.barrier.broken", "futexlock.barrier.reset",
)

// errPartyDied is what the parties of a dead process get.
var errPartyDied = fmt.Errorf("%w: %w", ErrBroken, ErrOwnerDied)

// Init sets the number of parties, from 1 to 16,383; another number is an
// error that is ErrOverflow. Call it before others use b.
func (b *Barrier) Init(parties int) error {
	if parties < 1 || parties > maxParties {
		return failed("Barrier.Init", fmt.Errorf("%d parties, want 1 to %d: %w", parties, maxParties, ErrOverflow))
	}
	attached("Barrier.Init", shm.Find(b))
	for i := range b.cells {
		b.cells[i].Store(0)
	}
	b.state.Store(0)
	b.parties.Store(uint32(parties))
	return nil
}

// Wait waits until all parties have called it. It returns the place of this
// call in the order of arrival, from 0; each round has every place once. The
// last to arrive runs its actions, if it brought any, before anybody returns; if
// one fails, the barrier breaks, and that Wait returns its error.
//
// Errors: ErrNotInit; ErrTooManyHolders; ErrBroken, with ErrOwnerDied if a
// party died; ctx's error together with ErrBroken if ctx was done before the round
// was over, which breaks the barrier; shm.ErrClosed if this process closes the
// segment meanwhile.
func (b *Barrier) Wait(ctx context.Context, action ...func() error) (index int, err error) {
	seg, self := attached("Barrier.Wait", shm.Find(b))
	parties := b.parties.Load()
	if parties == 0 {
		if seg.Closed() {
			return 0, failed("Barrier.Wait", shm.ErrClosed) // we have seen a private page
		}
		return 0, failed("Barrier.Wait", ErrNotInit)
	}
	var stay shm.Stay
	if err := stay.Enter(seg, low(&b.state)); err != nil {
		return 0, failed("Barrier.Wait", err)
	}
	defer stay.Leave()
	shm.RaceRelease(b)
	for {
		v := b.state.Load()
		if v&barrierBroken != 0 {
			return 0, b.brokenError(v)
		}
		if !b.join(seg, v, self) {
			if barrierEpoch(b.state.Load()) != barrierEpoch(v) {
				continue // those cells may be of an epoch that we have not seen yet
			}
			return 0, failed("Barrier.Wait", ErrTooManyHolders)
		}
		if fault.Enabled {
			fault.Point("futexlock.barrier.joined")
		}
		place := barrierArrived(v)
		switch {
		case place >= parties:
			// More callers than parties: this round is full, its last
			// arrival runs the action. Wait for the next one, however it ends.
			if over, err := b.wait(ctx, seg, &stay, v); !over {
				return 0, err
			}
		case place == parties-1 && len(action) > 0:
			if b.state.CompareAndSwap(v, arrived(v)|barrierActing) {
				return b.act(seg, &stay, arrived(v)|barrierActing, int(place), action)
			}
		case place == parties-1:
			// The last one. Pairs with the loads in wait.
			if b.state.CompareAndSwap(v, nextRound(v, false)) {
				return b.completed(int(place))
			}
		default:
			if b.state.CompareAndSwap(v, arrived(v)) {
				if fault.Enabled {
					fault.Point("futexlock.barrier.arrived")
				}
				if _, err := b.wait(ctx, seg, &stay, v); err != nil {
					return 0, err
				}
				shm.RaceAcquire(b)
				return int(place), nil
			}
		}
	}
}

// completed lets the others go after the round's last CAS. Killed before the
// wake, we leave sleepers that find the round over when they look.
func (b *Barrier) completed(place int) (int, error) {
	if fault.Enabled {
		fault.Point("futexlock.barrier.complete")
	}
	shm.Wake(low(&b.state), -1)
	shm.RaceAcquire(b)
	return place, nil
}

// act runs the actions of the last arrival, outside of the stay, and completes the
// round that stands at v.
func (b *Barrier) act(seg *shm.Segment, stay *shm.Stay, v uint64, place int, action []func() error) (int, error) {
	if fault.Enabled {
		fault.Point("futexlock.barrier.acting")
	}
	done := false
	defer func() {
		// An action fails, or panics. If b was closed meanwhile it is broken
		// already.
		if !done && stay.Enter(seg, low(&b.state)) == nil {
			b.breakRound(barrierRound(v), 0) // not another that a Reset has begun
		}
	}()
	shm.RaceAcquire(b)
	stay.Leave()
	for _, f := range action {
		if err := f(); err != nil {
			return 0, failed("Barrier.Wait: action", err)
		}
	}
	shm.RaceRelease(b)
	done = true
	if err := stay.Enter(seg, low(&b.state)); err != nil {
		return 0, failed("Barrier.Wait", err)
	}
	if !b.state.CompareAndSwap(v, nextRound(v, false)) {
		// Somebody broke or reset the barrier meanwhile: nothing else can
		// change the state of a full round.
		return 0, b.brokenError(b.state.Load())
	}
	return b.completed(place)
}

// wait waits until the round of v is over. over says that it is; else the caller
// has given up, or the barrier is broken or closed.
func (b *Barrier) wait(ctx context.Context, seg *shm.Segment, stay *shm.Stay, v uint64) (over bool, err error) {
	round := barrierRound(v)
	w := watchFor(ctx, seg, stay, low(&b.state))
	for turn := 0; ; turn++ {
		now := b.state.Load() // pairs with the CAS of the last arrival
		if barrierRound(now) != round {
			if _, err := unlessClosed(seg, stay, false); err != nil {
				return false, failed("Barrier.Wait", err)
			}
			if endedWell(now, round, barrierEpoch(v)) {
				return true, nil
			}
			return true, failed("Barrier.Wait", ErrBroken)
		}
		if now&barrierBroken != 0 {
			return false, b.brokenError(now)
		}
		watch, died, dying := b.roll(&w, now, turn)
		if died {
			b.breakRound(round, barrierDied)
			continue
		}
		if w.pause(ctx, dying) {
			continue
		}
		why, err := w.sleep(ctx, low(&b.state), uint32(now), watch)
		switch {
		case err == nil:
		case why == shm.Closed:
			return false, failed("Barrier.Wait", err)
		case b.breakRound(round, 0):
			return false, failed("Barrier.Wait", fmt.Errorf("%w: %w", ErrBroken, err))
		}
	}
}

// breakRound breaks the barrier if round is still the round. It reports
// whether it did.
func (b *Barrier) breakRound(round uint32, why uint64) bool {
	for {
		v := b.state.Load()
		if barrierRound(v) != round || v&barrierBroken != 0 {
			return false
		}
		if b.state.CompareAndSwap(v, v&^barrierActing|barrierBroken|why) {
			if fault.Enabled {
				fault.Point("futexlock.barrier.broken")
			}
			shm.Wake(low(&b.state), -1)
			return true
		}
	}
}

func (b *Barrier) brokenError(v uint64) error {
	if v&barrierDied != 0 {
		return failed("Barrier.Wait", errPartyDied)
	}
	return failed("Barrier.Wait", ErrBroken)
}

// Abort breaks the barrier.
func (b *Barrier) Abort() {
	var stay shm.Stay // whoever is told may close b
	entered("Barrier.Abort", shm.Find(b), &stay, low(&b.state))
	defer stay.Leave()
	for v := b.state.Load(); v&barrierBroken == 0 && !b.breakRound(barrierRound(v), 0); v = b.state.Load() {
	}
}

// Reset ends the current round, whose waiters get ErrBroken, mends a broken
// barrier and forgets which processes have taken part.
func (b *Barrier) Reset() {
	var stay shm.Stay // as in Abort
	entered("Barrier.Reset", shm.Find(b), &stay, low(&b.state))
	defer stay.Leave()
	for {
		v := b.state.Load()
		now := nextRound(v, true)
		if b.state.CompareAndSwap(v, now) {
			if fault.Enabled {
				fault.Point("futexlock.barrier.reset")
			}
			shm.Wake(low(&b.state), -1)
			b.forget(barrierEpoch(now))
			return
		}
	}
}

// Leave says that this process takes part no more: its end will not break the
// barrier. A later Wait makes it a party again.
func (b *Barrier) Leave() {
	_, self := attached("Barrier.Leave", shm.Find(b))
	for i := range b.cells {
		if v := b.cells[i].Load(); uint32(v>>32) == self {
			b.cells[i].CompareAndSwap(v, 0)
		}
	}
}

// Parties returns the number that Init was given.
func (b *Barrier) Parties() int { return int(b.parties.Load()) }

// Waiting returns how many have arrived in the current round.
func (b *Barrier) Waiting() int {
	v := b.state.Load()
	if v&barrierBroken != 0 {
		return 0
	}
	return int(barrierArrived(v))
}

// Broken reports whether the barrier is broken.
func (b *Barrier) Broken() bool { return b.state.Load()&barrierBroken != 0 }

func init() { register[Barrier](kindBarrier) }
