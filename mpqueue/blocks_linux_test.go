package mpqueue_test

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"shmkit/shm"
)

// blocks returns how much memory a segment holds, in units of 512 bytes.
func blocks(t *testing.T, s *shm.Segment) int64 {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	name := "shmkit-" + s.ID().String()[:16]
	for _, e := range fds {
		path := "/proc/self/fd/" + e.Name()
		if to, _ := os.Readlink(path); !strings.Contains(to, name) {
			continue
		}
		var st syscall.Stat_t
		if err := syscall.Stat(path, &st); err == nil {
			return st.Blocks
		}
	}
	t.Fatal(fmt.Errorf("no descriptor of %s", name))
	return 0
}
