package mpqueue

import (
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

// onceClosed is one handle's part in a core: it lets it go once.
type onceClosed struct{ done atomic.Bool }

func (o *onceClosed) close(c *ringCore) error {
	if c == nil || o.done.Swap(true) {
		return nil
	}
	return c.release()
}
