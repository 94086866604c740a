package mpqueue

import "shmkit/shm"

// A slot word says in 64 bits on which lap the slot is, who works on it and how
// far it has got. Claim and identity are one CAS: at no instruction does a
// process hold a slot without its name being on it.
//
//	bits    field   meaning
//	63..20  lap     position / capacity, modulo 2^44
//	19..3   owner   participant slot (11 bits) and low bits of its incarnation (6); 0 if nobody
//	2..0    state
//
//	state    meaning                       set by                          left by
//	free     the place waits for lap L     release, sweep                  claim of a producer, seal
//	writing  a producer fills it           CAS free → writing              commit; sweep if it died
//	ready    a message waits               commit of the owner             claim of a consumer
//	reading  a consumer copies it          CAS ready, orphan → reading     release (free, lap L+1); sweep if it died: orphan, AtMostOnce: free
//	orphan   its consumer died             sweep                           claim of a consumer
//	closed   no message will ever come     CAS free → closed, by a consumer  nobody
//
// A stale read of a word costs a failed CAS, nothing else.
//
// Block words have the same shape, with a generation instead of the lap:
//
//	state    meaning                                set by                    left by
//	bFree    nobody's                               free, sweep               claim
//	bOwned   being filled by owner, or queued       claim of a producer       taken, leased; free by abort, sweep
//	bTaken   Get is copying it out                  consumer; sweep (AtMostOnce) free; sweep
//	bLeased  delivered, not Done                    Receive                   Done: free; Requeue, sweep: orphan
//	bOrphan  to be delivered again                  sweep, Requeue            leased
//	bGone    its chunk is being put to another use  who clears the chunk      free
//
// The meta word of a slot, which only whoever has claimed it writes, says where the message is:
//
//	63..40  block   number of the block of the arena that holds it, plus 1; 0: it is in the slot
//	39..32  tries   deliveries that ended in a death, 255 at most
//	31..0   size    in bytes
const (
	lapShift   = 20
	lapMask    = 1<<44 - 1
	ownerShift = 3
	ownerMask  = 1<<17 - 1
	incBits    = 6
	stateMask  = 7

	free    = 0
	writing = 1
	ready   = 2
	reading = 3
	orphan  = 4
	sealed  = 5

	bFree   = 0
	bOwned  = 1
	bTaken  = 2
	bLeased = 3
	bOrphan = 4
	bGone   = 5
)

// owner is a participant as words have room for it. Incarnations of one slot 64
// apart look the same; the sweep between them has removed every trace.
type owner uint64

func ownerOf(t shm.Token) owner {
	return owner(t.Slot())<<incBits | owner(t.Incarnation()&(1<<incBits-1))
}

func makeWord(lap uint64, o owner, state uint64) uint64 {
	return lap<<lapShift | uint64(o)<<ownerShift | state
}

// noBlock is for messages that are in their slot.
const noBlock = ^blockID(0)

// inSlotMeta is the meta word of a message in its slot.
func inSlotMeta(size int) uint64 { return uint64(uint32(size)) }

// metaOf is the meta word of a message in block b. The blocks of the arena are counted
// from its begin: so many as there can be just fit, without those of the leases.
func (g *geometry) metaOf(size int, b blockID) uint64 {
	return (uint64(b)-g.leases()+1)<<40 | uint64(uint32(size))
}

func metaSize(m uint64) int     { return int(uint32(m)) }
func metaTries(m uint64) uint32 { return uint32(m >> 32 & 0xff) }

// elsewhere reports whether m refers to a block.
func elsewhere(m uint64) bool { return m>>40 != 0 }

// blockOf returns the block that m refers to, noBlock if it refers to none. It may be
// one that is not there: m comes from shared memory.
func (g *geometry) blockOf(m uint64) blockID {
	if !elsewhere(m) {
		return noBlock
	}
	return blockID(m>>40 - 1 + g.leases())
}

// moreTries returns m with one more delivery that ended in a death.
func moreTries(m uint64) uint64 {
	if metaTries(m) < 0xff {
		m += 1 << 32
	}
	return m
}

// diedWith in the tries of a block says that its holder died: whoever takes it
// next counts that.
const diedWith = 1 << 31

// countDeath returns the tries of a block that this process holds, with the death
// of the last holder.
func (b *block) countDeath() uint32 {
	if b.tries&diedWith != 0 {
		b.tries = b.tries&0xff + 1
	}
	b.tries = min(b.tries, 0xff)
	return b.tries
}

func lapOf(w uint64) uint64    { return w >> lapShift }
func wordOwner(w uint64) owner { return owner(w >> ownerShift & ownerMask) }
func stateOf(w uint64) uint64  { return w & stateMask }

// lapsAhead returns how many laps the word w is ahead of lap, negative if it is
// behind. Laps wrap at 2^44; what is compared is never so far apart.
func lapsAhead(w, lap uint64) int64 {
	return int64(w&^(1<<lapShift-1)-lap<<lapShift) >> lapShift
}

// token returns the participant that has o's slot now, and whether it is the
// one that o means.
func (o owner) token(s *shm.Segment) (shm.Token, bool) {
	t := s.Current(int(o >> incBits))
	return t, t != 0 && ownerOf(t) == o
}

// gone reports whether o is dead for certain: the sweep may not have come by yet.
func (o owner) gone(s *shm.Segment) bool {
	t, same := o.token(s)
	return !same || s.Dead(t)
}
