package shm

import (
	"sync/atomic"
	"unsafe"
)

// shard spreads words over gates: words of neighbouring locks differ in few bits.
func shard(word *atomic.Uint32) int {
	h := uint64(uintptr(unsafe.Pointer(word))) * 0x9e3779b97f4a7c15
	return int(h >> 58)
}
