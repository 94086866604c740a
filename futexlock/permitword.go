package futexlock

// A Semaphore with a maximum of up to MaxOwned has a cell for each permit. One
// CAS on one cell takes or gives a permit and says whose it is, so there is no
// count that a death could leave one too high or too low.
//
//	bits    meaning
//	63..32  how often the cell has been owned, so that a Permit released twice is noticed
//	31..29  state
//	28..0   token of the process, where the state has one
//
//	state   meaning                               becomes
//	out     taken by Acquire: nobody's. All zero  free (Release), giving
//	free    for the taking                        out (Acquire), owned, taking
//	owned   taken by AcquireOwned                 free (Permit.Release, or its process died)
//	taking  one of several that an Acquire is     out; free (too few, or its process died)
//	        gathering
//	giving  one of several that a Release is      free; out (too many, or its process died)
//	        gathering
const (
	permitOut    = uint64(0) << 29
	permitFree   = uint64(1) << 29
	permitOwned  = uint64(2) << 29
	permitTaking = uint64(3) << 29
	permitGiving = uint64(4) << 29

	permitStates = uint64(7) << 29
	permitTurns  = uint64(1<<32-1) << 32
)

func permitState(v uint64) uint64 { return v & permitStates }
func permitToken(v uint64) uint32 { return uint32(v) & holderMask }

// permitAs is v in another state, held by token (0: nobody).
func permitAs(v, state uint64, token uint32) uint64 { return v&permitTurns | state | uint64(token) }

// freed is the cell v when its permit is free again.
func freed(v uint64) uint64 { return permitAs(v, permitFree, 0) }

// ownedBy is the free cell v after token took it.
func ownedBy(v uint64, token uint32) uint64 {
	return permitAs(v+1<<32, permitOwned, token)
}

// bequeathed is the cell v after the death of the process that it names, and
// whether that set a permit free.
func bequeathed(v uint64) (n uint64, free bool) {
	if permitState(v) == permitGiving {
		return permitAs(v, permitOut, 0), false
	}
	return freed(v), true
}
