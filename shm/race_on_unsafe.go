//go:build race

package shm

import (
	"runtime"
	"unsafe"
)

// raceKeys stand in for the words in mapped memory, which the race detector
// ignores. Two words may share a key: then a race between what they protect
// can stay unseen, but no correct program is reported.
var raceKeys [1 << 12]byte

func raceKey(p unsafe.Pointer) unsafe.Pointer {
	h := uint64(uintptr(p)) >> 2 * 0x9e3779b97f4a7c15
	return unsafe.Pointer(&raceKeys[h>>52])
}

// RaceAcquire tells the race detector that what went before RaceRelease(p), in
// whatever goroutine, happened before what follows. The detector does not see
// atomics in mapped memory, so every lock and queue tells it by these. They cost
// nothing in programs built without -race.
func RaceAcquire[T any](p *T) { runtime.RaceAcquire(raceKey(unsafe.Pointer(p))) }

// RaceRelease is the other end of RaceAcquire.
func RaceRelease[T any](p *T) { runtime.RaceReleaseMerge(raceKey(unsafe.Pointer(p))) }

// RaceEnabled reports whether this program was built with -race. In such a program
// a Store of sync/atomic is no barrier: it may pass a Load that follows, as 9 of
// 30,000 did when two goroutines each wrote a word and looked at the other's. Two
// that must not miss each other use Swap, Add or CompareAndSwap; a wake that is
// missed all the same is made good by the backstop.
const RaceEnabled = true
