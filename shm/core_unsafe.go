package shm

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"runtime"
	"sync/atomic"
	"unsafe"

	"github.com/cespare/xxhash/v2"
)

// lay puts the parts of a segment over its memory. The header has been checked
// against the size of the file.
func (c *core) lay() {
	base := unsafe.Pointer(unsafe.SliceData(c.mem))
	c.wall = (*wall)(unsafe.Add(base, wallOffset))
	c.locks = unsafe.Slice((*lockEntry)(unsafe.Add(base, lockMapOffset)), lockMapCap)
	c.visitor = (*slot)(unsafe.Add(base, slotOffset-slotSize))
	c.table = unsafe.Slice((*slot)(unsafe.Add(base, slotOffset)), int(c.hdr.slots))
	c.data = c.mem[c.hdr.dataOff : c.hdr.dataOff+c.hdr.dataSize : c.hdr.dataOff+c.hdr.dataSize]
	if c.hdr.kind == KindArena {
		c.arena = newArena(c)
	}
}

func (h *header) bytes() []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(h)), unsafe.Sizeof(*h))
}

func (h *header) sum() uint64 {
	return xxhash.Sum64(h.bytes()[:unsafe.Offsetof(h.checksum)])
}

// readHeader reads and checks the header of f by a plain read: a file that is
// too short gives an error there, and SIGBUS in a mapping.
func readHeader(f *os.File) (h header, err error) {
	n, err := f.ReadAt(h.bytes(), 0)
	if err != nil && err != io.EOF {
		return h, err
	}
	if n < len(h.bytes()) {
		return h, &CorruptError{Offset: 0, Field: "file size", Got: uint64(n), Want: uint64(len(h.bytes()))}
	}
	fi, err := f.Stat()
	if err != nil {
		return h, err
	}
	return h, h.check(uint64(fi.Size()))
}

// opensIn is wall.opens of the segment in f; all ones if it cannot be read.
func opensIn(f *os.File) uint64 {
	w := new(wall)
	b := unsafe.Slice((*byte)(unsafe.Pointer(w)), unsafe.Sizeof(*w))
	if _, err := f.ReadAt(b, wallOffset); err != nil {
		return 1<<64 - 1
	}
	return w.opens()
}

func (h *header) check(fileSize uint64) error {
	if h.magic != magic {
		return &CorruptError{Offset: 0, Field: "magic", Got: binary.LittleEndian.Uint64(h.magic[:]), Want: binary.LittleEndian.Uint64(magic[:])}
	}
	if h.version != version {
		// Before the checksum: another version may have another header.
		return &LayoutError{Field: "version", Got: uint64(h.version), Want: version}
	}
	if sum := h.sum(); sum != h.checksum {
		return &CorruptError{Offset: int64(unsafe.Offsetof(h.checksum)), Field: "checksum", Got: h.checksum, Want: sum}
	}
	if h.machine != machineWord() {
		return &LayoutError{Field: "machine word", Got: uint64(h.machine), Want: uint64(machineWord())}
	}
	switch {
	case h.size != fileSize:
		return &CorruptError{Offset: int64(unsafe.Offsetof(h.size)), Field: "size", Got: fileSize, Want: h.size}
	case h.slots == 0 || h.slots > maxSlots:
		return &CorruptError{Offset: int64(unsafe.Offsetof(h.slots)), Field: "slots", Got: uint64(h.slots), Want: defaultSlots}
	case h.dataOff%pageSize != 0 || h.dataOff < dataOffset(h.slots) || h.dataOff > h.size:
		return &CorruptError{Offset: int64(unsafe.Offsetof(h.dataOff)), Field: "payload offset", Got: h.dataOff, Want: dataOffset(h.slots)}
	case h.dataSize > h.size-h.dataOff || h.size > 1<<46:
		return &CorruptError{Offset: int64(unsafe.Offsetof(h.dataSize)), Field: "payload size", Got: h.dataSize, Want: h.size - h.dataOff}
	case h.reserved > h.size-h.dataOff:
		return &CorruptError{Offset: int64(unsafe.Offsetof(h.reserved)), Field: "reserved size", Got: h.reserved, Want: h.size - h.dataOff}
	case h.elemSize != 0 && h.elems > h.dataSize/h.elemSize || h.elems > 1<<46:
		return &CorruptError{Offset: int64(unsafe.Offsetof(h.elems)), Field: "elements", Got: h.elems, Want: h.dataSize / max(h.elemSize, 1)}
	case h.lockMap != lockMapCap:
		return &CorruptError{Offset: int64(unsafe.Offsetof(h.lockMap)), Field: "lock map", Got: uint64(h.lockMap), Want: lockMapCap}
	}
	if h.kind == KindArena {
		return h.checkArena()
	}
	return nil
}

