package mpqueue

import (
	"fmt"

	"shmkit/shm"
	"shmkit/shm/fault"
)

// The kinds of the segments that hold a ring.
const (
	KindRing     uint32 = 129
	KindByteRing uint32 = 130
)

var _ = fault.Declare("mpqueue.ring.published", "mpqueue.ring.taken", "mpqueue.ring.waited", "mpqueue.ring.swept")

func init() {
	for id, name := range map[uint32]string{KindRing: "mpqueue.Ring", KindByteRing: "mpqueue.ByteRing"} {
		shm.RegisterKind(shm.Kind{
			ID:    id,
			Name:  name,
			Sweep: func(s *shm.Segment, _, _, _ uint64, gone shm.Token) { sweepRing(s, gone) },
			Check: func(s *shm.Segment, _, _, _ uint64) []error { return checkRing(s) },
			Describe: func(s *shm.Segment, _ uint64) string {
				c, err := overRing(s)
				if err != nil {
					return err.Error()
				}
				return c.describe()
			},
			Counters: func(s *shm.Segment, _ uint64) []shm.Counter {
				c, err := overRing(s)
				if err != nil {
					return nil
				}
				w, r := c.ctl.write.Load(), c.ctl.read.Load()
				return []shm.Counter{{Name: "puts", Value: w - c.geo.first}, {Name: "gets", Value: r - c.geo.first}}
			},
		})
	}
}

// overRing looks at the ring in s without being one of its users.
func overRing(s *shm.Segment) (*ringCore, error) {
	g, err := readRingGeometry(s)
	if err != nil {
		return nil, err
	}
	return newRingCore(s, g), nil
}

// sweepRing frees the roles of a participant that is gone and wakes both sides,
// to whom that may be news. There is nothing else: an item that was not published
// is in a free place. Killed anywhere in here, it is run again from the start.
func sweepRing(s *shm.Segment, gone shm.Token) {
	c, err := overRing(s)
	if err != nil {
		return // nothing here can be trusted
	}
	sweepRoles(s, c.ctl, gone)
	if fault.Enabled {
		fault.Point("mpqueue.ring.swept")
	}
	signalAll(&c.ctl.notEmpty)
	signalAll(&c.ctl.notFull)
}

// checkRing reports what cannot be in a ring at rest.
func checkRing(s *shm.Segment) []error {
	c, err := overRing(s)
	if err != nil {
		return []error{err}
	}
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("mpqueue: check: "+format+": %w", append(args, ErrCorrupt)...))
	}
	r, w := c.ctl.read.Load(), c.ctl.write.Load()
	if w-r > c.geo.capacity {
		bad("positions %d and %d of a ring of %d", r, w, c.geo.capacity)
	}
	// Behind the end is at most one step of a producer that came too late and was
	// killed before it took it back.
	if e := c.ctl.end.Load(); e != 0 && (e&1 == 0 || (w-e>>1)&(1<<63-1) > c.geo.capacity) {
		bad("the ring has ended at %d, and goes on to %d", e>>1, w)
	}
	for side, v := range map[string]uint32{"producer": c.ctl.producer.Load(), "consumer": c.ctl.consumer.Load()} {
		if t := roleToken(v); v != 0 && v&roleAbandoned == 0 && s.Dead(t) {
			bad("the %s is participant %v, which is gone", side, t)
		}
	}
	for side, v := range map[string]uint32{"sends": c.ctl.sendState.Load(), "receives": c.ctl.recvState.Load()} {
		if v&ringOpen == 0 || v&^(ringOpen|ringClosed|ringFence) != 0 {
			bad("the state of who %s is %#x", side, v)
		}
	}
	return errs
}

func (c *ringCore) describe() string {
	who := func(v uint32) string {
		switch {
		case v == 0:
			return "nobody"
		case v&roleAbandoned != 0:
			return "dead"
		}
		return nameOf(c.seg, roleToken(v))
	}
	what := fmt.Sprintf("%d of %d items", c.length(), c.geo.capacity)
	if c.seg.Kind() == KindByteRing {
		what = fmt.Sprintf("%d of %d bytes", c.length(), c.geo.capacity)
	}
	closed := ""
	if c.ctl.sendState.Load()&ringClosed != 0 {
		closed = ", closed"
	}
	return fmt.Sprintf("%s, producer %s, consumer %s%s", what, who(c.ctl.producer.Load()), who(c.ctl.consumer.Load()), closed)
}
