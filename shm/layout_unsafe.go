package shm

import (
	"structs"
	"sync/atomic"
	"unsafe"
)

// The bytes of a segment, specified in LAYOUT.md:
//
//	0      header      never changes after creation; ends in a checksum
//	512    wall        the few words of the segment as a whole that do change
//	1024   lock map    where locks lie in the payload, 64 entries of 32 bytes
//	4096   slots       the participant table, 128 bytes each
//	…      payload     from a page boundary
const (
	wallOffset    = 512
	lockMapOffset = 1024
	slotOffset    = 4096
	slotSize      = 128
	lockMapCap    = 64
	pageSize      = 4096

	version = 1
)

// magic is the first eight bytes of every segment.
var magic = [8]byte{'s', 'h', 'm', 'k', 'i', 't', '\r', '\n'}

// ID names a segment for as long as it lives: 16 random bytes.
type ID [16]byte

// String returns id in hexadecimal.
func (id ID) String() string {
	const digits = "0123456789abcdef"
	var b [32]byte
	for i, c := range id {
		b[2*i], b[2*i+1] = digits[c>>4], digits[c&15]
	}
	return string(b[:])
}

// header is the immutable first part of a segment. It is written whole before
// anybody can see the segment.
type header struct {
	_ structs.HostLayout

	magic    [8]byte
	version  uint32
	kind     uint32
	id       ID
	size     uint64 // of the whole segment in bytes
	dataOff  uint64 // of the payload
	dataSize uint64
	reserved uint64 // bytes of the payload whose space is reserved from the start
	elemSize uint64
	elems    uint64
	layout   uint64 // hash of the layout of T
	machine  uint32 // word size and byte order: machineWord
	slots    uint32 // of the participant table
	flags    uint32 // flagKeep, …
	lockMap  uint32 // capacity of the lock map
	created  int64  // Unix time in nanoseconds, for people
	pid      uint32 // of the creator, for people
	_        uint32
	typeName [128]byte
	checksum uint64 // xxhash of everything before it
}

const (
	flagKeep uint32 = 1 << iota // gc leaves it, though nobody is attached
	flagHuge
)

// wall holds the changing words of a segment as a whole.
type wall struct {
	_ structs.HostLayout

	// lockMapLen counts the entries of the lock map that are claimed.
	lockMapLen atomic.Uint32
	// highSlot is the highest slot number that anybody went to claim: scans
	// of the table stop there. It only grows, and before the claim.
	highSlot atomic.Uint32
	// sweeps counts finished sweeps, for people and tests.
	sweeps atomic.Uint32
	// reopens counts how often a process has opened a handle of what it had
	// open already.
	reopens atomic.Uint32
	// claims counts how often a slot was claimed. A sender learns by the two
	// that somebody has opened what it sent; slots are used again in the
	// order in which they came free by it.
	claims atomic.Uint64
}

// lockEntry says where locks lie in the payload. kind is written last: an
// entry whose kind is 0 is not there yet.
type lockEntry struct {
	_ structs.HostLayout

	kind   atomic.Uint32
	_      uint32
	off    uint64 // of the first, from the start of the payload
	stride uint64 // from one to the next
	count  uint64
}

// slot is one entry of the participant table: a process that is attached.
//
// status tells in one word which incarnation it is and how far it has got:
//
//	bits 31..8  incarnation  grows by one with each claim
//	bits 7..0   state        slotFree, slotClaiming, slotLive, slotDead
//
//	free ──claim, holding the byte lock──> claiming ──> live
//	claiming, live ──byte lock found free, or left──> dead ──swept──> free
//
// free → claiming is made by the newcomer, who holds the slot's byte lock;
// → dead by anybody who has proof that the process has stopped for good;
// dead → free by the sweeper, who holds the slot's sweep lock. A stale read of
// live costs a slower answer, never a wrong one: only dead is acted on.
type slot struct {
	_ structs.HostLayout

	node   atomic.Uint64 // of the kernel's robust list; means nothing to others
	live   atomic.Uint32 // thread id of the anchor; the kernel sets bit 30 at death, bit 31: somebody sleeps on it
	status atomic.Uint32
	pid    atomic.Uint32 // as its own pid namespace sees it
	_      uint32
	start  atomic.Uint64    // start time in clock ticks since boot
	pidns  atomic.Uint64    // inode of its pid namespace
	user   [4]atomic.Uint32 // for the packages above: one cell per participant, cleared by the sweep
	name   [64]byte
	freed  atomic.Uint64 // wall.claims when the slot came free, for the order of use
}

const (
	slotFree     = 0
	slotClaiming = 1
	slotLive     = 2
	slotDead     = 3

	liveDied   = 1 << 30 // FUTEX_OWNER_DIED
	liveWaited = 1 << 31 // FUTEX_WAITERS
)

func statusOf(inc uint32, state uint32) uint32 { return inc<<8 | state }
func statusInc(st uint32) uint32               { return st >> 8 }
func statusState(st uint32) uint32             { return st & 0xff }

// Byte locks lie far beyond the end of the file, where no data is.
const (
	lockBase   int64 = 1 << 40          // + slot number: that participant lives
	sweepBase        = lockBase + 1<<16 // + slot number: somebody sweeps it
	createByte       = lockBase + 1<<17 // shared: somebody attaches; exclusive: the name is being replaced
)

// A wrong layout does not compile.
const (
	_ = -(unsafe.Offsetof(header{}.checksum) ^ 248)
	_ = -(unsafe.Sizeof(header{}) ^ 256)
	_ = -(unsafe.Sizeof(wall{}) ^ 24)
	_ = -(unsafe.Sizeof(lockEntry{}) ^ 32)
	_ = -(unsafe.Sizeof(slot{}) ^ slotSize)
	_ = -(unsafe.Offsetof(slot{}.live) ^ 8)
)
