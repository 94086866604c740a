package procstest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// The signals that not every system has.
const (
	sigStop = unix.SIGSTOP
	sigCont = unix.SIGCONT
)

func signal(pid int, sig syscall.Signal) error { return unix.Kill(pid, sig) }

// exists reports whether there is a process of that number.
func exists(pid int) bool { return unix.Kill(pid, 0) != unix.ESRCH }

// tasks returns the folders of the threads of a process.
func tasks(pid int) []string {
	dirs, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/[0-9]*", pid))
	return dirs
}

const (
	futexCommand = 0x7f // the command in the operation of a futex call
	futexPrivate = 0x80 // the word is private to the process
	futexWait    = 0
	futexWake    = 1
	futexBitset  = 9
	waitvSize    = 24 // struct futex_waitv: val, uaddr, flags, reserved
	waitvFlags   = 16 // offset of flags
	waitvLongest = 128
)

// showsCalls reports whether the kernel shows system calls of threads.
func showsCalls() bool {
	_, err := os.ReadFile("/proc/self/syscall")
	return err == nil
}

// blocked counts the threads that sleep on shared words.
func blocked(pid int) int {
	n := 0
	for _, dir := range tasks(pid) {
		text, err := os.ReadFile(dir + "/syscall")
		if err != nil {
			continue
		}
		// "202 0x7f… 0x89 …" asleep in call 202 with these arguments;
		// "running"; "-1 …" asleep elsewhere.
		var nr int64
		var addr, op uint64
		if _, err := fmt.Sscanf(string(text), "%d 0x%x 0x%x", &nr, &addr, &op); err != nil {
			continue
		}
		switch nr {
		case futexCall():
			command := op & futexCommand
			// An emulator sleeps by plain waits on words of its own.
			if op&futexPrivate == 0 && (command == futexBitset || command == futexWait && !Emulated()) {
				n++
			}
		case unix.SYS_FUTEX_WAITV:
			if sharedWaitv(pid, addr, op) {
				n++
			}
		}
	}
	return n
}

// sharedWaitv reports whether one of the n words at addr is shared. If the
// memory cannot be read it says yes: only this module uses the call.
func sharedWaitv(pid int, addr, n uint64) bool {
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		return true
	}
	defer mem.Close()
	words := make([]byte, min(n, waitvLongest)*waitvSize)
	if _, err := mem.ReadAt(words, int64(addr)); err != nil {
		return true
	}
	for ; len(words) >= waitvSize; words = words[waitvSize:] {
		if binary.NativeEndian.Uint32(words[waitvFlags:])&futexPrivate == 0 {
			return true
		}
	}
	return false
}

// threadState returns the letter of the state of a thread, 0 if it is gone.
func threadState(dir string) byte {
	stat, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return 0
	}
	// "4711 (name) S …": the name may hold anything, so look for its end.
	i := bytes.LastIndexByte(stat, ')')
	if i < 0 || i+2 >= len(stat) {
		return 0
	}
	return stat[i+2]
}

// stopped reports whether all threads of the process stand still.
func stopped(pid int) bool {
	dirs := tasks(pid)
	for _, dir := range dirs {
		if s := threadState(dir); s != 'T' && s != 't' {
			return false
		}
	}
	return len(dirs) > 0
}

// describeThreads says what each thread of a process does.
func describeThreads(pid int) string {
	var b strings.Builder
	for _, dir := range tasks(pid) {
		call, _ := os.ReadFile(dir + "/syscall")
		where, _ := os.ReadFile(dir + "/wchan")
		fmt.Fprintf(&b, "  thread %s: state %c, %s, system call %s\n", filepath.Base(dir), threadState(dir), where, bytes.TrimSpace(call))
	}
	if b.Len() == 0 {
		return "  (gone)\n"
	}
	return b.String()
}
