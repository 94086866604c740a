package mpqueue

import (
	"fmt"

	"shmkit/shm"
)

// A message travels through a way of a pipe in parts, of which each is published
// in one step: whoever is killed has sent a part, or taken it, entirely or not at
// all. A message that fits the way is one part. A part begins at a multiple of 8
// with a head:
//
//	bits    field  meaning
//	63..32  size   bytes of the message in this part; they follow, rounded up to 8
//	31..3   from   token of the sender
//	2       cut    the sender gave up: the message ends here, and is not whole
//	1       last   the message ends with this part
//	0       first  the message begins with this part
//
// A first part that is not the last has 8 bytes more after its head: the size of
// the message.
//
// A sender that gives up in the middle of a message ends it with a part of no bytes,
// marked cut, for which it has kept room. One that dies leaves parts without a last
// one. The next message begins with a first part, and that tells the receiver that
// the one before was cut off. Likewise a receiver that dies leaves parts whose first
// one it has taken: the next receiver passes over them.
type partHead uint64

const (
	partFirst = 1 << 0
	partLast  = 1 << 1
	partCut   = 1 << 2
	headSize  = 8
)

func makeHead(size int, from shm.Token, flags partHead) partHead {
	return partHead(size)<<32 | partHead(from)<<3 | flags
}

func (h partHead) size() uint64    { return uint64(h >> 32) }
func (h partHead) from() shm.Token { return shm.Token(h>>3) & shm.TokenMask }
func (h partHead) first() bool     { return h&partFirst != 0 }
func (h partHead) last() bool      { return h&partLast != 0 }
func (h partHead) cut() bool       { return h&partCut != 0 }

// valid reports whether some sender writes heads like h.
func (h partHead) valid() bool { return !h.cut() || h.last() && !h.first() && h.size() == 0 }

// begin returns how many bytes come before those of the message.
func (h partHead) begin() uint64 {
	if h.first() && !h.last() {
		return 2 * headSize
	}
	return headSize
}

// whole returns how many bytes the part takes.
func (h partHead) whole() uint64 { return h.begin() + align(h.size(), 8) }

// part is a part at the read position, checked: it lies within what is published.
type part struct {
	partHead
	total uint64 // size of the message, known of first parts
	at    uint64 // position of the first byte of the message in it
	next  uint64 // position of the next part
}

// nextPart looks at the part at position r, of which there are have bytes, more
// than 0.
func (w *way) nextPart(r, have uint64) (part, error) {
	if have < headSize || r%8 != 0 {
		return part{}, corrupt("the read position of pipe", 0, r)
	}
	h := partHead(*w.word(r)) // once: a peer could change it under us
	if !h.valid() || h.whole() > have {
		return part{}, corrupt("the head of the part at", r, uint64(h))
	}
	p := part{partHead: h, total: h.size(), at: r + h.begin(), next: r + h.whole()}
	if h.first() && !h.last() {
		if p.total = *w.word(r + headSize); p.total <= h.size() || p.total > maxMessage {
			return part{}, corrupt("the size of the message at", r, p.total)
		}
	}
	return p, nil
}

// maxMessage is the size of the largest message.
const maxMessage = 1 << 40

// TooShortError is returned by Conn.RecvInto when the next message does not fit
// the buffer. The message stays: a call with a larger buffer gets it.
type TooShortError struct {
	Size int // of the message in bytes
	Have int // bytes of the buffer
}

// Error names both sizes.
func (e *TooShortError) Error() string {
	return fmt.Sprintf("mpqueue: a message of %d bytes does not fit a buffer of %d", e.Size, e.Have)
}
