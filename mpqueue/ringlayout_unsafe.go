package mpqueue

import (
	"fmt"
	"math/bits"
	"structs"
	"sync/atomic"
	"unsafe"

	"shmkit/shm"
)

// The payload of a ring's segment, specified in LAYOUT.md: the control, then,
// from a page boundary, the places.
const ringControlSize = 768

// ringControl is the words of a ring. What one side writes is on lines of its
// own, 128 bytes apart because processors fetch lines in pairs.
type ringControl struct {
	_ structs.HostLayout

	// Geometry, written by the creator before anybody else is attached.
	capacity uint64 // items at one time
	places   uint64 // the power of two from capacity up
	stride   uint64 // bytes of an item
	dataOff  uint64 // of place 0, from the start of the payload
	first    uint64 // position of the first item ever
	_        [88]byte

	producer atomic.Uint32 // role, see ringrole.go
	consumer atomic.Uint32
	end      atomic.Uint64 // position of the end << 1 | 1; 0: not decided, see ringclose.go
	_        [112]byte

	write atomic.Uint64 // position of the next item to be put; the producer writes it
	_     [120]byte
	read  atomic.Uint64 // position of the next item to be taken; the consumer writes it
	_     [120]byte

	// Read by the producer after every put, and seldom written.
	notEmpty  atomic.Uint32 // the consumer sleeps on it, see wait.go
	sendState atomic.Uint32 // see ringwait.go
	_         [120]byte
	// Read by the consumer after every get, and seldom written.
	notFull   atomic.Uint32 // the producer sleeps on it
	recvState atomic.Uint32
	_         [120]byte
}

const ( // A wrong layout does not compile.
	_ = -(unsafe.Offsetof(ringControl{}.producer) ^ 128)
	_ = -(unsafe.Offsetof(ringControl{}.write) ^ 256)
	_ = -(unsafe.Offsetof(ringControl{}.read) ^ 384)
	_ = -(unsafe.Offsetof(ringControl{}.notEmpty) ^ 512)
	_ = -(unsafe.Offsetof(ringControl{}.notFull) ^ 640)
	_ = -(unsafe.Sizeof(ringControl{}) ^ ringControlSize)
)

// ringGeometry is what never changes in a ring.
type ringGeometry struct {
	capacity, places, stride, dataOff, first uint64
}

// planRing lays out a ring whose control begins at the start of the payload.
// Positions are 64-bit numbers that wrap; places are a power of two so that
// position modulo places goes on across the wrap.
func planRing(capacity, stride, first uint64) (ringGeometry, error) {
	g := ringGeometry{capacity: capacity, stride: stride, dataOff: pageSize, first: first}
	if capacity < 1 || capacity > maxRing {
		return g, fmt.Errorf("capacity %d, want 1 to %d", capacity, uint64(maxRing))
	}
	g.places = 1 << bits.Len64(capacity-1)
	if stride > maxTotal/g.places {
		return g, fmt.Errorf("%d items of %d bytes are out of range", capacity, stride)
	}
	return g, nil
}

// maxRing is the largest capacity; of a byte ring in bytes.
const maxRing = 1 << 40

func (g *ringGeometry) total() uint64 { return g.dataOff + g.places*g.stride }

// initRing writes what is not zero into a new ring's control.
func initRing(c *ringControl, g ringGeometry) {
	c.capacity, c.places, c.stride, c.dataOff, c.first = g.capacity, g.places, g.stride, g.dataOff, g.first
	c.write.Store(g.first)
	c.read.Store(g.first)
	c.sendState.Store(ringOpen)
	c.recvState.Store(ringOpen)
}

// readRingGeometry reads the geometry of the ring in s, once, and checks that it
// is what the plan makes of its own numbers.
func readRingGeometry(s *shm.Segment) (ringGeometry, error) {
	data := s.Data()
	if len(data) < ringControlSize {
		return ringGeometry{}, corrupt("the size of ring", 0, uint64(len(data)))
	}
	c := ringControlAt(data, 0)
	is := ringGeometry{capacity: c.capacity, places: c.places, stride: c.stride, dataOff: c.dataOff, first: c.first}
	want, err := planRing(is.capacity, is.stride, is.first)
	if err != nil {
		return is, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if is != want || is.total() > uint64(len(data)) {
		return is, corrupt("the geometry of ring", 0, is.total())
	}
	return is, nil
}

// ringControlAt returns the control at off, which the caller has checked.
func ringControlAt(data []byte, off uint64) *ringControl {
	return (*ringControl)(unsafe.Pointer(&data[off]))
}

// ringMemory is a ring over the payload of its segment. The geometry is a private
// copy that has been checked: whatever a peer writes, no address computed from it
// leaves the payload.
type ringMemory struct {
	ctl  *ringControl
	geo  ringGeometry
	base unsafe.Pointer // of place 0
	mask uint64         // places − 1
}

// overlayRing lays a ring over data, whose control is at off. The caller has
// checked that it fits. A ring of items without size has no places: any address
// will do.
func overlayRing(data []byte, off uint64, g ringGeometry) ringMemory {
	base := unsafe.Add(unsafe.Pointer(unsafe.SliceData(data)), min(g.dataOff, uint64(len(data))))
	return ringMemory{ctl: ringControlAt(data, off), geo: g, base: base, mask: g.places - 1}
}

// place returns the item of position p.
func place[T any](c *ringMemory, p uint64) *T {
	var v T
	return (*T)(unsafe.Add(c.base, uintptr(p&c.mask)*unsafe.Sizeof(v)))
}

// span returns the items of n positions from p on, cut at the last place.
func span[T any](c *ringMemory, p, n uint64) []T {
	i := p & c.mask
	return unsafe.Slice(place[T](c, p), min(n, c.mask+1-i))
}

// handBack is what a consumer does with the memory of items that it has copied,
// before it moves the read position: it writes the last word of each cache line
// back as it was.
//
// After the copy the line is in the caches of both sides, and a producer that
// writes to a line that another cache has too must wait for that to be taken away,
// in the middle of its item: processors do not begin with that early. A line that
// it does not have at all they fetch ahead. So the consumer takes it away, while
// its own stores have nothing to wait for. On the machine where this was measured
// a message of 64 bytes costs half of what it does without, and between distant
// cores an eighth.
//
// A kill in here changes nothing: the words are what they were, and the places
// are the consumer's until it has moved the position.
func (c *ringMemory) handBack(p, n uint64) {
	const line, word = 64, 4
	i := p & c.mask
	if before := c.mask + 1 - i; n > before { // they go on at the beginning of the memory
		c.handBack(p+before, n-before)
		n = before
	}
	from := i * c.geo.stride
	to := from + n*c.geo.stride
	for end := (from | (line - 1)) + 1; end <= to; end += line {
		if end-word >= from {
			w := (*atomic.Uint32)(unsafe.Add(c.base, end-word))
			*(*uint32)(unsafe.Pointer(w)) = w.Load()
		}
	}
}

// copyIn copies b to position p of a ring of bytes, in two parts where the memory
// ends.
func (c *ringMemory) copyIn(p uint64, b []byte) {
	n := copy(span[byte](c, p, uint64(len(b))), b)
	copy(span[byte](c, p+uint64(n), uint64(len(b)-n)), b[n:])
}

// copyOut copies from position p into b.
func (c *ringMemory) copyOut(b []byte, p uint64) {
	n := copy(b, span[byte](c, p, uint64(len(b))))
	copy(b[n:], span[byte](c, p+uint64(n), uint64(len(b)-n)))
}
