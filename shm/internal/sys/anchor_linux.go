package sys

import (
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The kernel keeps, for each thread, the address of a linked list of futex
// words that it marks when the thread ends (set_robust_list). We use it as a
// bell, not as a lock: one thread per process, the anchor, never ends before
// the process does, and its list has one word for each segment that the
// process is attached to, the live word of its participant slot. The word's
// change wakes whoever sleeps on it 0.3 ms after a kill.
//
//	robustHead (private)      slot in segment A        slot in segment B
//	 next ────────────────────> node ───────────────────> node ───> head
//	 offset = 8                 +8 live                   +8 live
//
// A bell proves nothing: sibling threads may still be writing, the kernel
// stops after 2,048 words, and a peer can damage the chain. Proof is the byte
// lock.
var anchor struct {
	sync.Mutex
	once sync.Once
	tid  uint32
	head robustHead
	last *link // most recently added; head.next points at its node
	by   map[*atomic.Uint64]*link
}

// robustHead is struct robust_list_head of include/uapi/linux/futex.h.
type robustHead struct {
	next   uintptr
	offset int
	_      uintptr // list_op_pending: a lock on its way; never used here
}

// link is the private copy of the chain, so that removal needs no walk through
// memory that peers can write.
type link struct {
	node         *atomic.Uint64
	newer, older *link
}

// liveOffset is the distance from a slot's node to its live word.
const liveOffset = 8

// StartAnchor starts the anchor thread, once, and returns its thread id as
// this pid namespace sees it. It reports false where the kernel has no robust
// lists (some emulators); the byte locks then stand alone.
func StartAnchor() (tid uint32, ok bool) {
	anchor.once.Do(func() {
		anchor.by = make(map[*atomic.Uint64]*link)
		anchor.head = robustHead{next: addrOf(&anchor.head), offset: liveOffset}
		got := make(chan uint32)
		go func() {
			// The thread must never end before the process: its end is
			// what peers take for ours. So this goroutine never returns.
			runtime.LockOSThread()
			_, _, e := unix.RawSyscall(unix.SYS_SET_ROBUST_LIST, addrOf(&anchor.head), unsafe.Sizeof(anchor.head), 0)
			if e != 0 {
				got <- 0
				return
			}
			got <- uint32(unix.Gettid())
			select {}
		}()
		anchor.tid = <-got
	})
	return anchor.tid, anchor.tid != 0
}

func addrOf[T any](p *T) uintptr { return uintptr(unsafe.Pointer(p)) }

// AnchorAdd puts node, the first word of a participant slot, into the chain.
// The live word that follows at liveOffset is the caller's to set, afterwards.
func AnchorAdd(node *atomic.Uint64) {
	anchor.Lock()
	defer anchor.Unlock()
	l := &link{node: node, older: anchor.last}
	// The chain must be whole at every instant: first our next, then head.
	node.Store(uint64(anchor.head.next))
	atomic.StoreUintptr(&anchor.head.next, addrOf(node))
	if anchor.last != nil {
		anchor.last.newer = l
	}
	anchor.last = l
	anchor.by[node] = l
}

// AnchorRemove takes node out of the chain. The slot's memory may be unmapped
// afterwards.
func AnchorRemove(node *atomic.Uint64) {
	anchor.Lock()
	defer anchor.Unlock()
	l := anchor.by[node]
	if l == nil {
		return
	}
	delete(anchor.by, node)
	next := addrOf(&anchor.head)
	if l.older != nil {
		next = addrOf(l.older.node)
		l.older.newer = l.newer
	}
	if l.newer != nil {
		l.newer.node.Store(uint64(next))
		l.newer.older = l.older
	} else {
		atomic.StoreUintptr(&anchor.head.next, next)
		anchor.last = l.older
	}
}
