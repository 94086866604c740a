package sys

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Stat reads what the kernel says of thread tid of process pid (tid 0: of the
// process). A process that is gone is fs.ErrNotExist.
func Stat(pid, tid int) (Proc, error) {
	path := fmt.Sprintf("/proc/%d/stat", pid)
	if tid != 0 {
		path = fmt.Sprintf("/proc/%d/task/%d/stat", pid, tid)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		if errors.Is(err, unix.ESRCH) { // it ended between open and read
			err = &os.PathError{Op: "read", Path: path, Err: os.ErrNotExist}
		}
		return Proc{}, err
	}
	// The command may hold spaces and brackets: count from the last ')'.
	i := bytes.LastIndexByte(b, ')')
	f := strings.Fields(string(b[i+1:]))
	if i < 0 || len(f) < 20 || len(f[0]) != 1 {
		return Proc{}, fmt.Errorf("shm: %s: unexpected content %q", path, b)
	}
	p := Proc{State: f[0][0]}
	if p.Flags, err = strconv.ParseUint(f[6], 10, 64); err != nil { // field 9
		return Proc{}, fmt.Errorf("shm: %s: flags: %w", path, err)
	}
	if p.Start, err = strconv.ParseUint(f[19], 10, 64); err != nil { // field 22
		return Proc{}, fmt.Errorf("shm: %s: start time: %w", path, err)
	}
	if p.Threads, err = strconv.Atoi(f[17]); err != nil { // field 20
		return Proc{}, fmt.Errorf("shm: %s: number of threads: %w", path, err)
	}
	return p, nil
}

// Tasks lists the threads of process pid.
func Tasks(pid int) ([]int, error) {
	d, err := os.Open(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return nil, err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	tids := make([]int, 0, len(names))
	for _, n := range names {
		tid, err := strconv.Atoi(n)
		if err != nil {
			return nil, err
		}
		tids = append(tids, tid)
	}
	return tids, nil
}

// Namespace identifies the pid namespace of this process; 0 if unknown, or if /proc
// shows another one, where our pids are those of others.
func Namespace() uint64 {
	if me, err := os.Readlink("/proc/self"); err != nil || me != strconv.Itoa(os.Getpid()) {
		return 0
	}
	var st unix.Stat_t
	if unix.Stat("/proc/self/ns/pid", &st) != nil {
		return 0
	}
	return st.Ino
}

// EachMemfd calls f for each descriptor of each visible process that is a
// memfd, with its name, until f reports false.
func EachMemfd(f func(name string, pid, fd int) bool) {
	EachFD(math.MaxInt, func(target string, pid, fd int) bool {
		name, ok := strings.CutPrefix(target, "/memfd:")
		return !ok || f(strings.TrimSuffix(name, Deleted), pid, fd)
	})
}

// EachFD calls f for each descriptor of each visible process, most of them at
// most, with what the kernel says it leads to, until f reports false. It returns
// how many it has looked at. The path of a file is a hint: of one that has no name
// any more it ends in Deleted, as that of a file with such a name.
func EachFD(most int, f func(target string, pid, fd int) bool) (looked int) {
	procs, err := names("/proc", -1)
	if err != nil {
		return 0
	}
	for _, p := range procs {
		pid, err := strconv.Atoi(p)
		if err != nil {
			continue
		}
		dir := "/proc/" + p + "/fd/"
		fds, err := names(dir, most-looked)
		if err != nil {
			continue // it has ended, or is another user's
		}
		for _, d := range fds {
			looked++
			to, err := os.Readlink(dir + d)
			if err != nil {
				continue
			}
			if fd, err := strconv.Atoi(d); err == nil && !f(to, pid, fd) {
				return looked
			}
		}
		if looked >= most {
			break
		}
	}
	return looked
}

// names returns n names, or all, of a folder.
func names(dir string, n int) ([]string, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	all, err := d.Readdirnames(n)
	if err == io.EOF {
		err = nil
	}
	return all, err
}
