package mpqueue

import (
	"errors"
	"fmt"
	"io"
)

// Errors that a caller may want to tell apart; test with errors.Is.
var (
	// ErrClosed is returned by Put after CloseSend, and by Get when the
	// queue or ring is closed, drained, and no lease is out that could come
	// back. It is io.EOF for errors.Is.
	ErrClosed error = closedError{}

	// ErrAbandoned is returned in place of ErrClosed when the queue was
	// closed because its last registered producer died. A Ring returns it,
	// once for each death, to the side that waits for what only the dead
	// producer, or consumer, could give; the next call waits for a successor.
	// It is not io.EOF, but io.ErrUnexpectedEOF for errors.Is.
	ErrAbandoned error = abandonedError{}

	// ErrFull is returned by TryPut when no item fits, and, joined with the
	// context's error, by Put when its context is done. A queue can be full with
	// fewer items than Cap: see there.
	ErrFull = errors.New("mpqueue: full")

	// ErrEmpty is returned by TryGet when there is nothing to get, and,
	// joined with the context's error, by Get when its context is done.
	ErrEmpty = errors.New("mpqueue: empty")

	// ErrBusy is returned by TryPut and TryGet when the answer depends on an
	// operation that a living process has begun and not finished for 100 µs;
	// and by every call of a Ring whose side another living process has. A
	// Conn returns it, joined with the context's error, where "full" or
	// "empty" would not be true.
	ErrBusy = errors.New("mpqueue: busy")

	// ErrTooLarge is returned by Put for a message that can never fit the
	// queue's arena, and by a ByteRing for more bytes at once than it holds.
	// Nothing was written.
	ErrTooLarge = errors.New("mpqueue: message too large")

	// ErrCorrupt is returned when the queue's memory holds what cannot be:
	// a length or a block number out of range. The message in question is
	// lost. The positions of a ring that cannot be stay so.
	ErrCorrupt = errors.New("mpqueue: corrupt")

	// ErrDone is returned by Item.Done and Item.Requeue of an item that is
	// done already.
	ErrDone = errors.New("mpqueue: item is done already")
)

type closedError struct{}

func (closedError) Error() string        { return "mpqueue: closed" }
func (closedError) Is(target error) bool { return target == io.EOF }

type abandonedError struct{}

func (abandonedError) Error() string        { return "mpqueue: abandoned by a peer that died" }
func (abandonedError) Is(target error) bool { return target == io.ErrUnexpectedEOF }

func corrupt(what string, at uint64, got uint64) error {
	return fmt.Errorf("%w: %s %d holds %#x", ErrCorrupt, what, at, got)
}
