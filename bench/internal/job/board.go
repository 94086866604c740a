package job

import (
	"structs"
	"sync/atomic"

	"shmkit/bench/internal/stage"
	"shmkit/futexlock"
)

// MaxWorkers is the most processes that one run may have at each end.
const MaxWorkers = 64

// board is what the launcher and the workers of one run share. A worker writes
// only its own cell; the launcher only reads the cells.
type board struct {
	_         structs.HostLayout
	Gate      futexlock.Event // opened when all workers are there
	_         [128]byte
	Producers [MaxWorkers]cell
	Consumers [MaxWorkers]cell
}

// cell is what one worker says about itself. The cell outlives its process: a
// successor goes on where the cell of the dead one ends.
//
//	word      written by   meaning
//	Sent      producer     chunks of its share for which Send has returned
//	Hashed    consumer     messages that it wrote into the table and was done with
//	Armed     worker       the number of the kill that it has come to, from 1; 0: none
//	Held      consumer     the number of the kill that it awaits with a message in its hands
//	Last      consumer     when it was done with its last message, by machine.Now
type cell struct {
	stage.Cell
	Sent   atomic.Int64
	Hashed atomic.Int64
	Armed  atomic.Int64
	Held   atomic.Int64
	Last   atomic.Int64
	_      [128 + 64 - 48]byte // Workers must not slow each other down by their counting.
}

// entry is what the table holds for one chunk.
type entry struct {
	_    structs.HostLayout
	Sum  atomic.Uint64 // digest of the bytes that came last
	Seen atomic.Uint32 // how often it came
	// Again counts the deliveries that the queue itself marked as repeated.
	Again atomic.Uint32
}
