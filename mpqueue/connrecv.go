package mpqueue

import (
	"context"
	"errors"
	"io"
	"slices"

	"shmkit/shm"
	"shmkit/shm/fault"
)

// RecvBytes receives a message and appends it to buf, which may be nil; it returns
// the result. It waits while there is none.
//
// Errors: io.EOF when nobody holds the other end any more and all has been
// received; ErrEmpty joined with ctx's error when ctx is done before, or ErrBusy
// joined with it when a message is there and another receiver of this end is in the
// middle of a call; ErrDirection; io.ErrUnexpectedEOF if the sender of a message that
// does not fit the pipe died, or gave up, in the middle of it: the next call gets the
// next message; ErrCorrupt likewise; fs.ErrInvalid if the pipe carries bytes (see
// NetConn); shm.ErrClosed when this Conn is closed, or has been given away. A context that is done already means one try.
//
// If ctx is done in the middle of a message that does not fit the pipe, nothing is
// lost: the next call of this process goes on with it. Until then, or until this
// process closes the end or dies, others that share the end wait.
func (c *Conn) RecvBytes(ctx context.Context, buf []byte) ([]byte, error) {
	b, _, err := c.recv(ctx, buf, -1)
	return b, err
}

// RecvInto receives a message into buf and returns its size. If buf is too small
// for the next message, the error is a *TooShortError with its size, and the
// message stays. Otherwise it is RecvBytes.
func (c *Conn) RecvInto(ctx context.Context, buf []byte) (int, error) {
	_, n, err := c.recv(ctx, buf[:0], len(buf))
	return n, err
}

func (c *Conn) recv(ctx context.Context, buf []byte, most int) ([]byte, int, error) {
	err := c.enter(c.in, modeMessages)
	before := len(buf)
	if err == nil {
		buf, err = c.in.recvMessage(ctx, c, buf, most)
		c.doors.leave()
	}
	return buf, len(buf) - before, c.fail("receive", err)
}

// halfMessage is a message of which parts have been received.
type halfMessage struct {
	b     []byte
	total uint64
	from  shm.Token
}

// keep notes the first got bytes of the message, b, for the next call. Copied are
// only those that are in the memory given by the caller, where they had room: a large
// message would take long.
func (h *halfMessage) keep(given, b []byte, got int) {
	switch {
	case got == 0:
	case cap(given) >= len(given)+got:
		h.b = slices.Clone(b)
	default:
		h.b = b
	}
}

// appendTo appends the bytes kept, and for a buffer that is empty and too small
// replaces it by them.
func (h *halfMessage) appendTo(buf []byte) []byte {
	if len(buf) == 0 && cap(buf) < len(h.b) {
		return h.b
	}
	return append(buf, h.b...)
}

// recvMessage appends a message to buf, of at most most bytes (negative: of any
// size).
func (w *way) recvMessage(ctx context.Context, c *Conn, buf []byte, most int) ([]byte, error) {
	for {
		if w.turn() == 0 && w.seemsEmpty() {
			if err := w.waitData(ctx, c); err != nil {
				return buf, err
			}
		}
		if err := w.waitTurn(ctx, c); err != nil {
			return buf, err
		}
		if err := w.lock(ctx, c, &w.ctl.recv, 0); err != nil {
			return buf, err
		}
		b, again, err := w.recvLocked(ctx, c, buf, most)
		unlock(&w.ctl.recv)
		w.relay()
		if !again {
			return b, err
		}
	}
}

// recvLocked does what recvMessage does, holding recv. again says that there was
// nothing to be received.
func (w *way) recvLocked(ctx context.Context, c *Conn, buf []byte, most int) (_ []byte, again bool, _ error) {
	h, others := w.inTurn()
	if others {
		return buf, true, nil
	}
	if h != nil {
		w.half = nil
		b, err := w.recvRest(ctx, c, h, buf, most)
		return b, false, err
	}
	p, ok, err := w.firstPart()
	switch {
	case err != nil:
		w.skipAll()
		return buf, false, err
	case !ok:
		return buf, true, nil
	case most >= 0 && p.total > uint64(most):
		return buf, false, &TooShortError{Size: int(p.total), Have: most}
	case p.last():
		n := len(buf)
		buf = slices.Grow(buf, int(p.size()))[:n+int(p.size())]
		w.copyOut(buf[n:], p.at)
		if fault.Enabled && pipeWatch.takes != nil {
			pipeWatch.takes(buf[n:])
		}
		w.received()
		w.advance(p.next)
		return buf, false, nil
	}
	b, err := w.recvRest(ctx, c, &halfMessage{total: p.total, from: p.from()}, buf, most)
	return b, false, err
}

