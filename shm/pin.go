package shm

import (
	"sync"
	"time"
)

// A handle that was sent may arrive when its sender has closed the object
// already. So a sender that closes an object whose handle has travelled, and
// that nobody has opened since, keeps it pinned: a segment by its descriptor, a
// block of an arena by its bit. A pin ends when some process has opened the
// object, or when maxPins newer ones have come that nobody has opened either.
type pin struct {
	opened func() bool // somebody has opened the object since it was sent
	drop   func()
}

// maxPins bounds the objects that a process keeps only for receivers that may
// never come.
const maxPins = 64

// opens counts how often a handle of the segment was opened: by a newcomer, or where
// it was open already. It changes with each.
func (w *wall) opens() uint64 { return w.claims.Load() + uint64(w.reopens.Load()) }

var pins struct {
	sync.Mutex
	all   []*pin // oldest first
	going int    // dropped, and not yet gone
	armed bool
	pause time.Duration
}

const (
	firstPinLook = 20 * time.Millisecond
	lastPinLook  = time.Second
)

// pinUntil keeps p.
func pinUntil(p *pin) {
	pins.Lock()
	defer pins.Unlock()
	pins.all = append(pins.all, p)
	if len(pins.all) > maxPins {
		over := takeOpened()
		if len(over) == 0 {
			over = []*pin{pins.all[0]}
			pins.all = append([]*pin(nil), pins.all[1:]...)
		}
		pins.going += len(over)
		go func() { // it takes locks that our caller may hold
			for _, p := range over {
				p.drop()
			}
			pins.Lock()
			pins.going -= len(over)
			pins.Unlock()
		}()
	}
	pins.pause = firstPinLook
	if !pins.armed {
		pins.armed = true
		time.AfterFunc(firstPinLook, lookAtPins)
	}
}

// takeOpened takes out the pins whose objects have been opened. The caller holds
// the lock of pins.
func takeOpened() (over []*pin) {
	var keep []*pin
	for _, p := range pins.all {
		if p.opened() {
			over = append(over, p)
		} else {
			keep = append(keep, p)
		}
	}
	pins.all = keep
	return over
}

// lookAtPins drops the pins whose objects have been opened. It runs as long as
// there are pins, less and less often.
func lookAtPins() {
	pins.Lock()
	over := takeOpened()
	if pins.armed = len(pins.all) > 0; pins.armed {
		pins.pause = min(2*pins.pause, lastPinLook)
		time.AfterFunc(pins.pause, lookAtPins)
	}
	pins.Unlock()
	for _, p := range over {
		p.drop()
	}
}
