package futexlock

import (
	"context"
	"fmt"
	"structs"
	"sync/atomic"

	"shmkit/shm"
	"shmkit/shm/fault"
)

// Event is a flag that processes wait for: Python's Event. It is set or clear,
// and stays set until it is cleared. All zero bytes are a clear Event. It must
// not be copied or moved. Any goroutine of any process may call any method.
//
// No process owns an Event, and none of its operations has a middle: whoever
// dies, the others go on. A waiter that was asleep when Set was called returns,
// even if Clear follows at once. A Set synchronizes before every Wait that it
// lets through.
//
//	bit    name        meaning               set by     cleared by          a stale value costs
//	0      set         the flag              Set        Clear               (truth)
//	1      waited      somebody may sleep    Wait       Set, after waking   set: one needless system call
//	31..2  generation  how often Set has     Set                            (wraps; only compared with itself
//	                   set the flag                                         during one sleep)
//
// A Set that is killed before its wake leaves set and waited together: every
// later Set, the sweep of the dead process, and the sleepers' backstops see to
// the wake.
type Event struct {
	_    structs.HostLayout
	_    noCopy
	word atomic.Uint32
	_    uint32
}

const (
	eventSet    = 1
	eventWaited = 2
	eventOnce   = 4 // one generation
)

var _ = fault.Declare("futexlock.event.set", "futexlock.event.woke", "futexlock.event.waited")

// IsSet reports whether e is set: one load.
func (e *Event) IsSet() bool {
	ok := e.word.Load()&eventSet != 0 // pairs with the CAS in Set
	if ok {
		shm.RaceAcquire(e)
	}
	return ok
}

// Set sets e and wakes every process that waits for it.
func (e *Event) Set() {
	if shm.SelfAt(&e.word) == 0 {
		stray("Event.Set")
	}
	shm.RaceRelease(e)
	for v := e.word.Load(); v&eventWaited == 0; v = e.word.Load() {
		// Publishes what the caller wrote before. Pairs with the loads in
		// IsSet and Wait.
		if v&eventSet != 0 || e.word.CompareAndSwap(v, v+eventOnce|eventSet) {
			return
		}
	}
	e.setSlow()
}

// setSlow is Set where somebody may sleep, or a Set was killed before its wake.
func (e *Event) setSlow() {
	// Whoever sees that e is set may close it.
	var stay shm.Stay
	entered("Event.Set", shm.Find(e), &stay, &e.word)
	defer stay.Leave()
	for {
		v := e.word.Load()
		nv := v
		if v&eventSet == 0 {
			nv = v + eventOnce | eventSet
		}
		if nv != v && !e.word.CompareAndSwap(v, nv) {
			continue
		}
		if nv&eventWaited == 0 {
			return
		}
		if fault.Enabled {
			fault.Point("futexlock.event.set")
		}
		shm.Wake(&e.word, -1)
		if fault.Enabled {
			fault.Point("futexlock.event.woke")
		}
		// Nobody falls asleep while the flag is set, and all are awake.
		e.word.CompareAndSwap(nv, nv&^eventWaited)
		return
	}
}

// Clear clears e. Who waits from now on sleeps until the next Set.
func (e *Event) Clear() {
	if shm.SelfAt(&e.word) == 0 {
		stray("Event.Clear")
	}
	for {
		v := e.word.Load()
		if v&eventSet == 0 || e.word.CompareAndSwap(v, v&^eventSet) {
			return
		}
	}
}

// Wait returns nil once e is set, or was set at any time since Wait was
// called. When ctx is done first it returns ctx's error, wrapped; if this
// process closes the segment, shm.ErrClosed.
func (e *Event) Wait(ctx context.Context) error {
	start := e.word.Load()
	if start&eventSet != 0 && shm.SelfAt(&e.word) != 0 { // pairs with the CAS in Set
		shm.RaceAcquire(e)
		return nil
	}
	seg, _ := attached("Event.Wait", shm.Find(e))
	var stay shm.Stay
	if err := stay.Enter(seg, &e.word); err != nil {
		return failed("Event.Wait", err)
	}
	defer stay.Leave()
	for {
		v := e.word.Load()
		if v&eventSet != 0 || v>>2 != start>>2 {
			if _, err := unlessClosed(seg, &stay, false); err != nil {
				return failed("Event.Wait", err)
			}
			shm.RaceAcquire(e)
			return nil
		}
		if err := ctx.Err(); err != nil {
			return failed("Event.Wait", err)
		}
		if v&eventWaited == 0 {
			if !e.word.CompareAndSwap(v, v|eventWaited) {
				continue
			}
			v |= eventWaited
		}
		if fault.Enabled {
			fault.Point("futexlock.event.waited")
		}
		if seg.Sleep(ctx, &e.word, v, 0) == shm.Closed {
			return failed("Event.Wait", shm.ErrClosed)
		}
	}
}

// State describes e in a line for people, for instance "clear, waiters, set 3
// times".
func (e *Event) State() string { return eventState(e.word.Load()) }

func eventState(v uint32) string {
	s := "clear"
	if v&eventSet != 0 {
		s = "set"
	}
	if v&eventWaited != 0 {
		s += ", waiters"
	}
	return fmt.Sprintf("%s, set %d times", s, v>>2)
}

func (e *Event) sweep(_ *shm.Segment, _ uint32) {
	v := e.word.Load()
	if v&eventWaited == 0 {
		return
	}
	// dead may have set e and woken nobody, be it clear again by now.
	shm.Wake(&e.word, -1)
	if v&eventSet != 0 {
		e.word.CompareAndSwap(v, v&^eventWaited)
	}
}

func (e *Event) check(*shm.Segment) string { return "" }

func init() { register[Event](kindEvent) }
