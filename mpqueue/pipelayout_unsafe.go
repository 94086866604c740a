package mpqueue

import (
	"fmt"
	"math/bits"
	"structs"
	"sync/atomic"
	"unsafe"

	"shmkit/futexlock"
	"shmkit/shm"
)

// The payload of a pipe's segment, specified in LAYOUT.md:
//
//	0        pipeControl
//	4096     the bytes of the way from end 0, then those of the way from end 1
const (
	pipeData  = pageSize
	maxGrants = 64
	minPipe   = 4096
	maxPipe   = 1 << 32
)

// pipeControl is the first part of the payload of a pipe.
type pipeControl struct {
	_ structs.HostLayout

	// Geometry, written by the creator before anybody else is attached.
	size   uint64 // bytes that each way holds, a power of two
	oneWay uint64 // 1: only from end 1 to end 0
	first  uint64 // position of the first byte of each way
	_      [104]byte

	hold [2]atomic.Uint32 // of each end, see pipehold.go
	mode atomic.Uint32    // 0 not used yet, 1 messages, 2 bytes
	_    [116]byte

	grants [maxGrants]atomic.Uint64 // handles on their way, see pipegrant.go
	ways   [2]wayControl            // from end 0, from end 1
}

// wayControl is the words of one direction. What different sides write is on
// lines of its own, 128 bytes apart because processors fetch lines in pairs.
type wayControl struct {
	_ structs.HostLayout

	send futexlock.Mutex // held while a message is sent
	_    [120]byte
	recv futexlock.Mutex // held while a message is received
	_    [120]byte

	write atomic.Uint64 // position of the next byte to be sent; written under send
	_     [120]byte
	read  atomic.Uint64 // position of the next byte to be received; written under recv
	_     [120]byte

	// Read by the sender after every part, and seldom written.
	notEmpty atomic.Uint32 // who waits for a message sleeps on it, see wait.go
	more     atomic.Uint32 // who waits for the rest of a message sleeps on it
	_        [120]byte
	// Read by the receiver after every part, and seldom written.
	notFull atomic.Uint32 // the sender sleeps on it
	_       uint32
	roomAt  atomic.Uint64 // the sender waits for this read position
	_       [112]byte

	turn atomic.Uint32 // who has received part of a message, see pipeturn.go
	_    [124]byte
}

const ( // A wrong layout does not compile.
	_ = -(unsafe.Offsetof(pipeControl{}.hold) ^ 128)
	_ = -(unsafe.Offsetof(pipeControl{}.grants) ^ 256)
	_ = -(unsafe.Offsetof(pipeControl{}.ways) ^ 768)
	_ = -(unsafe.Offsetof(wayControl{}.write) ^ 256)
	_ = -(unsafe.Offsetof(wayControl{}.read) ^ 384)
	_ = -(unsafe.Offsetof(wayControl{}.notEmpty) ^ 512)
	_ = -(unsafe.Offsetof(wayControl{}.notFull) ^ 640)
	_ = -(unsafe.Offsetof(wayControl{}.turn) ^ 768)
	_ = -(unsafe.Sizeof(wayControl{}) ^ 896)
	_ = uint(pipeData - unsafe.Sizeof(pipeControl{}))
)

// pipeGeometry is what never changes in a pipe.
type pipeGeometry struct {
	size   uint64
	oneWay bool
	first  uint64
}

func (g *pipeGeometry) total() uint64 { return pipeData + 2*g.size }

// initPipe writes what is not zero into a new pipe.
func initPipe(data []byte, g pipeGeometry) {
	c := (*pipeControl)(unsafe.Pointer(unsafe.SliceData(data)))
	c.size, c.first = g.size, g.first
	if g.oneWay {
		c.oneWay = 1
	}
	for d := range c.ways {
		c.ways[d].write.Store(g.first)
		c.ways[d].read.Store(g.first)
	}
}

// readPipe returns the control of the pipe in s, and its geometry, read once and
// checked. It makes the locks known to the sweep.
func readPipe(s *shm.Segment) (*pipeControl, pipeGeometry, error) {
	c, err := shm.At[pipeControl](s, 0)
	if err != nil {
		return nil, pipeGeometry{}, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	g := pipeGeometry{size: c.size, oneWay: c.oneWay != 0, first: c.first}
	if g.size < minPipe || g.size > maxPipe || bits.OnesCount64(g.size) != 1 || g.first%8 != 0 || g.total() > uint64(len(s.Data())) {
		return nil, g, corrupt("the size of pipe", 0, g.size)
	}
	return c, g, nil
}

// wayMemory is the words and the bytes of one direction. size is a private copy
// that has been checked: whatever a peer writes, no address computed from a
// position leaves the bytes.
type wayMemory struct {
	ctl  *wayControl
	base unsafe.Pointer
	size uint64 // a power of two
}

func overlayWay(s *shm.Segment, c *pipeControl, g *pipeGeometry, d int) wayMemory {
	return wayMemory{ctl: &c.ways[d], base: unsafe.Pointer(&s.Data()[pipeData+uint64(d)*g.size]), size: g.size}
}

// word returns the 8 bytes at position p, rounded down to a multiple of 8.
func (m *wayMemory) word(p uint64) *uint64 {
	return (*uint64)(unsafe.Add(m.base, p&(m.size-1)&^7))
}

// span returns the n bytes from position p on, cut where the memory ends.
func (m *wayMemory) span(p, n uint64) []byte {
	i := p & (m.size - 1)
	return unsafe.Slice((*byte)(unsafe.Add(m.base, i)), min(n, m.size-i))
}

// copyIn copies b to position p, in two parts where the memory ends.
func (m *wayMemory) copyIn(p uint64, b []byte) {
	if n := copy(m.span(p, uint64(len(b))), b); n < len(b) {
		copy(m.span(p+uint64(n), uint64(len(b)-n)), b[n:])
	}
}

// copyOut copies from position p into b.
func (m *wayMemory) copyOut(b []byte, p uint64) {
	if n := copy(b, m.span(p, uint64(len(b)))); n < len(b) {
		copy(b[n:], m.span(p+uint64(n), uint64(len(b)-n)))
	}
}
