package mpqueue

import (
	"structs"
	"sync/atomic"
	"unsafe"
)

// The payload of a queue's segment, specified in LAYOUT.md:
//
//	0        control    geometry (never changes), then the hot words, 128 bytes apart
//	1024     chunks     one word for each 64 KiB of the arena
//	…        slots      the ring
//	…        leases     block headers, then payloads, of items that were inline in a slot
//	…        blocks     block headers of the arena, 128 for each chunk
//	…        arena      chunks of 64 KiB, from a page boundary
const (
	controlSize    = 1024
	slotHeader     = 16
	blockHeader    = 32
	chunkSize      = 64 << 10
	blocksPerChunk = 128 // of 512 bytes, the smallest
	minBlock       = chunkSize / blocksPerChunk
	pageSize       = 4096
)

// control is the first part of the payload.
type control struct {
	_ structs.HostLayout

	// Geometry, written by the creator before the segment has a name or a
	// second participant.
	capacity  uint64
	stride    uint64 // from one slot to the next
	inline    uint64 // bytes of payload that fit a slot
	chunks    uint64 // of the arena
	variable  uint64 // 1: messages have lengths of their own
	slotsOff  uint64
	leaseOff  uint64 // headers
	leaseData uint64
	blockOff  uint64
	arenaOff  uint64
	total     uint64
	first     uint64 // position of the first item ever
	rules     uint64 // ruleJoinable, …
	tryMost   uint64 // deliveries of one item at most; 0: no limit
	_         [16]byte

	closed    atomic.Uint32 // not 0: nothing more may be put, see producer.go
	leasing   atomic.Uint32 // lease blocks that have memory; 0: no lease or reservation yet
	producers atomic.Uint32 // registrations begun and swept, and how the last one ended; see producer.go
	_         [4]byte
	reserves  atomic.Uint64 // reservations ever made
	_         [40]byte
	// Counts of what is rare, for Stats.
	redelivered atomic.Uint64
	aborted     atomic.Uint64
	dropped     atomic.Uint64
	_           [40]byte

	tail atomic.Uint64 // hint: every position below is claimed
	_    [120]byte
	head atomic.Uint64 // hint: every position below is taken
	// orphans counts changes to the set of items to be delivered again. It
	// shares the line that consumers read anyway.
	orphans  atomic.Uint32
	_        [4]byte
	released atomic.Uint64 // hint: every slot below is free again; see leasedFull
	_        [104]byte

	notEmpty atomic.Uint32 // consumers sleep on it, see wait.go
	_        [124]byte
	notFull  atomic.Uint32 // producers sleep on it
	roomy    atomic.Uint32 // who needs a block of the arena sleeps on it
	spare    atomic.Uint32 // who needs a lease block sleeps on it
	_        [116]byte
	idle     atomic.Uint32 // who waits in Join sleeps on it
	_        [124]byte

	letters [letterSize]byte // handle of the dead-letter queue: length, bytes
}

const letterSize = 1024 - 896

// slot is one place of the ring; the payload follows.
type slot struct {
	_ structs.HostLayout

	word atomic.Uint64 // lap, owner, state
	meta uint64        // where the message is: see word.go
}

// block is the header of a block; the payload is elsewhere.
type block struct {
	_ structs.HostLayout

	word  atomic.Uint64 // generation, owner, state
	pos   atomic.Uint64 // position of the slot that refers, or referred, to it
	size  uint32        // of the message in bytes
	tries uint32        // deliveries that ended in a death, see diedWith
	_     uint64
}

const ( // A wrong layout does not compile.
	_ = -(unsafe.Offsetof(control{}.closed) ^ 128)
	_ = -(unsafe.Offsetof(control{}.tail) ^ 256)
	_ = -(unsafe.Offsetof(control{}.head) ^ 384)
	_ = -(unsafe.Offsetof(control{}.notEmpty) ^ 512)
	_ = -(unsafe.Offsetof(control{}.notFull) ^ 640)
	_ = -(unsafe.Offsetof(control{}.idle) ^ 768)
	_ = -(unsafe.Sizeof(control{}) ^ controlSize)
	_ = -(unsafe.Sizeof(slot{}) ^ slotHeader)
	_ = -(unsafe.Sizeof(block{}) ^ blockHeader)
)

