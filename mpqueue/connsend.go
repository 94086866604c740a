package mpqueue

import (
	"context"
	"errors"
	"fmt"
	"io"

	"shmkit/shm"
	"shmkit/shm/fault"
)

// SendBytes sends b as one message; an empty one is a message too. It waits while
// the pipe is full. When it returns nil the pipe has the message, whatever happens
// to this process next; a message larger than the pipe it has by then in part, and
// the receiver the rest.
//
// Errors: io.ErrClosedPipe when nobody holds the other end any more; ErrFull
// joined with ctx's error when ctx is done before there is room (a context that is
// done already means one try), or ErrBusy joined with it when there is room and
// another sender at this end is in the middle of a call; ErrDirection; ErrTooLarge
// beyond 1 TiB; fs.ErrInvalid if the pipe carries bytes (see NetConn); ErrCorrupt;
// shm.ErrClosed when this Conn is closed, or has been given away. With an error the
// message is not received; of a large one, that may have been received in part already, the
// receiver gets io.ErrUnexpectedEOF.
func (c *Conn) SendBytes(ctx context.Context, b []byte) error {
	err := c.enter(c.out, modeMessages)
	if err == nil {
		err = c.out.sendMessage(ctx, c, b)
		c.doors.leave()
	}
	return c.fail("send", err)
}

func (w *way) sendMessage(ctx context.Context, c *Conn, b []byte) error {
	if uint64(len(b)) > maxMessage {
		return fmt.Errorf("%w: %d bytes", ErrTooLarge, len(b))
	}
	if w.pipe.gone(w.to) {
		return io.ErrClosedPipe
	}
	n := headSize + align(uint64(len(b)), 8)
	if err := w.lock(ctx, c, &w.ctl.send, min(n, w.size/4)); err != nil {
		return err
	}
	err := w.sendLocked(ctx, c, b, n)
	unlock(&w.ctl.send)
	return err
}

// sendLocked sends b, which takes n bytes in one part.
func (w *way) sendLocked(ctx context.Context, c *Conn, b []byte, n uint64) error {
	p := w.ctl.write.Load()
	if p%8 != 0 {
		return corrupt("the write position of pipe", 0, p)
	}
	if n > w.size {
		return w.sendParts(ctx, c, p, b)
	}
	if err := w.waitRoom(ctx, c, p, n); err != nil {
		return err
	}
	if fault.Enabled && planted.pipeEarly {
		*w.word(p) = uint64(makeHead(len(b), w.pipe.seg.Self(), partFirst|partLast))
		w.publish(p + n)
	}
	w.fill(p, b, uint64(len(b)), partFirst|partLast)
	w.publish(p + n)
	return nil
}

// fill writes a part to position p.
func (w *way) fill(p uint64, b []byte, total uint64, flags partHead) {
	h := makeHead(len(b), w.pipe.seg.Self(), flags)
	*w.word(p) = uint64(h)
	if h.begin() > headSize {
		*w.word(p + headSize) = total
	}
	w.copyIn(p+h.begin(), b)
	shm.RaceRelease(&w.ctl.write)
}

// sendParts sends a message that is larger than the way, a quarter of the way at a
// time: so the receiver copies one part while we copy the next. Behind each part
// there is room left for the head that says that we gave up.
func (w *way) sendParts(ctx context.Context, c *Conn, p uint64, b []byte) error {
	flags, total := partHead(partFirst), uint64(len(b))
	for len(b) > 0 {
		n := min(uint64(len(b)), w.size/4-3*headSize)
		if err := w.waitPart(ctx, c, p, 3*headSize+align(n, 8)); err != nil {
			if flags&partFirst == 0 && !errors.Is(err, ErrCorrupt) {
				w.fill(p, nil, 0, partLast|partCut)
				w.publish(p + headSize)
			}
			return err
		}
		if n == uint64(len(b)) {
			flags |= partLast
		}
		w.fill(p, b[:n], total, flags)
		p += makeHead(int(n), 0, flags).whole()
		w.publish(p)
		b, flags = b[n:], 0
	}
	return nil
}
