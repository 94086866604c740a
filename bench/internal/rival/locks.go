package rival

import (
	"errors"
	"structs"

	"shmkit/futexlock"
)

// Locks are the two locks of a pipe that several processes share: one holds
// the sending end while it writes a frame, another the receiving end while it
// reads one. Python's queue does the same with two semaphores; we give the
// rival this module's mutex, so that it is not slowed by its lock.
type Locks struct {
	_       structs.HostLayout
	Send    futexlock.Mutex
	_       [128]byte // The two ends must not share a cache line.
	Receive futexlock.Mutex
}

// lockEnd takes the lock of an end; nil is the lock of an end that one process
// has to itself. If the last holder died inside, part of a frame may be in the
// pipe, or gone from it, and nobody can know which. We carry on, as a program
// with no better lock would without even being told; the receivers will see.
func lockEnd(mu *futexlock.Mutex) error {
	if mu == nil {
		return nil
	}
	err := mu.Lock()
	if errors.Is(err, futexlock.ErrOwnerDied) {
		mu.Consistent()
		return nil
	}
	return err
}

// unlockEnd gives the lock back.
func unlockEnd(mu *futexlock.Mutex) {
	if mu != nil {
		mu.Unlock()
	}
}
