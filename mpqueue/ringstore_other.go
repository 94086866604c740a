//go:build !amd64 || race || purego

package mpqueue

// storeIsFence says whether shm.StoreRelease followed by an atomic load is in
// that order for everybody: here it is the store of package sync/atomic.
const storeIsFence = true
