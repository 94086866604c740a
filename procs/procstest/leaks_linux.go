package procstest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"shmkit/procs/internal/permanent"
)

// sharedFolder is where names of segments live by default.
const sharedFolder = "/dev/shm"

// descriptors returns what is open here.
func descriptors() map[int]string {
	entries, _ := os.ReadDir("/proc/self/fd")
	open := make(map[int]string)
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		// The descriptor that read the folder is gone by now.
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil {
			open[fd] = to
		}
	}
	return open
}

// leakedDescriptors names what is open now and was not before, apart from what
// the runtime's poller and this module keep as long as the process lives.
func leakedDescriptors(before map[int]string) []string {
	var found []string
	for fd, to := range descriptors() {
		if before[fd] == to || permanent.Kept(fd) || to == "anon_inode:[eventpoll]" || to == "anon_inode:[eventfd]" {
			continue
		}
		found = append(found, fmt.Sprintf("the tests left descriptor %d open: %s", fd, to))
	}
	return found
}

// leakedProcesses names the children of this process, zombies among them.
func leakedProcesses() []string {
	var found []string
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range stats {
		stat, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		i := strings.LastIndexByte(string(stat), ')')
		if i < 0 {
			continue
		}
		fields := strings.Fields(string(stat[i+1:]))
		if len(fields) < 2 || fields[1] != strconv.Itoa(os.Getpid()) {
			continue
		}
		what := "process"
		if fields[0] == "Z" {
			what = "zombie"
		}
		found = append(found, fmt.Sprintf("the tests left the %s %s", what, stat[:i+1]))
	}
	return found
}
