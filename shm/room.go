package shm

import (
	"os"
	"sync"
	"time"

	"shmkit/shm/internal/sys"
)

// lately is the last look at the memory of the machine and of the cgroup. A
// look reads several files of the kernel (60 µs); for a small segment it counts
// for a moment, less what was reserved since.
var lately struct {
	sync.Mutex
	when time.Time
	free int64 // of the tightest limit
}

const (
	smallWish = 4 << 20
	lookLasts = 100 * time.Millisecond
	ampleRoom = 64 << 20 // must be left after a wish that was not looked up
)

// roomFor compares a wish with every limit there is, before anything is
// touched: the kernel's own answers to too much are SIGBUS and the OOM killer.
// dir is the folder that the file is in, "" for a memfd.
func roomFor(want int64, dir string) error {
	if dir != "" {
		if s, ok := sys.FolderSpace(dir); ok && want > s.Free {
			return &SpaceError{Place: s.Place, Want: want, Free: max(s.Free, 0)}
		}
	}
	lately.Lock()
	defer lately.Unlock()
	if want <= smallWish && lately.free-want >= ampleRoom && time.Since(lately.when) < lookLasts {
		lately.free -= want
		return nil
	}
	lately.when, lately.free = time.Now(), 1<<62
	for _, s := range sys.MemorySpace() {
		if want > s.Free {
			lately.free = 0
			return &SpaceError{Place: s.Place, Want: want, Free: max(s.Free, 0)}
		}
		lately.free = min(lately.free, s.Free-want)
	}
	return nil
}

// noSpace turns the kernel's ENOSPC into an error that says where and how much.
func noSpace(err error, want int64, dir string) error {
	if !isNoSpace(err) {
		return err
	}
	e := &SpaceError{Place: "memory", Want: want}
	if dir == "" {
		if all := sys.MemorySpace(); len(all) > 0 {
			e.Free = all[0].Free
		}
	} else {
		e.Place = dir
		s, _ := sys.FolderSpace(dir)
		e.Free = s.Free
	}
	return e
}

// fill makes sure that a file that is opened has memory behind all that was
// reserved when it was made. A copy of it may have holes: touching one when
// memory is short would be SIGBUS.
func (h *header) fill(f *os.File, node sys.Node, path string) error {
	want := int64(h.dataOff + h.reserved)
	if node.Bytes >= want {
		return nil
	}
	dir := ""
	if path != "" {
		dir = folder()
	}
	if err := roomFor(want-node.Bytes, dir); err != nil {
		return err
	}
	return noSpace(sys.Reserve(f, 0, want), want, dir)
}
