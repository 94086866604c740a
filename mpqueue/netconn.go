package mpqueue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"shmkit/shm"
	"shmkit/shm/fault"
)

// NetConn returns the end as a net.Conn, a stream of bytes: whatever talks over a
// connection, HTTP for instance, talks over shared memory. The other end must be
// used as a net.Conn too: a pipe carries bytes or messages, and what is first used
// decides; the other is an error that is fs.ErrInvalid.
//
// Each call returns a net.Conn with deadlines of its own; the stream, and Close, are
// those of the end.
//
// Deadlines, concurrent calls and Close are as package net has them: a Read or
// Write that hits its deadline returns an error that is os.ErrDeadlineExceeded,
// and after a Write the number of bytes that the other side gets. A Read gets
// io.EOF when nobody holds the other end any more. A Write of a process that is
// killed has written a part of its bytes, from the front. Closing the net.Conn
// closes c.
func (c *Conn) NetConn() net.Conn { return &netConn{conn: c} }

type netConn struct {
	conn        *Conn
	read, write deadline
}

// Read reads what is there, and waits while there is nothing.
func (n *netConn) Read(b []byte) (int, error) {
	c := n.conn
	if err := c.enter(c.in, modeBytes); err != nil {
		return 0, n.fail("read", err)
	}
	defer c.doors.leave()
	ctx := n.read.context()
	if ctx.Err() != nil {
		return 0, n.fail("read", ctx.Err())
	}
	if len(b) == 0 {
		return 0, nil
	}
	k, err := c.in.readBytes(ctx, c, b)
	return k, n.fail("read", err)
}

// Write writes all of b, in parts as there is room.
func (n *netConn) Write(b []byte) (int, error) {
	c := n.conn
	if err := c.enter(c.out, modeBytes); err != nil {
		return 0, n.fail("write", err)
	}
	defer c.doors.leave()
	ctx := n.write.context()
	if ctx.Err() != nil {
		return 0, n.fail("write", ctx.Err())
	}
	k, err := c.out.writeBytes(ctx, c, b)
	return k, n.fail("write", err)
}

func (w *way) readBytes(ctx context.Context, c *Conn, b []byte) (int, error) {
	for {
		if w.seemsEmpty() {
			if err := w.waitData(ctx, c); err != nil {
				return 0, err
			}
		}
		if err := w.lock(ctx, c, &w.ctl.recv, 0); err != nil {
			return 0, err
		}
		r := w.ctl.read.Load()
		have, err := w.there(r)
		k := int(min(have, uint64(len(b))))
		if err != nil {
			w.skipAll()
		} else if k > 0 {
			shm.RaceAcquire(&w.ctl.write)
			if fault.Enabled && planted.pipeFree {
				w.advance(r + uint64(k))
			}
			w.copyOut(b[:k], r)
			w.received()
			w.advance(r + uint64(k))
		}
		unlock(&w.ctl.recv)
		w.relay()
		if k > 0 || err != nil {
			return k, err
		}
	}
}

func (w *way) writeBytes(ctx context.Context, c *Conn, b []byte) (done int, err error) {
	if w.pipe.gone(w.to) {
		return 0, io.ErrClosedPipe
	}
	if err := w.lock(ctx, c, &w.ctl.send, 1); err != nil {
		return 0, err
	}
	defer unlock(&w.ctl.send)
	for p := w.ctl.write.Load(); done < len(b); {
		rest := uint64(len(b) - done)
		// Not for each byte that is read: the writer sleeps until a part of
		// some size has become free.
		if err := w.waitPart(ctx, c, p, min(rest, w.size/4)); err != nil {
			return done, err
		}
		free, err := w.room(p, min(rest, w.size))
		if err != nil {
			return done, err
		}
		k := int(min(free, rest))
		if fault.Enabled && planted.pipeEarly {
			w.publish(p + uint64(k))
		}
		w.copyIn(p, b[done:done+k])
		shm.RaceRelease(&w.ctl.write)
		p += uint64(k)
		w.publish(p)
		done += k
	}
	return done, nil
}

// fail makes errors look as those of package net.
func (n *netConn) fail(op string, err error) error {
	switch {
	case err == nil || err == io.EOF:
		return err
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		err = os.ErrDeadlineExceeded
	case errors.Is(err, shm.ErrClosed):
		err = net.ErrClosed
	}
	return &net.OpError{Op: op, Net: pipeNetwork, Addr: n.RemoteAddr(), Err: err}
}

// Close closes the Conn.
func (n *netConn) Close() error { return n.conn.Close() }

// SetDeadline sets both deadlines.
func (n *netConn) SetDeadline(t time.Time) error {
	n.read.set(t)
	n.write.set(t)
	return n.closed("set deadline")
}

// SetReadDeadline sets the deadline of Reads, those in progress included.
func (n *netConn) SetReadDeadline(t time.Time) error {
	n.read.set(t)
	return n.closed("set deadline")
}

// SetWriteDeadline sets the deadline of Writes, those in progress included.
func (n *netConn) SetWriteDeadline(t time.Time) error {
	n.write.set(t)
	return n.closed("set deadline")
}

func (n *netConn) closed(op string) error {
	if n.conn.p == nil || n.conn.closing() {
		return n.fail(op, shm.ErrClosed)
	}
	return nil
}

const pipeNetwork = "shmpipe"

// pipeAddr is the address of an end: the pipe's identity and the number of the end.
type pipeAddr struct {
	id  shm.ID
	end int
}

// Network returns "shmpipe".
func (a pipeAddr) Network() string { return pipeNetwork }

// String returns the identity of the pipe and the number of the end.
func (a pipeAddr) String() string { return fmt.Sprintf("%v/%d", a.id, a.end) }

// LocalAddr returns an address that names this end.
func (n *netConn) LocalAddr() net.Addr { return pipeAddr{n.conn.id(), n.conn.end} }

// RemoteAddr returns an address that names the other end.
func (n *netConn) RemoteAddr() net.Addr { return pipeAddr{n.conn.id(), 1 - n.conn.end} }

func (c *Conn) id() shm.ID {
	if c.p == nil {
		return shm.ID{}
	}
	return c.p.seg.ID()
}