// machineWord tells machines apart whose memory differs: the size of a word
// and the order of its bytes.
func machineWord() uint32 {
	w := uint32(unsafe.Sizeof(uintptr(0)))
	x := uint16(1)
	if *(*byte)(unsafe.Pointer(&x)) == 1 {
		w |= 1 << 8
	}
	return w
}

// typeString returns the type that the segment was made for.
func (h *header) typeString() string {
	s, _, _ := bytes.Cut(h.typeName[:], []byte{0})
	return string(s)
}

// nameWords views a slot's name as words: it is written while others may look.
func nameWords(s *slot) []atomic.Uint64 {
	return unsafe.Slice((*atomic.Uint64)(unsafe.Pointer(&s.name)), len(s.name)/8)
}

func writeName(s *slot, name *string) {
	var b [len(s.name)]byte
	if name != nil {
		copy(b[:len(b)-1], *name)
	}
	for i := range nameWords(s) {
		nameWords(s)[i].Store(binary.NativeEndian.Uint64(b[8*i:]))
	}
}

func readName(s *slot) string {
	var b [len(s.name)]byte
	for i := range nameWords(s) {
		binary.NativeEndian.PutUint64(b[8*i:], nameWords(s)[i].Load())
	}
	t, _, _ := bytes.Cut(b[:], []byte{0})
	return string(t)
}

// At returns the T at byte off of the payload of s. It fails if T has pointers,
// if off is not aligned for T, or if T would not lie within the payload. Locks
// within T become known to the sweep. The memory is valid while s is open; after
// Close it reads zeros as long as s is reachable (in an arena it may be another
// object's).
func At[T any](s *Segment, off int) (*T, error) {
	l, err := LayoutOf[T]()
	if err != nil {
		return nil, wrap("at", s.Name(), err)
	}
	if err := s.core.fits(l, off, 1); err != nil {
		return nil, err
	}
	if err := s.core.addLocks(l, off, 1); err != nil {
		return nil, err
	}
	return (*T)(unsafe.Add(unsafe.Pointer(unsafe.SliceData(s.core.data)), off)), nil
}

// SliceAt returns n values of T from byte off of the payload of s, as At does
// one. The slice has no spare capacity: append copies it out of the segment.
func SliceAt[T any](s *Segment, off, n int) ([]T, error) {
	l, err := LayoutOf[T]()
	if err != nil {
		return nil, wrap("slice at", s.Name(), err)
	}
	if err := s.core.fits(l, off, n); err != nil {
		return nil, err
	}
	if err := s.core.addLocks(l, off, n); err != nil {
		return nil, err
	}
	return unsafe.Slice((*T)(unsafe.Add(unsafe.Pointer(unsafe.SliceData(s.core.data)), off)), n)[:n:n], nil
}

// Find returns the segment of this process that p points into, or nil. It is
// how a lock, which is a bare pointer, learns which participant "this process"
// is: so it finds none that this process is not attached to, but only looks at
// (Peek). It costs 1.5 ns, and any number of goroutines may call it.
func Find[T any](p *T) *Segment { return addresses.find(uintptr(unsafe.Pointer(p))) }

// Look is Find that finds the segments of Peek as well: for describing what lies
// in them.
func Look[T any](p *T) *Segment { return addresses.look(uintptr(unsafe.Pointer(p))) }

// SelfAt returns the token of this process in the segment that word lies in, 0 if
// there is none or this process only looks at it. It is Find and Self in one step,
// for the fast paths of locks: about 0.5 ns in the segment that this process used
// first, 1.5 ns in others. Any number of goroutines may call it.
func SelfAt(word *atomic.Uint32) Token {
	// The size first: see firstSize.
	if atomic.LoadUintptr(&firstSize) > uintptr(unsafe.Pointer(word))-atomic.LoadUintptr(&firstLo) {
		return Token(atomic.LoadUint32(&firstSelf))
	}
	return selfElsewhere(word)
}

//go:noinline
func selfElsewhere(word *atomic.Uint32) Token {
	a := uintptr(unsafe.Pointer(word))
	if s := addresses.near[nearHash(a)].Load(); s != nil && a-s.lo < s.size && first.used.Load() {
		return s.self
	}
	return first.find(&addresses, a)
}

// Offset returns where p points within the payload of s, in bytes.
func Offset[T any](s *Segment, p *T) (off int, ok bool) {
	base := uintptr(unsafe.Pointer(unsafe.SliceData(s.core.data)))
	a := uintptr(unsafe.Pointer(p))
	ok = a >= base && a-base < uintptr(len(s.core.data))
	runtime.KeepAlive(p)
	return int(a - base), ok
}

func (c *core) span() (lo, hi uintptr) {
	lo = uintptr(unsafe.Pointer(unsafe.SliceData(c.mem)))
	return lo, lo + uintptr(len(c.mem))
}
