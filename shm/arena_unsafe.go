package shm

import (
	"bytes"
	"math/bits"
	"structs"
	"sync/atomic"
	"unsafe"
)

const (
	smallestBlock = 64
	largestBlock  = 4096
	mostBlocks    = 1 << 16
	descSize      = 128
	descLocks     = 3
)

// desc says what lies in a block of an arena. The owner of the arena writes it
// before it sets its bit; while any holder's bit of the block is set it does not change,
// but for opens, and for the mark of abandoned blocks in gen.
type desc struct {
	_ structs.HostLayout

	gen      atomic.Uint32 // of the object, which handles carry, and two marks
	opens    atomic.Uint32 // how often a process has opened the block by a handle
	kind     uint32        // KindObject, KindSlice
	nlocks   uint32
	elemSize uint64
	elems    uint64
	layout   uint64
	locks    [descLocks]descLock
	typeName [40]byte
}

// In gen a generation is a multiple of genStep, and the bits below it are marks.
const (
	abandoned = 1 // nobody seemed to hold the block, and nobody has opened it since
	taking    = 2 // the owner describes it: nobody can hold it
	genMarks  = abandoned | taking
	genStep   = 4
)

// descLock says where locks lie in a block.
type descLock struct {
	_ structs.HostLayout

	kind   uint32
	off    uint32 // from the start of the block
	stride uint32
	count  uint32
}

const ( // A wrong layout does not compile.
	_ = -(unsafe.Sizeof(desc{}) ^ descSize)
	_ = -(unsafe.Sizeof(descLock{}) ^ 16)
	_ = -(unsafe.Offsetof(desc{}.locks) ^ 40)
)

// lay puts the parts of an arena over the payload, whose size was checked.
func (a *arena) lay() {
	rows, first, _ := shapeOf(a.size, a.blocks, a.core.hdr.slots)
	base := unsafe.Pointer(unsafe.SliceData(a.core.data))
	a.descs = unsafe.Slice((*desc)(base), a.blocks)
	a.rows = unsafe.Slice((*atomic.Uint64)(unsafe.Add(base, rows)), a.core.hdr.slots*a.words)
	a.first = first
}

// bytes returns the memory of block b.
func (a *arena) bytes(b uint32) []byte {
	off := a.offset(b)
	return a.core.data[off : off+uint64(a.size) : off+uint64(a.size)]
}

// longName returns the type name in the form of a header.
func (d *desc) longName() (n [128]byte) {
	t, _, _ := bytes.Cut(d.typeName[:], []byte{0})
	copy(n[:], t)
	return n
}

// valueIn returns the T of block b.
func valueIn[T any](a *arena, b uint32) *T {
	return (*T)(unsafe.Pointer(unsafe.SliceData(a.bytes(b))))
}

// sliceInBlock returns the n values of T in block b. The caller has checked
// that they fit.
func sliceInBlock[T any](a *arena, b uint32, n int) []T {
	return unsafe.Slice(valueIn[T](a, b), n)[:n:n]
}

// offsetOf returns the offset of a word in the payload of c.
func (c *core) offsetOf(word *atomic.Uint32) uint64 {
	return uint64(uintptr(unsafe.Pointer(word)) - uintptr(unsafe.Pointer(unsafe.SliceData(c.data))))
}

func trailingZeros(w uint64) int { return bits.TrailingZeros64(w) }
