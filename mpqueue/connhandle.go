package mpqueue

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"

	"shmkit/shm"
)

// A handle of a Conn: one byte for the end, one for the number of the grant, eight
// for the grant itself, and the handle of the segment.
const connHandle = 10

// MarshalBinary encodes the handle, and gives the end away: from here on it is
// held by whoever opens the handle, and c is closed, unless Keep was called. When a
// Put, or a Send, that had the handle in its message returns an error, c is open
// again, unless Close was called meanwhile; when a process with the handle in its
// arguments cannot be started, the end is lost. So it is if the queue's codec has it
// encoded by another goroutine than the one that called the codec.
//
// Until the handle is opened the end counts as held. A handle that was an argument
// of a process is void when that process has ended without opening it; any other is
// good as long as this process lives, and may keep the other end waiting for so
// long if nobody opens it. At most 64 handles of a pipe can be on their way.
func (c *Conn) MarshalBinary() ([]byte, error) {
	if c.p == nil || !c.doors.enter() {
		return nil, c.fail("give away", shm.ErrClosed)
	}
	b, err := c.marshal()
	c.doors.leave()
	if err == nil && !c.keep.Load() {
		err = c.letGo(false)
	}
	return b, c.fail("give away", err)
}

func (c *Conn) marshal() ([]byte, error) {
	ref, err := c.p.seg.MarshalBinary()
	if err != nil {
		return nil, err
	}
	i, g, err := c.p.giveOut(c.end)
	if err != nil {
		return nil, err
	}
	b := append(make([]byte, 0, connHandle+len(ref)), byte(c.end), byte(i))
	b = append(binary.LittleEndian.AppendUint64(b, uint64(g)), ref...)
	if c.p.watchGrant(i, g) {
		c.depart(i, g, b)
	}
	return b, nil
}

// UnmarshalBinary makes c the end of the pipe that b refers to, and holds it. The
// error is a *shm.HandleError, or io.ErrClosedPipe if nobody held the end any
// more.
func (c *Conn) UnmarshalBinary(b []byte) error {
	if c.p != nil {
		panic("mpqueue: Unmarshal into a Conn that is in use")
	}
	if len(b) < connHandle || b[0] > 1 {
		return c.fail("open a Conn", fmt.Errorf("a handle of %d bytes: %w", len(b), ErrCorrupt))
	}
	s, err := shm.Decode(b[connHandle:], pipeSegment(nil)...)
	if err != nil {
		return err
	}
	p, err := pipeIn(s)
	if err != nil {
		return c.fail("open a Conn", err)
	}
	if err := p.redeem(int(b[0]), int(b[1]), grant(binary.LittleEndian.Uint64(b[2:]))); err != nil {
		p.release()
		return c.fail("open a Conn", err)
	}
	c.open(p, int(b[0]))
	return nil
}

// MarshalText is MarshalBinary as text.
func (c *Conn) MarshalText() ([]byte, error) {
	b, err := c.MarshalBinary()
	if err != nil {
		return nil, err
	}
	return base64.RawURLEncoding.AppendEncode(nil, b), nil
}

// UnmarshalText is the other end of MarshalText.
func (c *Conn) UnmarshalText(b []byte) error {
	raw, err := shm.DecodeText(b)
	if err != nil {
		return err
	}
	return c.UnmarshalBinary(raw)
}
