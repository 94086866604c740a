package futexlock

// The state of a Cond is one word of 64 bits, so that every change is one CAS
// and none has a middle. Its lower half is the futex.
//
//	bits    name     meaning                        set by           cleared by          a stale value costs
//	63..48  pending  signals whose waiter does not  Signal           the woken waiter,   too high: one return
//	                 have the Mutex yet                              or one that takes   without a signal
//	                                                                 its place
//	47..32  crowd    how often all were told        Broadcast, and a                     (only compared)
//	                                                Signal that found
//	                                                nobody asleep
//	31..1   seq      changes with every signal      Signal,          (wraps)             (only compared)
//	                                                Broadcast
//	0       waited   somebody may sleep             Wait             with a change of    set: one needless
//	                                                                 crowd               system call
//
// A waiter that is killed after it was woken, before it has the Mutex, leaves
// pending above zero. A sleeper that looks at the end of its slice sees that a
// signal came after it had begun to wait and was not answered, and answers it.
// Without that, sleepers would have to return at the end of every slice in
// which anybody was signalled.
const (
	condWaited  = uint64(1)
	pendingBits = 48
	maxPending  = 1<<16 - 1
)

func condPending(v uint64) uint64 { return v >> pendingBits }
func condCrowd(v uint64) uint16   { return uint16(v >> 32) }
func condSeq(v uint64) uint32     { return uint32(v) >> 1 }

// advanced is v with the next seq.
func advanced(v uint64) uint64 { return v&^(1<<32-1) | uint64(uint32(v)+2) }

// signalled is v with n signals more.
func signalled(v, n uint64) uint64 {
	p := min(condPending(v)+n, maxPending)
	return advanced(v)&(1<<pendingBits-1) | p<<pendingBits
}

// answered is v with n signals fewer pending.
func answered(v, n uint64) uint64 { return v - min(n, condPending(v))<<pendingBits }

// broadcast is v with everybody told who waits: those asleep by the wake that
// follows, those awake by the change of crowd and seq.
func broadcast(v uint64) uint64 {
	return advanced(v)&(1<<32-1)&^condWaited | uint64(condCrowd(v)+1)<<32
}
