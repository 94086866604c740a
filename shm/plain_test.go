package shm_test

import (
	"os"

	"github.com/edsrzf/mmap-go"
)

// plainMapping is shared memory as most programs make it: a file of one page,
// mapped. No header, no participants, no reserved space.
func plainMapping(path string) (mmap.MMap, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := f.Truncate(4096); err != nil {
		return nil, err
	}
	mem, err := mmap.MapRegion(f, 4096, mmap.RDWR, 0, 0)
	if err == nil {
		mem[0] = 1
	}
	return mem, err
}
