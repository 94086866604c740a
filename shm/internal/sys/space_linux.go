package sys

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// FolderSpace tells what the file system of dir has left; false if it does not
// say.
func FolderSpace(dir string) (Space, bool) {
	var st unix.Statfs_t
	if unix.Statfs(dir, &st) != nil || st.Blocks == 0 {
		return Space{}, false
	}
	return Space{dir, int64(st.Bavail) * int64(st.Bsize)}, true
}

// MemorySpace lists the limits that new memory of any kind runs into: the
// memory of the machine, then the cgroups of this process. A limit that cannot
// be read is left out.
func MemorySpace() []Space {
	var all []Space
	if b, err := os.ReadFile("/proc/meminfo"); err == nil {
		if avail := field(b, "MemAvailable:"); avail > 0 {
			all = append(all, Space{"memory", (avail + field(b, "SwapFree:")) << 10})
		}
	}
	return append(all, cgroups()...)
}

// field returns the number that stands after key at the begin of a line of b.
func field(b []byte, key string) int64 {
	for line := range bytes.Lines(b) {
		rest, ok := bytes.CutPrefix(line, []byte(key))
		if !ok {
			continue
		}
		f := bytes.Fields(rest)
		if len(f) == 0 {
			return 0
		}
		n, _ := strconv.ParseInt(string(f[0]), 10, 64)
		return n
	}
	return 0
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
		root, limit, usage, total := "/sys/fs/cgroup", "memory.max", "memory.current", ""
		if f[1] != "" { // version 1
			if !strings.Contains(","+f[1]+",", ",memory,") {
				continue
			}
			root, limit, usage, total = "/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_"
		}
		for dir := f[2]; ; dir = filepath.Dir(dir) {
			max, ok1 := number(filepath.Join(root, dir, limit))
			cur, ok2 := number(filepath.Join(root, dir, usage))
			if ok1 && ok2 && max < 1<<60 {
				// The usage counts cached files, which make room for us.
				stat, _ := os.ReadFile(filepath.Join(root, dir, "memory.stat"))
				cache := field(stat, total+"inactive_file ") + field(stat, total+"active_file ")
				all = append(all, Space{"cgroup " + dir, max - cur + cache})
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
