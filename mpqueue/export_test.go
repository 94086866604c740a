package mpqueue

// FaultPoints are the points at which tests kill a process inside this package,
// and inside the sweep that calls it.
var FaultPoints = []string{
	"mpqueue.put.claimed", "mpqueue.put.filled", "mpqueue.put.committed",
	"mpqueue.get.claimed", "mpqueue.get.copied", "mpqueue.get.released", "mpqueue.get.taken",
	"mpqueue.receive.leased", "mpqueue.done.freed",
	"mpqueue.signal.pending", "mpqueue.wait.waited",
	"mpqueue.alloc.claimed", "mpqueue.arena.seized", "mpqueue.arena.reserved",
	"mpqueue.sweep.leases", "mpqueue.sweep.slots",
	"shm.sweep.elected", "shm.sweep.released", "shm.attach.locked", "shm.attach.claimed",
}
