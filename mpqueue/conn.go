package mpqueue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"shmkit/shm"
)

// Conn is one end of a Pipe. Messages that are sent into the other end come out
// here, whole and in order, and the other way round.
//
// Any number of goroutines, and of processes, may share an end: each message is
// sent without another one in between, and goes to one receiver. Messages may be
// larger than the pipe; they are then sent in parts while they are received.
//
// An end is held by processes. To give a Conn to another process, as an argument
// of it or inside a message, lets go of it here: it is as if it had been closed.
// Keep says otherwise. When nobody holds an end any more, because all have closed
// it or have died, the other side gets io.EOF after what is still in the pipe, and
// its sends return io.ErrClosedPipe. A stopped process holds its ends; if it was
// stopped in the middle of a call, others that share the end wait for it.
//
// When a process is killed, at whatever instruction: a message whose Send had
// returned is received; one that was being sent is received whole or not at all.
// If parts of it had been received already, that receiver gets
// io.ErrUnexpectedEOF, and the next message comes whole. What the dead process
// had received, or was receiving, went with it, but for a message of one part that
// it had not finished: that one the next receiver gets. Whoever shares the end
// goes on.
//
// The zero Conn is good for UnmarshalBinary and UnmarshalText only.
type Conn struct {
	p       *pipeCore
	end     int
	out, in *way // nil: nothing goes there

	keep  atomic.Bool
	doors passage
	life  context.Context // ends with Close; written while nobody is inside the doors
	stop  context.CancelFunc

	change sync.Mutex // held while the doors are shut, or opened again
	closed bool       // for good: by the user, not by giving it away; guarded by change
}

// open makes c an end of p, of which the caller has taken a reference and a hold.
func (c *Conn) open(p *pipeCore, end int) {
	c.p, c.end = p, end
	c.out, c.in = p.ways[end], p.ways[1-end]
	c.life, c.stop = context.WithCancel(context.Background())
	c.doors.open() // publishes all that to who enters
}

// ErrDirection is returned by sends at the end of a one-way pipe that only
// receives, and by receives at the one that only sends.
var ErrDirection = errors.New("mpqueue: the pipe goes the other way only")

// enter begins an operation on way w; the caller calls c.doors.leave in the end.
func (c *Conn) enter(w *way, mode uint32) error {
	if c.p == nil || !c.doors.enter() {
		return shm.ErrClosed
	}
	err := ErrDirection
	if w != nil {
		err = c.p.use(mode)
	}
	if err != nil {
		c.doors.leave()
	}
	return err
}

func (c *Conn) closing() bool { return c.doors.isShut() }

// fail wraps the errors of an operation, but for the io.EOF that callers compare.
func (c *Conn) fail(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return fmt.Errorf("mpqueue: %s: %w", op, err)
}

// Poll waits until a message can be received, or the end of the stream, and
// reports whether that came before ctx was done; with a context that is done
// already it looks once. Another receiver may be faster. Of a message in parts,
// it waits for the first. Errors: shm.ErrClosed, ErrDirection,
// fs.ErrInvalid if the pipe carries bytes (see NetConn).
func (c *Conn) Poll(ctx context.Context) (bool, error) {
	if err := c.enter(c.in, modeMessages); err != nil {
		return false, c.fail("poll", err)
	}
	defer c.doors.leave()
	err := c.in.poll(ctx, c)
	c.in.relay() // we have used up a wake and take nothing
	switch {
	case err == nil, err == io.EOF:
		return true, nil
	case errors.Is(err, ErrEmpty):
		return false, nil
	}
	return false, c.fail("poll", err)
}

// Readable reports whether this end can receive: not the second end of a OneWay
// pipe.
func (c *Conn) Readable() bool { return c.in != nil }

// Writable reports whether this end can send: not the first end of a OneWay pipe.
func (c *Conn) Writable() bool { return c.out != nil }

// Keep makes this process keep the end when the Conn is given to another process:
// both share it then. It returns c.
func (c *Conn) Keep() *Conn {
	c.keep.Store(true)
	return c
}

// Close lets go of the end in this process. Calls that wait return shm.ErrClosed.
// It may be called again, and after the Conn was given away: then it does not come
// back any more, even if its message cannot be sent.
func (c *Conn) Close() error { return c.letGo(true) }

// letGo closes c, for good or because it is given away.
func (c *Conn) letGo(final bool) error {
	if c.p == nil {
		return nil
	}
	c.change.Lock()
	defer c.change.Unlock()
	c.closed = c.closed || final
	if !c.doors.shut() {
		return nil
	}
	c.stop()
	c.p.wakeAll()
	c.doors.wait()
	if c.p.drop(c.end) == 0 && c.in != nil {
		// What this process has received of a message goes with its last
		// Conn; those who share the end need not wait for the rest.
		c.in.endTurnOf(c.p.seg.Self())
	}
	return c.p.release()
}

// Segment returns the segment that the pipe lives in.
func (c *Conn) Segment() *shm.Segment { return c.p.seg }
