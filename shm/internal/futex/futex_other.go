//go:build !linux

package futex

import (
	"sync/atomic"
	"time"
)

// Wait returns at once: there are no futexes here.
func Wait(words []Word, bits uint32, timeout time.Duration) (Result, int) { return Changed, 0 }

// Wake wakes nobody: there are no futexes here.
func Wake(word *atomic.Uint32, n int, private bool) int { return 0 }

// WakeBits wakes nobody: there are no futexes here.
func WakeBits(word *atomic.Uint32, bits uint32) {}

// StoreWake stores v.
func StoreWake(word *atomic.Uint32, v uint32) int { word.Store(v); return 0 }

// HasWaitv reports false: there are no futexes here.
func HasWaitv() bool { return false }

// SetWaitv does nothing here.
func SetWaitv(on bool) {}
