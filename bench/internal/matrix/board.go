package matrix

import (
	"structs"
	"sync/atomic"

	"shmkit/bench/internal/stage"
	"shmkit/futexlock"
)

// board is what the launcher and the workers of one run share.
type board struct {
	_       structs.HostLayout
	Gate    futexlock.Event // opened when all workers are there
	_       [128]byte
	Workers [2 * maxProducers]slot
}

// slot is one worker's; nobody else writes it.
//
//	Last   when a consumer received its last marked message, by machine.Now
//	Count  messages that a consumer has received, when it has ended
type slot struct {
	stage.Cell
	Last  atomic.Int64
	Count atomic.Int64
	_     [128]byte
}
