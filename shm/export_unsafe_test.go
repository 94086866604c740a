package shm

import (
	"sync/atomic"
	"unsafe"
)

func addressOf(w *atomic.Uint32) uintptr { return uintptr(unsafe.Pointer(w)) }

// AddressOf returns the address of w.
func AddressOf(w *atomic.Uint32) uintptr { return addressOf(w) }
