package procstest

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// futexCall is the number by which the kernel shows the futex call. It is asked
// of the kernel: a program that an emulator runs (arm64 tests on another
// machine) is shown by the numbers of the machine.
var futexCall = sync.OnceValue(func() int64 {
	var word uint32
	tid, woken := make(chan int), make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(woken)
		tid <- unix.Gettid()
		second := unix.NsecToTimespec(1e9)
		unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(&word)), futexWait|futexPrivate, 0, uintptr(unsafe.Pointer(&second)), 0, 0)
	}()
	path := fmt.Sprintf("/proc/self/task/%d/syscall", <-tid)
	for {
		var nr int64
		var addr uint64
		text, _ := os.ReadFile(path)
		if _, err := fmt.Sscanf(string(text), "%d 0x%x", &nr, &addr); err == nil && addr == uint64(uintptr(unsafe.Pointer(&word))) {
			unix.Syscall(unix.SYS_FUTEX, uintptr(unsafe.Pointer(&word)), futexWake|futexPrivate, 1)
			<-woken
			return nr
		}
		select {
		case <-woken: // addresses are others too, or it was slow
			return unix.SYS_FUTEX
		default:
			runtime.Gosched()
		}
	}
})

// Emulated reports whether an emulator of another processor runs this program.
// It has no robust lists and traces nobody, and what it costs says nothing.
func Emulated() bool { return futexCall() != unix.SYS_FUTEX }
