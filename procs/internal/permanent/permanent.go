// Package permanent lists the descriptors that this process keeps open as long
// as it lives, so that a leak check can tell them from leaks.
package permanent

import "sync"

var fds struct {
	sync.Mutex
	all map[int]bool
}

// Keep says that fd stays open.
func Keep(fd int) {
	fds.Lock()
	defer fds.Unlock()
	if fds.all == nil {
		fds.all = make(map[int]bool)
	}
	fds.all[fd] = true
}

// Kept reports whether fd is one of them.
func Kept(fd int) bool {
	fds.Lock()
	defer fds.Unlock()
	return fds.all[fd]
}
