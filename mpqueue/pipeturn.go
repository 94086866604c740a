package mpqueue

import (
	"sync/atomic"

	"shmkit/shm"
)

// The turn word of a way says who has received a part of the message in the way.
// As long as that process lives, what is in the way is its own.
//
//	bit     name      meaning                  set by                    cleared by        if stale
//	31      waited    somebody may sleep for   who goes to sleep         the end of turn   set: one wake for nothing
//	                  the end of the turn
//	30..29  sequence  who is on the way to     Close                     the end of turn   nothing
//	                  sleep looks again
//	28..0   receiver  its token, 0: nobody     the receiver, before it   the receiver,     of a dead one: the next
//	                                           frees the first part      after the last    receiver clears it
//
// It is written under the lock recv, but for the flags, and for the Close of the
// last Conn of a process, which ends the turn of that process without the lock.
const (
	turnWaited   = 1 << 31
	turnSequence = 1 << 29
)

// turn returns the process whose turn it is, 0 if it is nobody's in particular.
func (w *way) turn() shm.Token { return shm.Token(w.ctl.turn.Load()) & shm.TokenMask }

// turnOver reports whether the turn of t has ended, or t is dead.
func (w *way) turnOver(t shm.Token) bool { return w.turn() != t || w.pipe.seg.Dead(t) }

// takeTurn makes it the turn of this process, unless it is already. It is nobody
// else's.
func (w *way) takeTurn() {
	for self := w.pipe.seg.Self(); ; {
		if v := w.ctl.turn.Load(); shm.Token(v)&shm.TokenMask == self || w.ctl.turn.CompareAndSwap(v, uint32(self)) {
			return
		}
	}
}

// endTurn ends whatever turn it is, and wakes those who wait for that.
func (w *way) endTurn() {
	if w.ctl.turn.Load() != 0 && w.ctl.turn.Swap(0)&turnWaited != 0 {
		shm.Wake(&w.ctl.turn, -1)
	}
}

// endTurnOf ends the turn of t.
func (w *way) endTurnOf(t shm.Token) {
	for {
		v := w.ctl.turn.Load()
		if shm.Token(v)&shm.TokenMask != t {
			return
		}
		if w.ctl.turn.CompareAndSwap(v, 0) {
			shm.Wake(&w.ctl.turn, -1)
			return
		}
	}
}

// stirTurn makes everybody who waits for the end of a turn look again.
func stirTurn(word *atomic.Uint32) {
	for {
		v := word.Load()
		if v&turnWaited == 0 {
			return
		}
		next := v&^(3*turnSequence) | (v+turnSequence)&(3*turnSequence)
		if word.CompareAndSwap(v, next&^turnWaited) {
			shm.Wake(word, -1)
			return
		}
	}
}

// awaitTurn notes that somebody is about to sleep until the turn ends, and
// returns the value to sleep on.
func awaitTurn(word *atomic.Uint32) uint32 {
	for {
		v := word.Load()
		if v == 0 || v&turnWaited != 0 || word.CompareAndSwap(v, v|turnWaited) {
			return v | turnWaited
		}
	}
}
