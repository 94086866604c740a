package sys

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// SpaceFor lists every limit that new shared memory runs into: the file
// system of dir ("" for a memfd), the memory of the machine, the cgroups of
// this process. A limit that cannot be read is left out.
func SpaceFor(dir string) []Space {
	var all []Space
	if dir != "" {
		var st unix.Statfs_t
		if unix.Statfs(dir, &st) == nil && st.Blocks > 0 {
			all = append(all, Space{dir, int64(st.Bavail) * int64(st.Bsize)})
		}
	}
	if b, err := os.ReadFile("/proc/meminfo"); err == nil {
		var avail, swap int64
		for line := range bytes.Lines(b) {
			switch f := strings.Fields(string(line)); {
			case len(f) < 2:
			case f[0] == "MemAvailable:":
				avail, _ = strconv.ParseInt(f[1], 10, 64)
			case f[0] == "SwapFree:":
				swap, _ = strconv.ParseInt(f[1], 10, 64)
			}
		}
		if avail > 0 {
			all = append(all, Space{"memory", (avail + swap) << 10})
		}
	}
	return append(all, cgroups()...)
}

// cgroups reads the memory limits of this process's cgroup and all above it.
func cgroups() []Space {
	b, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil
	}
	var all []Space
	for line := range bytes.Lines(b) {
		f := strings.SplitN(strings.TrimSpace(string(line)), ":", 3)
		if len(f) != 3 {
			continue
		}
		root, limit, usage := "/sys/fs/cgroup", "memory.max", "memory.current"
		if f[1] != "" { // version 1
			if !strings.Contains(","+f[1]+",", ",memory,") {
				continue
			}
			root, limit, usage = "/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
		}
		for dir := f[2]; ; dir = filepath.Dir(dir) {
			max, ok1 := number(filepath.Join(root, dir, limit))
			cur, ok2 := number(filepath.Join(root, dir, usage))
			if ok1 && ok2 && max < 1<<60 {
				all = append(all, Space{"cgroup " + dir, max - cur})
			}
			if dir == "/" || dir == "." {
				break
			}
		}
	}
	return all
}

func number(path string) (int64, bool) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64) // "max" is not a number: no limit
	return n, err == nil
}
