package mpqueue

import (
	"context"
	"fmt"
	"time"

	"shmkit/shm"
	"shmkit/shm/fault"
)

// A role is the right to be the producer, or the consumer, of a ring. Its word:
//
//	bit    name       meaning                       set by                 cleared by
//	28..0  token      who has the role, or had it   its claim (CAS)        leaving in order (CAS); the next claim
//	30     plain      publishes without a fence     the holder             the next claim
//	31     abandoned  the holder died               the sweep              the next claim
//
// 0 is nobody. Only one process at a time moves a position, because only the
// holder does, and the role of a dead one is free not before its last thread is
// past its last store. A stale value costs a failed CAS.
const (
	rolePlain     = 1 << 30
	roleAbandoned = 1 << 31
)

func roleToken(v uint32) shm.Token { return shm.Token(v) & shm.TokenMask }

// livingHolder returns who has the role, 0 if nobody or one that is known to be
// dead.
func livingHolder(v uint32) shm.Token {
	if v&roleAbandoned != 0 {
		return 0
	}
	return roleToken(v)
}

var _ = fault.Declare("mpqueue.ring.claimed")

// claim makes this process the holder of s's role. If another process has it and
// lives, the error is ErrBusy, and says who. A context that is done, or nil, does
// not wait for one that is just dying.
func (c *ringCore) claim(ctx context.Context, s *ringSide) error {
	self := uint32(c.seg.Self())
	for {
		v := s.role.Load()
		t := roleToken(v)
		switch {
		case v == 0, v&roleAbandoned != 0, t == c.seg.Self(), c.seg.Dead(t), c.seg.Confirm(t):
			if !s.role.CompareAndSwap(v, self) {
				continue
			}
			if fault.Enabled {
				fault.Point("mpqueue.ring.claimed")
			}
			return c.takeOver(s)
		case c.seg.Dying(t) && ctx != noWait && ctx.Err() == nil:
			time.Sleep(100 * time.Microsecond)
			continue
		}
		side := "consumer"
		if s == &c.in {
			side = "producer"
		}
		return fmt.Errorf("%w: the ring's %s is %s", ErrBusy, side, nameOf(c.seg, t))
	}
}

// takeOver goes on where the last holder of the role stopped.
func (c *ringCore) takeOver(s *ringSide) error {
	w, r := c.ctl.write.Load(), c.ctl.read.Load()
	if w-r > c.geo.capacity {
		return c.impossible("the positions of ring", w-r)
	}
	s.next = r
	if s == &c.in {
		s.next = w
	}
	if s == &c.out && w != r {
		switch {
		case planted.ringRewind:
			s.next--
		case planted.ringSkip:
			s.next++
		}
	}
	s.limit, s.until, s.mark, s.more = s.next, s.next, s.next, 0
	s.mine.Store(true)
	s.mode.And(^uint32(sidePlain))
	rouse(s.word)   // from a wake that was given to the last holder, and died with it
	signal(s.other) // which it had perhaps not got to
	return nil
}

// lost returns the word of the other side's role if its last holder died, nobody
// has followed it, and this side has not told its caller yet; else 0.
func (c *ringCore) lost(s *ringSide) uint32 {
	if v := s.peer.Load(); v&roleAbandoned != 0 && v != s.told {
		return v
	}
	return 0
}

// Cells of participants that a ring uses; only the process itself writes them.
const cellLeaving = 0 // 1: it closes the ring, it does not die

// announceLeave says that this process leaves in order: its end is no death. The
// sweep of its slot, which follows, gives up the roles. Killed in between, it has
// left all the same.
func (c *ringCore) announceLeave() {
	if !c.seg.Closed() {
		c.seg.Cell(c.seg.Self().Slot(), cellLeaving).Store(1)
	}
}

// announceStay takes that back, for a process that opens the ring again before
// it is gone.
func (c *ringCore) announceStay() {
	c.seg.Cell(c.seg.Self().Slot(), cellLeaving).Store(0)
}

// disown takes the role of the other side from its holder if that is dead. The
// sweep does it too; but the process that is at the sweep may stand still.
func (c *ringCore) disown(s *ringSide) {
	if t := livingHolder(s.peer.Load()); t != 0 && c.seg.Dead(t) {
		sweepRoles(c.seg, c.ctl, t)
	}
}

// sweepRoles takes the roles of a participant that is gone away from it.
func sweepRoles(s *shm.Segment, ctl *ringControl, gone shm.Token) {
	if planted.ringStay {
		return
	}
	next := uint32(gone) | roleAbandoned
	// A role whose word has been overwritten may name a slot that there is not.
	if n := gone.Slot(); n >= 1 && n <= s.MaxParticipants() && s.Cell(n, cellLeaving).Load() != 0 {
		next = 0
	}
	if v := ctl.producer.Load(); roleToken(v) == gone && v&roleAbandoned == 0 {
		ctl.producer.CompareAndSwap(v, next)
	}
	if v := ctl.consumer.Load(); roleToken(v) == gone && v&roleAbandoned == 0 {
		ctl.consumer.CompareAndSwap(v, next)
	}
}
