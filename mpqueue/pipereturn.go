package mpqueue

import (
	"bytes"
	"context"
	"encoding/base64"
	"sync"
	"sync/atomic"

	"shmkit/shm"
)

// A message that has the handle of an end in it gives the end away when it is
// encoded. If it cannot be sent after that, because the queue is full for instance,
// the end comes back: whoever failed to send an encoded message looks in it for the
// handles that are on their way from this process.

// departure is a handle on its way in a message.
type departure struct {
	conn   *Conn
	number int // of the grant
	g      grant
	handle []byte
}

var departures struct {
	count atomic.Int32 // so that a message without handles costs nothing
	sync.Mutex
	all map[grant]*departure
}

// depart notes that a handle was encoded for a message.
func (c *Conn) depart(number int, g grant, handle []byte) {
	departures.Lock()
	defer departures.Unlock()
	if departures.all == nil {
		departures.all = map[grant]*departure{}
	}
	departures.all[g] = &departure{c, number, g, handle}
	departures.count.Store(int32(len(departures.all)))
}

// arrived forgets a handle that has been opened.
func arrived(g grant) {
	departures.Lock()
	defer departures.Unlock()
	delete(departures.all, g)
	departures.count.Store(int32(len(departures.all)))
}

// takeBack gives the ends whose handles are in message b, which was not sent, back
// to their Conns.
func takeBack(b []byte) {
	if departures.count.Load() == 0 {
		return
	}
	departures.Lock()
	var back []*departure
	for _, d := range departures.all {
		if bytes.Contains(b, d.handle) || bytes.Contains(b, base64.RawURLEncoding.AppendEncode(nil, d.handle)) {
			back = append(back, d)
		}
	}
	departures.Unlock()
	for _, d := range back {
		d.conn.comeBack(d)
	}
}

// comeBack ends the grant, and opens c again if giving it away had closed it. The
// grant keeps the pipe, and the end, until the hold has taken its place.
func (c *Conn) comeBack(d *departure) {
	p := c.p
	c.reopen()
	// To open the segment's handle tells shm that it has arrived, here, and need
	// not be kept for anybody.
	if s, err := shm.Decode(d.handle[connHandle:], pipeSegment(nil)...); err == nil {
		s.Close()
	}
	arrived(d.g)
	if p.ctl.grants[d.number].CompareAndSwap(uint64(d.g), 0) {
		p.declare(c.end)
	}
}

// reopen opens c again, unless it is open, or closed for good. Others may be calling
// it at the same time: they find it shut, or open with all that belongs to it.
func (c *Conn) reopen() {
	c.change.Lock() // whoever gives it away is through
	defer c.change.Unlock()
	if c.closed || !c.closing() {
		return
	}
	c.p.retain()
	if c.p.acquire(c.end) != nil {
		c.p.release()
		return
	}
	c.life, c.stop = context.WithCancel(context.Background())
	c.doors.reopen()
}