// inTurn returns the message that this process is in the middle of, nil if there is
// none, and whether it is the turn of another process, which lives. The turn of a
// dead one ends here: its message went with it. The caller holds recv.
func (w *way) inTurn() (h *halfMessage, others bool) {
	if t := w.turn(); t != 0 {
		self := w.pipe.seg.Self()
		if t != self && !w.pipe.seg.Dead(t) {
			return nil, true
		}
		if t == self && w.half != nil {
			return w.half, false
		}
		w.endTurn()
	}
	w.half = nil
	return nil, false
}

// firstPart returns the first part of the next message, if one is there; it passes
// over the rest of messages whose receiver died. The caller holds recv, and it is
// nobody's turn.
func (w *way) firstPart() (p part, ok bool, err error) {
	for {
		r := w.ctl.read.Load()
		have, err := w.there(r)
		if err != nil || have == 0 {
			return part{}, false, err
		}
		shm.RaceAcquire(&w.ctl.write)
		if p, err = w.nextPart(r, have); err != nil || p.first() {
			return p, err == nil, err
		}
		w.advance(p.next)
	}
}

// poll waits until there is something for recvMessage to return.
func (w *way) poll(ctx context.Context, c *Conn) error {
	for {
		if err := w.waitTurn(ctx, c); err != nil {
			return err
		}
		if err := w.waitData(ctx, c); err != nil {
			return err
		}
		if err := w.lock(ctx, c, &w.ctl.recv, 0); errors.Is(err, ErrBusy) {
			return nil // a message is there, and another receiver is at it
		} else if err != nil {
			return err
		}
		h, others := w.inTurn()
		ok := h != nil
		var err error // for the receiver to report
		if !ok && !others {
			_, ok, err = w.firstPart()
		}
		unlock(&w.ctl.recv)
		if ok || err != nil {
			return nil
		}
	}
}

// skipAll gives up what is in the way: it makes no sense. The write position is the
// begin of a part in any case.
func (w *way) skipAll() {
	w.endTurn()
	p := w.ctl.write.Load()
	w.writeSeen.Store(p)
	w.advance(p)
}

// recvRest receives the parts of h that are still to come.
func (w *way) recvRest(ctx context.Context, c *Conn, h *halfMessage, buf []byte, most int) ([]byte, error) {
	if most >= 0 && h.total > uint64(most) {
		w.half = h
		return buf, &TooShortError{Size: int(h.total), Have: most}
	}
	w.takeTurn()
	// A context that is done already means one try: at what is there now.
	until := w.ctl.read.Load()
	if ctx.Err() != nil {
		until = w.ctl.write.Load()
	}
	given, before, got := buf, len(buf), 0
	for whole := false; !whole; got = len(buf) - before {
		var err error
		if int64(w.ctl.read.Load()-until) >= 0 {
			err = w.over(ctx, pipeWait{conn: c, what: forMore, peer: h.from})
		}
		if err == nil {
			err = w.waitMore(ctx, c, h.from)
		}
		switch {
		case errors.Is(err, io.ErrUnexpectedEOF):
			w.endTurn()
			return given, err
		case err != nil:
			w.half = h
			h.keep(given, buf[before:], got)
			return given, err
		case got == 0:
			buf = h.appendTo(buf)
		}
		if buf, whole, err = w.recvPart(h, buf, before); err != nil {
			return given, err
		}
	}
	w.endTurn()
	return buf, nil
}

// recvPart receives the next part of h, of which buf has the bytes from before on.
// After an error h is over.
func (w *way) recvPart(h *halfMessage, buf []byte, before int) (_ []byte, whole bool, _ error) {
	r := w.ctl.read.Load()
	have, err := w.there(r)
	var p part
	if err == nil {
		shm.RaceAcquire(&w.ctl.write)
		p, err = w.nextPart(r, have)
	}
	got := uint64(len(buf) - before)
	rest := h.total - got
	switch {
	case err != nil:
	case p.cut():
		w.endTurn()
		w.advance(p.next)
		return buf, false, io.ErrUnexpectedEOF
	case p.first() && got > 0:
		w.endTurn() // and p stays
		return buf, false, io.ErrUnexpectedEOF
	case p.first() != (got == 0), p.size() == 0, p.size() > rest, p.last() != (p.size() == rest):
		err = corrupt("the size of the part at", r, uint64(p.partHead))
	}
	if err != nil {
		w.skipAll()
		return buf, false, err
	}
	n := len(buf)
	buf = slices.Grow(buf, int(max(p.size(), min(rest, maxAhead))))[:n+int(p.size())]
	w.copyOut(buf[n:], p.at)
	if fault.Enabled && pipeWatch.takes != nil && p.first() {
		pipeWatch.takes(buf[n:])
	}
	w.received()
	w.advance(p.next)
	return buf, p.last(), nil
}

// maxAhead is how much of a large message's memory is allocated before the bytes
// have come: its size is a peer's word.
const maxAhead = 16 << 20
