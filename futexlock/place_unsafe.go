package futexlock

import (
	"sync/atomic"
	"unsafe"

	"shmkit/shm"
)

// homeLane is &rw.cells[home(self)].lane, in two steps from the token instead of
// five: the fast path waits for it.
func (rw *RWMutex) homeLane(self uint32) *atomic.Uint64 {
	const size = unsafe.Sizeof(readerCell{})
	off := uintptr(self>>(slotShift-6)) % (ReaderCells * size) / size * size
	return (*atomic.Uint64)(unsafe.Add(unsafe.Pointer(&rw.cells), off+unsafe.Offsetof(readerCell{}.lane)))
}

// each calls f with every T of a group of locks that shm found in s. The group
// comes from shared memory: what does not lie within the payload, or is not
// aligned, is left out.
func each[T any](s *shm.Segment, off, stride, count uint64, f func(p *T)) {
	data := s.Data()
	size, align := uint64(unsafe.Sizeof(*new(T))), uint64(unsafe.Alignof(*new(T)))
	for i := range count {
		at := off + i*stride
		if at%align != 0 || at > uint64(len(data)) || size > uint64(len(data))-at {
			return
		}
		f((*T)(unsafe.Pointer(&data[at])))
	}
}

// low is the half of a word that the kernel compares: its lower 32 bits.
func low(w *atomic.Uint64) *atomic.Uint32 {
	return (*atomic.Uint32)(unsafe.Add(unsafe.Pointer(w), lowHalf))
}

// high is the other half.
func high(w *atomic.Uint64) *atomic.Uint32 {
	return (*atomic.Uint32)(unsafe.Add(unsafe.Pointer(w), 4-lowHalf))
}

// lowHalf is the offset of the lower 32 bits within a uint64.
var lowHalf = func() uintptr {
	one := uint64(1)
	if *(*uint32)(unsafe.Pointer(&one)) == 1 {
		return 0
	}
	return 4
}()
