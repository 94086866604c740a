package futexlock

import (
	"errors"
	"fmt"

	"shmkit/shm"
)

// ErrOwnerDied says that a process died inside what the lock protects. From a
// Lock, an RLock or a Cond's Wait it means held: the caller has the lock like
// any other, and is told that the data may be half-written. It is told to every
// locker until a holder has repaired the data and called Consistent. From
// WaitGroup.Wait it means that tasks died with their process, from Barrier.Wait
// that a party did.
var ErrOwnerDied = errors.New("the process that held it died")

// ErrNotInit is returned by Barrier.Wait before Init.
var ErrNotInit = errors.New("not initialised")

// ErrOverflow is returned when a count would pass its bound: by
// Semaphore.Release above the maximum, by Semaphore.Acquire of more than the
// maximum and Semaphore.Init of a value above it, by RecursiveMutex.Lock past the
// greatest depth, by Barrier.Init of too few or too many parties, by WaitGroup.Add
// and Take past what a process can be charged with. Nothing has changed.
var ErrOverflow = errors.New("past the bound")

// ErrTooManyHolders is returned when more processes take part at once than the
// object has cells for, and by Semaphore.AcquireOwned where permits have no cells
// at all. Nothing has changed. The limit is in the type's comment.
var ErrTooManyHolders = errors.New("too many processes take part")

// ErrBroken is returned by every Barrier.Wait, current and future, from the
// moment when a party gave up, failed, died or called Abort, until Reset. If a
// party's death was the reason, the error is ErrOwnerDied as well.
var ErrBroken = errors.New("the barrier is broken")

// failed wraps err with the operation that returns it.
func failed(op string, err error) error { return fmt.Errorf("futexlock: %s: %w", op, err) }

// told is the error of a lock function that holds the lock.
func told(op string, died bool) error {
	if died {
		return failed(op, ErrOwnerDied)
	}
	return nil
}

// mustLock passes on the error of a lock function that has no way to fail: nil
// or ErrOwnerDied. The one other error is that the caller holds a pointer into
// a segment that its own process has closed.
func mustLock(op string, err error) error {
	if errors.Is(err, shm.ErrClosed) {
		panic("futexlock: " + op + ": the segment was closed by this process")
	}
	return err
}

// stray stops a caller whose lock is not in shared memory, or no longer, or in a
// segment that this process only looks at.
func stray(op string) {
	panic("futexlock: " + op + ": the lock lies in no attached segment; make it with shm.New or inside a struct made with shm.New, and do not copy it")
}

// notHeld stops a caller that gives back what it does not have.
func notHeld(op, what string, seg *shm.Segment, holder shm.Token) {
	by := "it is free"
	if holder != 0 {
		by = "it is held by " + people(seg, holder)
	}
	panic("futexlock: " + op + " of a " + what + " that this process does not hold: " + by)
}
