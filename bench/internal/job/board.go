package job

import (
	"structs"
	"sync/atomic"

	"shmkit/bench/internal/machine"
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
//	Ready     worker       how many processes have come to the gate in this place
//	Sent      producer     chunks of its share for which Send has returned
//	Hashed    consumer     messages that it wrote into the table and was done with
//	Armed     worker       the number of the kill that it has come to, from 1; 0: none
//	Last      consumer     when it was done with its last message, by machine.Now
//	Reads     producer     how often it has read from a file
//	Usage     worker       what it used between the gate and its end; valid when Ended
//	Held      consumer     the number of the kill that it awaits with a message in its hands
//	Ended     worker       how many processes of this place have done their part
//	Calls     worker       its system calls between the gate and its end, in a
//	                       run that counts them; -1 if it could not
type cell struct {
	_      structs.HostLayout
	Ready  atomic.Int64
	Sent   atomic.Int64
	Hashed atomic.Int64
	Armed  atomic.Int64
	Last   atomic.Int64
	Reads  atomic.Int64
	Ended  atomic.Int64
	Calls  atomic.Int64
	Held   atomic.Int64
	Usage  [6]atomic.Int64
	_      [8]byte
	_      [128]byte // Workers must not slow each other down by their counting.
}

// entry is what the table holds for one chunk.
type entry struct {
	_    structs.HostLayout
	Sum  atomic.Uint64 // digest of the bytes that came last
	Seen atomic.Uint32 // how often it came
	// Again counts the deliveries that the queue itself marked as repeated.
	Again atomic.Uint32
}

// put stores the usage in the cell and says that the worker has ended.
func (c *cell) put(u machine.Usage) {
	for i, v := range []int64{u.CPU, u.ReadCalls, u.WriteCalls, u.Switches, u.PeakPrivate, u.Shared} {
		c.Usage[i].Store(v)
	}
	c.Ended.Add(1) // Publishes the six; the launcher loads it first.
}

// usage returns what the worker has put, or false if it has not.
func (c *cell) usage() (machine.Usage, bool) {
	if c.Ended.Load() == 0 {
		return machine.Unknown, false
	}
	return machine.Usage{
		CPU: c.Usage[0].Load(), ReadCalls: c.Usage[1].Load(), WriteCalls: c.Usage[2].Load(),
		Switches: c.Usage[3].Load(), PeakPrivate: c.Usage[4].Load(), Shared: c.Usage[5].Load(),
	}, true
}
