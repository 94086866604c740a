//go:build !race

package shm

// RaceAcquire tells the race detector that what went before RaceRelease(p), in
// whatever goroutine, happened before what follows. The detector does not see
// atomics in mapped memory, so every lock and queue tells it by these. They cost
// nothing in programs built without -race.
func RaceAcquire[T any](p *T) {}

// RaceRelease is the other end of RaceAcquire.
func RaceRelease[T any](p *T) {}

// RaceEnabled reports whether this program was built with -race.
const RaceEnabled = false
