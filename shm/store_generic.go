//go:build !amd64 || race || purego

package shm

import "sync/atomic"

// StoreRelease stores v into p so that whoever loads v also sees every write
// that went before; unlike p.Store it does not order later loads after itself.
// It costs 1 ns on amd64; elsewhere it is p.Store.
func StoreRelease(p *atomic.Uint64, v uint64) { p.Store(v) }
