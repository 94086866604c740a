package mpqueue

import (
	"fmt"
	"sync/atomic"

	"shmkit/shm"
)

// publish makes the n items from position p on, which have been filled,
// visible to the consumer. The ring has them from here on, also if this process
// dies at the next instruction.
func (c *ringCore) publish(p, n uint64) error {
	shm.RaceRelease(&c.ctl.write)
	c.in.next = p + n
	c.in.until = p + n
	c.in.more += n - 1
	// Publishes the items; pairs with the load in items.
	switch m := c.in.mode.Load(); {
	case m == sidePlain:
		shm.StoreRelease(&c.ctl.write, p+n)
	case m&sideShut != 0:
		return c.leaveShut(&c.in)
	default:
		c.ctl.write.Store(p + n)
		c.goPlain(&c.in)
	}
	if c.ctl.sendState.Load() == ringOpen && c.ctl.notEmpty.Load()&waited == 0 {
		return nil
	}
	return c.published(p, p+n)
}

// take gives the places of n items from position p on, which have been copied,
// back to the producer.
func (c *ringCore) take(p, n uint64) error {
	shm.RaceRelease(&c.ctl.read)
	c.out.next = p + n
	c.out.more += n - 1
	// Frees the places; pairs with the load in room.
	switch m := c.out.mode.Load(); {
	case m == sidePlain:
		shm.StoreRelease(&c.ctl.read, p+n)
	case m&sideShut != 0:
		return c.leaveShut(&c.out)
	default:
		c.ctl.read.Store(p + n)
		c.goPlain(&c.out)
	}
	if c.ctl.recvState.Load() == ringOpen && c.ctl.notFull.Load()&waited == 0 {
		return nil
	}
	return c.taken()
}

// commit publishes the first n items of the last reservation, and gives up the others.
func (c *ringCore) commit(n int) error {
	if held := c.held(&c.in); n < 0 || uint64(n) > held {
		c.tooMany("Commit", n, held, "reserved")
	}
	if n == 0 {
		c.in.until = c.in.next
		return nil
	}
	return c.publish(c.in.next, uint64(n))
}

// discard takes the first n items of the last Peek.
func (c *ringCore) discard(n int) error {
	if held := c.held(&c.out); n < 0 || uint64(n) > held {
		c.tooMany("Discard", n, held, "peeked at")
	}
	if n == 0 {
		return nil
	}
	c.handBack(c.out.next, uint64(n))
	return c.take(c.out.next, uint64(n))
}

// tooMany panics, as op is for more than what has been reserved, or peeked at.
func (c *ringCore) tooMany(op string, n int, held uint64, what string) {
	ring, items := "Ring", "items"
	if c.seg.Kind() == KindByteRing {
		ring, items = "ByteRing", "bytes"
	}
	panic(fmt.Sprintf("mpqueue: %s.%s(%d) with %d %s %s", ring, op, n, held, items, what))
}

// onceClosed is one handle's part in a core: it lets it go once.
type onceClosed struct{ done atomic.Bool }

func (o *onceClosed) close(c *ringCore) error {
	if c == nil || o.done.Swap(true) {
		return nil
	}
	return c.release()
}
