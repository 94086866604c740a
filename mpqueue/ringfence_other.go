//go:build !linux

package mpqueue

func hasMembarrier() bool      { return false }
func registerMembarrier() bool { return false }
func membarrier() bool         { return false }
