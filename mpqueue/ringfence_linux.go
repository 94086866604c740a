package mpqueue

import (
	"sync"

	"golang.org/x/sys/unix"
)

// Commands of membarrier(2): run a fence on every thread that runs at the moment
// in a process that has registered.
const (
	membarrierQuery           = 0
	membarrierGlobalExpedited = 1 << 1
	membarrierRegister        = 1 << 2
)

func callMembarrier(cmd uintptr) (uintptr, bool) {
	r, _, e := unix.Syscall(unix.SYS_MEMBARRIER, cmd, 0, 0)
	return r, e == 0
}

// hasMembarrier reports whether this process may use the call.
var hasMembarrier = sync.OnceValue(func() bool {
	r, ok := callMembarrier(membarrierQuery)
	const need = membarrierGlobalExpedited | membarrierRegister
	return ok && r&need == need
})

func registerMembarrier() bool {
	_, ok := callMembarrier(membarrierRegister)
	return ok
}

func membarrier() bool {
	_, ok := callMembarrier(membarrierGlobalExpedited)
	return ok
}
