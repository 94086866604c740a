package shm

import "fmt"

// Token names one incarnation of one participant of one segment: a slot of the
// segment's participant table and a count of how often that slot was taken.
// Locks and queues write it into their words to say who holds them. It has
// TokenBits significant bits; 0 is nobody.
//
//	28..18  slot         1 … 2047; 0: a newcomer that sweeps before it has one
//	17..0   incarnation  1 … 0x3fffe, then 1 again
//
// The token with all bits set is never given out, so that lock words can use
// it for a state of their own. A token is worth something only within its
// segment.
type Token uint32

const (
	// TokenBits is the number of significant bits of a Token.
	TokenBits = 29
	// TokenMask has the significant bits of a Token set. It is no
	// participant's token.
	TokenMask Token = 1<<TokenBits - 1

	incBits            = 18
	incMask            = 1<<incBits - 1
	lastInc            = incMask - 1
	maxSlots           = 1<<(TokenBits-incBits) - 1
	defaultSlots       = 256
	nobody       Token = 0
)

func makeToken(slot int, inc uint32) Token { return Token(uint32(slot)<<incBits | inc&incMask) }

// Slot returns the number of the participant's slot, from 1; 0 is the slot of
// newcomers that have to sweep the table before they can have one.
func (t Token) Slot() int { return int(t & TokenMask >> incBits) }

// Incarnation returns how often the slot had been taken when t was given out.
func (t Token) Incarnation() uint32 { return uint32(t) & incMask }

// String returns t as slot.incarnation, or "nobody".
func (t Token) String() string {
	if t == nobody {
		return "nobody"
	}
	return fmt.Sprintf("%d.%d", t.Slot(), t.Incarnation())
}

func nextInc(inc uint32) uint32 {
	if inc >= lastInc {
		return 1
	}
	return inc + 1
}

func prevInc(inc uint32) uint32 {
	if inc <= 1 {
		return lastInc
	}
	return inc - 1
}