// memory is the parts of a queue over the payload of its segment. The geometry
// is a private copy that has been checked: whatever a peer writes, no address
// computed from it leaves the payload.
type memory struct {
	base unsafe.Pointer
	geo  geometry
	*control
	chunk  []atomic.Uint64
	leases []block
	blocks []block // of the arena
}

func overlay(data []byte, g geometry) memory {
	base := unsafe.Pointer(unsafe.SliceData(data))
	return memory{
		base:    base,
		geo:     g,
		control: (*control)(base),
		chunk:   unsafe.Slice((*atomic.Uint64)(unsafe.Add(base, controlSize)), g.chunks),
		leases:  unsafe.Slice((*block)(unsafe.Add(base, g.leaseOff)), g.leases()),
		blocks:  unsafe.Slice((*block)(unsafe.Add(base, g.blockOff)), g.chunks*blocksPerChunk),
	}
}

func controlOf(data []byte) *control { return (*control)(unsafe.Pointer(unsafe.SliceData(data))) }

// slot returns slot i, which the caller has taken modulo the capacity.
func (m *memory) slot(i uint64) *slot {
	return (*slot)(unsafe.Add(m.base, m.geo.slotsOff+i*m.geo.stride))
}

// indexOf returns which slot s is.
func (m *memory) indexOf(s *slot) uint64 {
	return (uint64(uintptr(unsafe.Pointer(s))-uintptr(m.base)) - m.geo.slotsOff) / m.geo.stride
}

// inlineData returns the payload of s.
func (m *memory) inlineData(s *slot) []byte {
	return unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(s), slotHeader)), m.geo.inline)
}

// handBack writes the first word of each further cache line of the n bytes of s
// back as it was, before s is released: see ringMemory.handBack. The first line is
// ours, by the claim.
func (m *memory) handBack(s *slot, n int) {
	const line = 64
	from := uintptr(unsafe.Pointer(s)) % line
	for at, end := line-from, slotHeader+uintptr(n); at < end; at += line {
		w := (*atomic.Uint64)(unsafe.Add(unsafe.Pointer(s), at))
		*(*uint64)(unsafe.Pointer(w)) = w.Load()
	}
}

// leaseDataAt returns the payload of lease block i.
func (m *memory) leaseDataAt(i uint64) []byte {
	return unsafe.Slice((*byte)(unsafe.Add(m.base, m.geo.leaseData+i*m.geo.leaseStride())), m.geo.inline)
}

// arenaData returns n bytes of the arena at off; the caller has checked both.
func (m *memory) arenaData(off, n uint64) []byte {
	return unsafe.Slice((*byte)(unsafe.Add(m.base, m.geo.arenaOff+off)), n)
}

// payload is the T in s. T is free of pointers and fits, which New and open have
// checked. It is for one copy in, or out: a function that takes or returns a T has
// the compiler copy it once more.
func payload[T any](s *slot) *T { return (*T)(unsafe.Add(unsafe.Pointer(s), slotHeader)) }

// view returns the T at the begin of b, which is long enough and aligned to 8.
func view[T any](b []byte) *T { return (*T)(unsafe.Pointer(unsafe.SliceData(b))) }

// viewOf views the contents of a string or []byte.
func viewOf[T any](v T) ([]byte, bool) {
	switch x := any(v).(type) {
	case []byte:
		return x, true
	case string:
		return unsafe.Slice(unsafe.StringData(x), len(x)), true
	}
	return nil, false
}

// rawBytes views the contents of a string or []byte, or the bytes of a T without
// pointers.
func rawBytes[T any](v *T) []byte {
	switch p := any(v).(type) {
	case *[]byte:
		return *p
	case *string:
		return unsafe.Slice(unsafe.StringData(*p), len(*p))
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(v)), unsafe.Sizeof(*v))
}

// fromBytes makes the string or []byte that a T is of b, which it keeps.
func fromBytes[T any](b []byte) (v T) {
	switch p := any(&v).(type) {
	case *[]byte:
		if b == nil {
			b = []byte{} // an empty message, not none
		}
		*p = b
	case *string:
		*p = unsafe.String(unsafe.SliceData(b), len(b))
	}
	return v
}
