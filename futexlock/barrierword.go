package futexlock

// The state of a Barrier is one word of 64 bits: an arrival is one CAS, and the
// last one completes the round with it, so that no kill leaves half a round.
// Its lower half is the futex.
//
//	bits    name     meaning                                   changed by
//	63..50  arrived  how many have arrived in this round       Wait; 0 when the round ends
//	49..44  history  how the last 6 rounds ended, the last     the end of a round
//	                 one in bit 44: 1 reset, 0 complete
//	43..32  epoch    how often Reset was called                Reset
//	31..3   round    number of this round                      the end of a round
//	2       acting   all have arrived, the last one runs       the last arrival
//	                 the action
//	1       died     broken by the death of a party            who shows it dead; Reset
//	0       broken   no round will complete until Reset        a party; Reset
//
// A cell names a process that has called Wait in this epoch: token in the upper
// half, epoch in the lower. A cell of an earlier epoch is empty, so that Reset
// forgets all parties with the CAS that resets; then it clears the cells, before
// their epoch comes again.
const (
	barrierBroken = uint64(1) << 0
	barrierDied   = uint64(1) << 1
	barrierActing = uint64(1) << 2
	barrierFlags  = barrierBroken | barrierDied | barrierActing

	historyShift = 44
	historyMask  = 1<<6 - 1
	epochMask    = 1<<12 - 1
	arrivedShift = 50
	maxParties   = 1<<14 - 1
)

func barrierRound(v uint64) uint32   { return uint32(v) >> 3 }
func barrierEpoch(v uint64) uint32   { return uint32(v>>32) & epochMask }
func barrierArrived(v uint64) uint32 { return uint32(v >> arrivedShift) }
func barrierHistory(v uint64) uint32 { return uint32(v>>historyShift) & historyMask }

// arrived is v with one arrival more.
func arrived(v uint64) uint64 { return v + 1<<arrivedShift }

// nextRound is v with its round ended, by a reset or complete.
func nextRound(v uint64, reset bool) uint64 {
	h, e := barrierHistory(v)<<1&historyMask, barrierEpoch(v)
	if reset {
		h, e = h|1, (e+1)&epochMask
	}
	return uint64(h)<<historyShift | uint64(e)<<32 | uint64((uint32(v)>>3+1)<<3)
}

// endedWell reports whether round r of that epoch, which is over in v, was
// completed. If a Reset came since, a waiter that slept through more rounds
// than the history has cannot know, and takes it that the Reset was meant for it.
func endedWell(v uint64, r, epoch uint32) bool {
	ago := (barrierRound(v) - r) & (1<<29 - 1)
	return barrierEpoch(v) == epoch || ago <= 6 && barrierHistory(v)>>(ago-1)&1 == 0
}

// earlier reports whether epoch e was before epoch than. Epochs wrap: those half
// a turn away are taken to come later.
func earlier(e, than uint32) bool {
	ago := (than - e) & epochMask
	return ago != 0 && ago <= epochMask/2
}

// partyCell names the process token as a party of the epoch of v.
func partyCell(v uint64, token uint32) uint64 { return uint64(token)<<32 | uint64(barrierEpoch(v)) }
