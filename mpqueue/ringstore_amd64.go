//go:build !race && !purego

package mpqueue

// storeIsFence says whether shm.StoreRelease followed by an atomic load is in
// that order for everybody. A store of amd64 may be overtaken by later loads.
const storeIsFence = false
