package mpqueue

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"

	"shmkit/shm"
)

// A message that has the handle of an end in it gives the end away when it is
// encoded. If it cannot be sent after that, because the queue is full for instance,
// the end comes back. Which ends those are is known from their encoding: a codec runs
// in the goroutine of the caller of Put, so they are the ones that this goroutine has
// encoded since it began with the message. What the codec made of the bytes of a handle
// does not matter.

// departure is a handle on its way in a message.
type departure struct {
	conn    *Conn
	number  int // of the grant
	g       grant
	handle  []byte
	by      uint64 // the goroutine that encoded it, while its message is not sent
	ordinal uint64
}

var departures struct {
	made atomic.Uint64 // so that a message without handles costs a look
	sync.Mutex
	all map[grant]*departure
}

// depart notes that a handle was encoded for a message.
func (c *Conn) depart(number int, g grant, handle []byte) {
	by := goroutine()
	departures.Lock()
	defer departures.Unlock()
	if departures.all == nil {
		departures.all = map[grant]*departure{}
	}
	departures.all[g] = &departure{c, number, g, handle, by, departures.made.Add(1)}
}

// arrived forgets a handle that has been opened.
func arrived(g grant) {
	departures.Lock()
	defer departures.Unlock()
	delete(departures.all, g)
}

// goroutine returns the number of this goroutine. The runtime tells it in its traces
// only; that takes a microsecond or two, a small part of what a handle costs.
func goroutine() (n uint64) {
	var b [32]byte
	text := b[:runtime.Stack(b[:], false)] // goroutine 123 [running]:
	for _, c := range text[min(len("goroutine "), len(text)):] {
		if c < '0' || c > '9' {
			break
		}
		n = 10*n + uint64(c-'0')
	}
	return n
}

// messageBegins is what messageEnds wants to know: how many handles had been encoded.
func messageBegins() uint64 { return departures.made.Load() }

// messageEnds is the end of a message that this goroutine began to encode when there had
// been that many handles: it was sent, or err says why not, and then the ends whose
// handles are in it are given back to their Conns.
func messageEnds(before uint64, err error) {
	if departures.made.Load() == before {
		return
	}
	by := goroutine()
	departures.Lock()
	var mine []*departure
	for _, d := range departures.all {
		if d.by == by && d.ordinal > before {
			d.by = 0 // whatever it was in, of messages inside messages too, is decided
			mine = append(mine, d)
		}
	}
	departures.Unlock()
	if err == nil {
		return
	}
	for _, d := range mine {
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
