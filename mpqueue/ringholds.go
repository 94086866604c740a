package mpqueue

import (
	"sync/atomic"

	"shmkit/shm"
)

// ringHolds is which roles of a ring a core has. It is no part of the core, so that
// they can be given up when that has been collected.
type ringHolds struct {
	seg     *shm.Segment
	ctl     *ringControl
	in, out atomic.Bool
}

// giveUp gives up what the core has; no goroutine is in a call of it any more.
func (h *ringHolds) giveUp() {
	h.giveUpOne(&h.ctl.producer, &h.in)
	h.giveUpOne(&h.ctl.consumer, &h.out)
}

// giveUpOne gives one role up, if the core has it. The caller is the goroutine that
// uses that side, or knows that there is none. Where this process has opened the
// ring again its token may stand there for the new core: that keeps it.
func (h *ringHolds) giveUpOne(role *atomic.Uint32, mine *atomic.Bool) {
	rings.Lock()
	defer rings.Unlock()
	if !mine.Swap(false) || rings.byID[h.seg.ID()] != nil {
		return
	}
	for {
		v := role.Load()
		if roleToken(v) != h.seg.Self() || v&roleAbandoned != 0 || role.CompareAndSwap(v, 0) {
			return
		}
	}
}
