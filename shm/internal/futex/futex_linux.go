package futex

import (
	"math"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// From include/uapi/linux/futex.h.
const (
	opWait       = 0
	opWake       = 1
	opWakeOp     = 5
	opWaitBitset = 9
	private      = 128
	opWakeBitset = 10
	flags2U32    = 0x02 // FUTEX2_SIZE_U32
	flags2Priv   = 128

	wakeOpSet   = 0
	wakeOpShift = 8 // FUTEX_OP_OPARG_SHIFT
)

// waitv is struct futex_waitv.
type waitv struct {
	val   uint64
	uaddr uint64
	flags uint32
	_     uint32
}

// deny is set by tests, and by SHMKIT_NO_WAITV, to run the fallback.
var deny atomic.Bool

// HasWaitv reports whether the kernel can wait on several words at once
// (futex_waitv, Linux 5.16). Some sandboxes deny it.
func HasWaitv() bool { return !deny.Load() && probe() }

// SetWaitv forbids (false) or allows the use of futex_waitv, for tests.
func SetWaitv(on bool) { deny.Store(!on) }

var probe = sync.OnceValue(func() bool {
	if os.Getenv("SHMKIT_NO_WAITV") != "" || unsafe.Sizeof(uintptr(0)) < 8 {
		return false // 32-bit: the call wants a 64-bit timespec that x/sys does not give
	}
	// A word that has another value is EAGAIN where the call exists.
	w := new(atomic.Uint32)
	_, _, e := wait2([]Word{{w, 1, true}}, time.Millisecond)
	return e == unix.EAGAIN
})

// Wait sleeps until one of words is woken or changed, or for timeout (which
// must be positive). It reports which word woke it, where it knows. Without
// futex_waitv it sleeps on words[0] alone, where WakeBits with one of bits
// reaches it too; the other words are then the caller's to look at.
func Wait(words []Word, bits uint32, timeout time.Duration) (Result, int) {
	var e unix.Errno
	var i uintptr
	switch {
	case len(words) > 1 && HasWaitv():
		i, _, e = wait2(words, timeout)
	default:
		e = wait1(words[0], bits, timeout)
	}
	switch e {
	case 0:
		return Woken, int(i)
	case unix.ETIMEDOUT:
		return Timeout, 0
	case unix.EAGAIN, unix.EINTR:
		return Changed, 0
	}
	// EFAULT: the mapping went away under us, which Close of the segment
	// does. The caller finds out by looking.
	return Changed, 0
}

// deadline is the absolute CLOCK_MONOTONIC time in d: signals that interrupt
// the wait do not stretch it.
func deadline(d time.Duration) unix.Timespec {
	var now unix.Timespec
	unix.ClockGettime(unix.CLOCK_MONOTONIC, &now)
	return unix.NsecToTimespec(now.Nano() + int64(d))
}

func wait1(w Word, bits uint32, timeout time.Duration) unix.Errno {
	op := uintptr(opWaitBitset)
	if w.Private {
		op |= private
	}
	ts := deadline(timeout)
	// Syscall6, not RawSyscall6: the scheduler must know that this thread
	// blocks, or a garbage collection would wait for it.
	_, _, e := unix.Syscall6(unix.SYS_FUTEX, addr(w.Addr), op, uintptr(w.Val), uintptr(unsafe.Pointer(&ts)), 0, uintptr(bits))
	runtime.KeepAlive(w.Addr)
	return e
}

func wait2(words []Word, timeout time.Duration) (uintptr, uintptr, unix.Errno) {
	var few [4]waitv
	vs := few[:0]
	if len(words) > len(few) {
		vs = make([]waitv, 0, len(words))
	}
	for _, w := range words {
		v := waitv{val: uint64(w.Val), uaddr: uint64(addr(w.Addr)), flags: flags2U32}
		if w.Private {
			v.flags |= flags2Priv
		}
		vs = append(vs, v)
	}
	ts := deadline(timeout)
	i, j, e := unix.Syscall6(unix.SYS_FUTEX_WAITV, uintptr(unsafe.Pointer(&vs[0])), uintptr(len(vs)), 0,
		uintptr(unsafe.Pointer(&ts)), unix.CLOCK_MONOTONIC, 0)
	runtime.KeepAlive(words)
	return i, j, e
}

// Wake wakes up to n sleepers of word (all if n < 0) and returns how many. A
// shared word's sleepers may be in any process.
func Wake(word *atomic.Uint32, n int, priv bool) int {
	op := uintptr(opWake)
	if priv {
		op |= private
	}
	if n < 0 {
		n = math.MaxInt32
	}
	// RawSyscall6: it never blocks, and costs a third less.
	k, _, e := unix.RawSyscall6(unix.SYS_FUTEX, addr(word), op, uintptr(n), 0, 0, 0)
	if e != 0 {
		return 0
	}
	return int(k)
}

// WakeBits wakes the sleepers of a shared word whose Wait had one of bits. It
// takes nobody's wake away: Wake reaches sleepers whatever their bits.
func WakeBits(word *atomic.Uint32, bits uint32) {
	unix.RawSyscall6(unix.SYS_FUTEX, addr(word), opWakeBitset, math.MaxInt32, 0, 0, uintptr(bits))
}

// StoreWake stores v into word and wakes one sleeper, as one step that no kill
// can divide: FUTEX_WAKE_OP does both under the lock of the futex queue. The
// operand of the call has 12 bits, so v must be a single bit or fit 12 bits
// sign-extended. It returns how many it woke.
func StoreWake(word *atomic.Uint32, v uint32) int {
	op := uint32(wakeOpSet)
	arg := v
	if s := int32(v); s < -2048 || s > 2047 {
		if v&(v-1) != 0 {
			panic("futex: StoreWake of a value that the kernel cannot take")
		}
		op |= wakeOpShift
		for arg = 0; v>>arg != 1; arg++ {
		}
	}
	// encoded: op(4) cmp(4) oparg(12) cmparg(12). The second wake never
	// happens: nr_wake2 is 0.
	enc := op<<28 | arg&0xfff<<12
	k, _, e := unix.RawSyscall6(unix.SYS_FUTEX, addr(word), opWakeOp, 1, 0, addr(word), uintptr(enc))
	if e != 0 {
		// The word's page is always writable for us; only a closed
		// segment's private pages come here.
		word.Store(v)
		return 0
	}
	return int(k)
}

func addr(w *atomic.Uint32) uintptr { return uintptr(unsafe.Pointer(w)) }
