package mpqueue

import (
	"runtime"
	"sync/atomic"
	"time"

	"shmkit/shm"
)

// spinner decides how long one side of a queue looks again before it sleeps, and
// how often.
//
// How long: what a sleep and a wake cost, and only while the other side is at
// work. A spin that was for nothing halves the next, one that paid doubles it.
//
// How often: a receiver that looks at a slot takes its cache line away from the
// sender that is about to write it. If both run at full speed, close behind each
// other, each message crosses several times. So a side that has caught up stands
// back for a moment (lag), until there are some messages between them: the same
// work then costs half. A side that finds only one message after standing back
// is in a conversation, not in a stream, and stops doing so.
type spinner struct {
	budget atomic.Int64  // ns
	lag    atomic.Int32  // pauses before the first look
	mark   atomic.Uint64 // position at the last time of waiting
}

const (
	spinMin = 5 * time.Microsecond // a sleep and a wake cost more than that
	spinMax = 20 * time.Microsecond
	lagMin  = 8
	lagMax  = 512 // about 8 µs
	longRun = 256 // messages between two waits that are enough
)

// spinners is how many goroutines of this process look again. Where there are several
// they let each other, and others, have the processors between two looks: else those
// whose message has come would wait for those whose message has not. One alone does
// not, for that costs more than a look.
var spinners atomic.Int32

func (s *spinner) init() { s.budget.Store(int64(spinMax / 4)) }

// standBack pauses for as long as has paid lately, and learns from the number of
// messages since the last time. p is the position that is waited for, room how many
// messages there can be between the sides: if more than half of them have passed
// where there are few, the other side has waited for us.
func (s *spinner) standBack(p, room uint64) {
	lag := s.lag.Load()
	run := p - s.mark.Load()
	if run != 0 {
		s.mark.Store(p)
	}
	before := lag
	switch {
	case run >= longRun:
	case run > room/2 && run > 1:
		lag /= 2
	case run > 1:
		lag = min(2*lag, lagMax)
	default:
		lag /= 2
	}
	if lag != before { // each store is a fence
		s.lag.Store(lag)
	}
	for n := lag; n > 0; n -= 16 {
		shm.Pause(int(min(n, 16)))
	}
}

// soon notes that what was waited for came at once, as in a stream.
func (s *spinner) soon() {
	if s.lag.Load() == 0 {
		s.lag.Store(lagMin)
	}
}

// look calls f until it reports true or the budget is used up.
func (s *spinner) look(f func() bool) bool {
	if !shm.CanSpin() {
		return false
	}
	budget := time.Duration(s.budget.Load())
	spinners.Add(1)
	defer spinners.Add(-1)
	begin := time.Now()
	for n := 1; ; n = min(2*n, 16) {
		shm.Pause(n)
		if spinners.Load() > 1 {
			runtime.Gosched()
		}
		if f() {
			s.budget.Store(int64(min(2*budget, spinMax)))
			return true
		}
		if time.Since(begin) > budget {
			s.budget.Store(int64(max(budget/2, spinMin)))
			return false
		}
	}
}
