package mpqueue

import (
	"sync/atomic"

	"shmkit/shm"
)

// What users may rely on, as they do with channels: what went before Put happened
// before what follows the Get of that message; what went before Get, Done, TaskDone
// or Requeue, before what follows a Put that needed the place, a Join that waited
// for it, or the next delivery; what went before CloseSend, before what follows the
// ErrClosed of a Get. The race detector cannot see that by itself, for it ignores
// mapped memory. Without -race these are empty.

// raceDone stands before the release of a place, or of an item: word is what is
// released.
func (q *core) raceDone(word *atomic.Uint64) {
	shm.RaceRelease(word)
	shm.RaceRelease(&q.notFull)
	shm.RaceRelease(&q.idle)
}

// raceRoom stands after the claim of a place.
func (q *core) raceRoom(s *slot) {
	shm.RaceAcquire(&s.word)
	shm.RaceAcquire(&q.notFull)
}
