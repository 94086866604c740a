package futexlock

import (
	"sync/atomic"
	"unsafe"

	"shmkit/shm"
)

// spinScore remembers, for the locks whose addresses share an entry, whether
// spinning has paid: it rises by one when a spin got the lock and falls by one
// when it did not. It is process memory and a guess.
var spinScore [256]atomic.Int32

const (
	spinRounds = 6  // 2, 4, 8 … 64 PAUSEs between looks: about 2 µs, the price of a sleep and a wake
	spinLimit  = 16 // how far the score goes in either direction
)

// address is that of word, for tables of guesses.
func address(word *atomic.Uint32) uintptr { return uintptr(unsafe.Pointer(word)) }

// spin looks at word for about as long as a sleep and a wake would take, while
// that can win: on more than one CPU, with nobody queued, and if it won lately.
func spin(word *atomic.Uint32, self uint32) bool {
	if !shm.CanSpin() {
		return false
	}
	a := address(word)
	score := &spinScore[(a>>3^a>>12)%uintptr(len(spinScore))]
	rounds := spinRounds
	if score.Load() <= -spinLimit {
		// It has not paid for a while. A short look now and then finds out
		// when it does again.
		rounds = 2
	}
	for i := range rounds {
		shm.Pause(2 << i)
		v := word.Load()
		if v&^ownerDied&^holderMask != 0 {
			break // others sleep: queue up behind them
		}
		if v == 0 && word.CompareAndSwap(0, self) {
			if score.Load() < spinLimit {
				score.Add(1)
			}
			return true
		}
	}
	if score.Load() > -spinLimit {
		score.Add(-1)
	}
	return false
}
