package mpqueue

import (
	"context"
	"errors"
	"io"
	"slices"

	"shmkit/shm"
)

// RecvBytes receives a message and appends it to buf, which may be nil; it returns
// the result. It waits while there is none.
//
// Errors: io.EOF when nobody holds the other end any more and all has been
// received; ErrEmpty joined with ctx's error when ctx is done before, or ErrBusy
// joined with it when a message is there and another receiver of this end is in the
// middle of a call; ErrDirection; io.ErrUnexpectedEOF if the sender of a message that
// does not fit the pipe died, or gave up, in the middle of it: the next call gets the
// next message; ErrCorrupt likewise; shm.ErrClosed when this Conn is closed, or has
// been given away. A context that is done already means one try.
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
	if t := w.turn(); t != 0 {
		self := w.pipe.seg.Self()
		if t != self && !w.pipe.seg.Dead(t) {
			return buf, true, nil
		}
		if h := w.half; t == self && h != nil {
			w.half = nil
			b, err := w.recvRest(ctx, c, h, buf, most)
			return b, false, err
		}
		w.endTurn() // the message went with its receiver: the rest is passed over
	}
	w.half = nil
	for {
		r := w.ctl.read.Load()
		have, err := w.there(r)
		if err == nil && have == 0 {
			return buf, true, nil
		}
		var p part
		if err == nil {
			shm.RaceAcquire(&w.ctl.write)
			p, err = w.nextPart(r, have)
		}
		if err != nil {
			w.skipAll()
			return buf, false, err
		}
		switch {
		case !p.first(): // of a message whose receiver died
			w.advance(p.next)
		case most >= 0 && p.total > uint64(most):
			return buf, false, &TooShortError{Size: int(p.total), Have: most}
		case p.last():
			n := len(buf)
			buf = slices.Grow(buf, int(p.size()))[:n+int(p.size())]
			w.copyOut(buf[n:], p.at)
			w.advance(p.next)
			return buf, false, nil
		default:
			b, err := w.recvRest(ctx, c, &halfMessage{total: p.total, from: p.from()}, buf, most)
			return b, false, err
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
	before, got := len(buf), 0
	for whole := false; !whole; got = len(buf) - before {
		err := w.waitMore(ctx, c, h.from)
		switch {
		case errors.Is(err, io.ErrUnexpectedEOF):
			w.endTurn()
			return buf[:before], err
		case err != nil:
			if got > 0 {
				h.b = slices.Clone(buf[before:])
			}
			w.half = h
			return buf[:before], err
		case got == 0:
			buf = append(buf, h.b...)
		}
		if buf, whole, err = w.recvPart(h, buf, before); err != nil {
			return buf[:before], err
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
	w.advance(p.next)
	return buf, p.last(), nil
}

// maxAhead is how much of a large message's memory is allocated before the bytes
// have come: its size is a peer's word.
const maxAhead = 16 << 20
