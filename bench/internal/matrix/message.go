package matrix

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"

	"github.com/cespare/xxhash/v2"
)

// A message begins with one word that names it:
//
//	bits    meaning
//	0–39    sequence number, from 0, of its producer
//	40–47   producer
//	48      mark: the receiver looks at the clock, for the run ends soon
//	49–63   always the same
//
// From 16 bytes on, the second word is the xxhash of the rest mixed with the
// first word, and with 24 bytes the third word is a time. The rest is a piece
// of a block of random bytes: which piece depends on the sequence number, so a
// message with the bytes of another is wrong.
const (
	nameBytes  = 8
	hashBytes  = 16
	stampBytes = 24

	maxProducers = 64
	maxSequence  = 1<<40 - 1
	markBit      = 1 << 48
	magic        = 0x5a5a << 49 & (1<<64 - 1)
	magicMask    = 0x7fff << 49
)

// Mixed is the size of a case whose messages have sizes from 16 bytes to 2 KiB,
// small ones more often (Zipf).
const Mixed = 0

// pattern makes and checks the messages of one case. All processes of a case
// make the same pattern, from its size alone.
type pattern struct {
	sizes  []int    // of message seq: sizes[seq % pieces]
	hashes []uint64 // of its rest
	block  []byte
	max    int
}

// step is the distance of two pieces in the block: a cache line, and a byte so
// that the pieces of two neighbours do not line up.
const step = 65

func newPattern(size int) *pattern {
	rng := rand.New(rand.NewPCG(uint64(size), 0x626e6368))
	pieces := 1024
	if size > 16<<10 {
		pieces = max(16, 16<<20/size) // Hashing a megabyte takes a while.
	}
	p := &pattern{sizes: make([]int, pieces), hashes: make([]uint64, pieces), max: size}
	zipf := rand.NewZipf(rng, 1.3, 8, 2048-16)
	for i := range p.sizes {
		p.sizes[i] = size
		if size == Mixed {
			p.sizes[i] = 16 + int(zipf.Uint64())
		}
		p.max = max(p.max, p.sizes[i])
	}
	p.block = make([]byte, p.max+step*pieces)
	rand.NewChaCha8([32]byte{byte(size), byte(size >> 8), byte(size >> 16)}).Read(p.block)
	for i, n := range p.sizes {
		if n >= hashBytes {
			p.hashes[i] = xxhash.Sum64(p.rest(i, n-hashBytes))
		}
	}
	return p
}

func (p *pattern) rest(piece, n int) []byte { return p.block[piece*step : piece*step+n] }

// size is that of message number seq.
func (p *pattern) size(seq int) int { return p.sizes[seq%len(p.sizes)] }

// build writes message number seq into dst, which has its size.
func (p *pattern) build(dst []byte, producer, seq int, mark bool) {
	word := uint64(magic) | uint64(producer)<<40 | uint64(seq)
	if mark {
		word |= markBit
	}
	binary.LittleEndian.PutUint64(dst, word)
	if len(dst) >= hashBytes {
		piece := seq % len(p.sizes)
		binary.LittleEndian.PutUint64(dst[nameBytes:], p.hashes[piece]^mix(uint64(seq)))
		copy(dst[hashBytes:], p.rest(piece, len(dst)-hashBytes))
	}
}

// check reads a message, every byte of it, and says which one it is.
func (p *pattern) check(m []byte) (producer, seq int, mark bool, err error) {
	if len(m) < nameBytes {
		return 0, 0, false, fmt.Errorf("corrupt message: %d bytes", len(m))
	}
	word := binary.LittleEndian.Uint64(m)
	if word&magicMask != magic {
		return 0, 0, false, fmt.Errorf("corrupt message: its first word is %#x", word)
	}
	producer, seq, mark = int(word>>40&0xff), int(word&maxSequence), word&markBit != 0
	if len(m) != p.size(seq) {
		return 0, 0, false, fmt.Errorf("corrupt message: number %d has %d bytes, not %d", seq, len(m), p.size(seq))
	}
	if len(m) >= hashBytes {
		if got := xxhash.Sum64(m[hashBytes:]) ^ mix(uint64(seq)); got != binary.LittleEndian.Uint64(m[nameBytes:]) {
			return 0, 0, false, fmt.Errorf("corrupt message: number %d of producer %d has other bytes than it was sent with", seq, producer)
		}
	}
	return producer, seq, mark, nil
}

// mix spreads a sequence number over a word, so that the bytes of one message
// under the number of another are seen.
func mix(x uint64) uint64 { return (x + 1) * 0x9e3779b97f4a7c15 }
