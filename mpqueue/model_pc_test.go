package mpqueue

// pc says which access to shared memory an actor makes next. Each is one move.
type pc uint8

const (
	atNothing pc = iota

	// Put: putter.try, claimPut, commit.
	putLook
	putAlloc
	putBlockHalf
	putBlockFull
	putProbe
	putLeasing
	putSettle
	putCells
	putOrphans
	putBlocks
	putMoving
	putClaim
	putHint
	putHalf
	putFull
	putPos
	putRefer
	putCommit
	putLatePos
	putDrop

	// Get and Receive: fetch, takeOrphan, claimGet, consume, lease, unlease.
	getLease
	getOrphans
	scanSlot
	scanBlock
	scanCount
	scanTake
	scanUncount
	getDropLease
	getProbe
	getClosed
	getSeal
	getClaim
	getHint
	getCount
	endSlots
	endBlocks
	endCells
	endOrphans
	getHalf
	getFull
	getOwn
	getFreeFirst
	getRelease
	getBlockHalf
	getBlockFull
	getFree
	getUncount
	leaseHalf
	leaseFull
	leasePos
	leaseWord
	leaseOwn
	leaseCount
	leaseRelease
	leaseLateCount
	holding
	doneFree
	doneUncount
	requeueMark
	requeueCount
	requeueUncount

	// await, signal.
	waitSet
	waitSleep
	atAsleep
	atAwake
	moreHead
	moreSettle
	moreScan
	moreOrphans
	morePut
	sigLook
	sigClaim
	sigWake
	sigUndo
	sigWakeAll
	freedClosed

	// Of a dead actor: sweep.
	atSweep
	sweepHeldHome
	sweepHeldRefers
	sweepHeldDied
	sweepHeldWord
	sweepSlots
	sweepOwned
	sweepOwnedHome
	sweepOwnedRefers
	sweepOwnedWord
	sweepCount
	sweepCell
	sweepClearEmpty
	sweepWakeEmpty
	sweepClearFull
	sweepWakeFull

	// CloseSend.
	closeClearEmpty
	closeWakeEmpty
	closeClearFull
	closeWakeFull

	// Between two accesses: what follows when a subroutine ends.
	thenPut      // a message has been put
	thenPutEnd   // no more can be put
	thenReleased // Get has freed the slot
	thenGot      // a message has been got
	thenHold     // an item has been leased
	thenOver
	thenNext

	atOver
)

var pcNames = map[pc]string{
	atNothing: "sets closed",

	putLook: "Put looks whether the queue is closed", putAlloc: "Put takes a block", putBlockHalf: "Put writes half of the block",
	putBlockFull: "Put writes the rest of the block", putProbe: "Put looks at a slot", putLeasing: "Put looks whether there are leases",
	putCells: "Put adds up leases", putSettle: "Put looks for the first slot that is not free", putOrphans: "Put compares the count of orphans",
	putBlocks: "Put looks whether a block is leased", putMoving: "Put looks whether an item is on its way out", putClaim: "Put claims the slot",
	putHint: "Put raises the shared tail", putHalf: "Put writes half of the slot", putFull: "Put writes the rest of the slot",
	putPos: "Put writes the position of the block", putRefer: "Put writes the block into the slot", putCommit: "Put commits",
	putLatePos: "Put writes the position of the block, too late", putDrop: "Put gives its block back",

	getLease: "Receive takes a lease block", getOrphans: "Get compares the count of orphans", scanSlot: "Get looks for orphans in a slot",
	scanBlock: "Get looks for orphans in a block", scanCount: "Get counts the lease of an orphan", scanTake: "Get claims the orphan",
	scanUncount: "Get uncounts it, another was faster", getDropLease: "Receive gives its lease block back", getProbe: "Get looks at a slot",
	getClosed: "Get looks whether the queue is closed", getSeal: "Get seals", getClaim: "Get claims the slot", getHint: "Get raises the shared head",
	getCount: "Get counts the death of the last consumer",
	endSlots: "Get looks whether a slot is being read", endBlocks: "Get looks whether a block is leased", endCells: "Get adds up leases",
	endOrphans: "Get compares the count of orphans, at the end",
	getHalf:    "Get reads half of the slot", getFull: "Get reads the rest of the slot", getOwn: "Get takes the block", getFreeFirst: "Get frees the block, too early",
	getRelease: "Get frees the slot", getUncount: "Get uncounts the lease", getBlockHalf: "Get reads half of the block",
	getBlockFull: "Get reads the rest of the block", getFree: "Get frees the block",
	leaseHalf: "Receive reads half of the slot", leaseFull: "Receive copies the slot", leasePos: "Receive writes the position of its block",
	leaseWord: "Receive marks its block leased", leaseOwn: "Receive marks the block leased", leaseCount: "Receive counts its lease",
	leaseRelease: "Receive frees the slot", leaseLateCount: "Receive counts its lease, too late", holding: "holds an item",
	doneFree: "Done frees the block", doneUncount: "Done uncounts the lease",
	requeueMark: "Requeue marks the block orphan", requeueCount: "Requeue counts the orphan", requeueUncount: "Requeue uncounts the lease",

	waitSet: "sets waited", waitSleep: "goes to sleep if the word has not changed", atAsleep: "sleeps", atAwake: "is back and clears pending",
	moreHead: "is there more? shared head", moreSettle: "is there more? looks for the head", moreScan: "is there more? looks at a slot",
	moreOrphans: "is there more? orphans", morePut: "is there more room?",
	sigLook: "looks whether somebody waits", sigClaim: "sets pending", sigWake: "wakes one", sigUndo: "nobody slept: clears waited and pending",
	sigWakeAll: "wakes all", freedClosed: "looks whether others wait for the end",

	atSweep: "begins, looks for a block that it held", sweepHeldHome: "looks at the block's slot", sweepHeldRefers: "looks whether the slot refers to the block",
	sweepHeldDied: "says that the holder of the block died", sweepHeldWord: "settles the block", sweepSlots: "settles a slot", sweepOwned: "looks for a block that it owned",
	sweepOwnedHome: "looks at the block's slot", sweepOwnedRefers: "looks whether the slot refers to the block", sweepOwnedWord: "settles the block",
	sweepCount: "counts orphans", sweepClearEmpty: "clears notEmpty", sweepWakeEmpty: "wakes consumers", sweepClearFull: "clears notFull",
	sweepWakeFull: "wakes producers", sweepCell: "clears the count of leases",

	closeClearEmpty: "clears notEmpty", closeWakeEmpty: "wakes consumers", closeClearFull: "clears notFull", closeWakeFull: "wakes producers",
	atOver: "is done",
}

func (p pc) String() string { return pcNames[p] }

// register is a set of an actor's registers.
type register uint16

const (
	rV register = 1 << iota
	rP
	rI
	rSum
	rEpoch
	rBest // and bpos
	rGot
	rAgain
	rRet
	rSame // and on
)

// signaling is what a subroutine leaves alone.
const signaling = rRet | rSame | rP | rAgain | rGot

// needs says which registers an actor reads after the pc it is at; the others
// are cleared, so that states which behave alike are one.
var needs = map[pc]register{
	putProbe: rP, putLeasing: rP | rV, putSettle: rP | rV | rI | rSum, putCells: rP | rV | rI | rSum | rBest, putOrphans: rP | rV | rSum | rBest,
	putBlocks: rP | rV | rI | rSum | rBest | rEpoch, putMoving: rP | rV | rI | rSum | rBest | rGot, putClaim: rP | rV,
	putHint: rP, putHalf: rP, putFull: rP, putPos: rP, putRefer: rP, putCommit: rP, putLatePos: rP,

	scanSlot: rEpoch | rI | rBest | rV, scanBlock: rEpoch | rI | rBest | rV, scanCount: rEpoch | rBest | rV, scanTake: rEpoch | rBest | rV,
	getDropLease: rSum, getProbe: rP, getClosed: rP | rV, getSeal: rP | rV, getClaim: rP | rV, getHint: rP | rAgain, getCount: rP | rAgain,
	endSlots: rI | rP, endBlocks: rI | rSum, endCells: rI | rSum, endOrphans: rSum,
	getHalf: rP | rAgain, getFull: rP | rAgain | rGot, getOwn: rP | rAgain, getFreeFirst: rP | rAgain, getRelease: rP | rAgain | rGot,
	getBlockHalf: rP | rAgain, getBlockFull: rP | rAgain | rGot, getFree: rP | rAgain,
	leaseHalf: rP | rAgain, leaseFull: rP | rAgain | rGot, leasePos: rP | rAgain, leaseWord: rP | rAgain, leaseOwn: rP | rAgain,
	leaseCount: rP | rAgain, leaseRelease: rP | rAgain, leaseLateCount: rP | rAgain,

	waitSleep: rSame, moreHead: rRet, moreSettle: rRet | rP, moreScan: rRet | rP | rI, moreOrphans: rRet, morePut: rRet,
	sigLook: signaling, sigClaim: signaling, sigWake: signaling, sigUndo: signaling, sigWakeAll: signaling, freedClosed: signaling,

	atSweep: rI, sweepHeldHome: rI | rV, sweepHeldRefers: rI | rV, sweepHeldDied: rI | rV, sweepHeldWord: rI | rV | rBest, sweepSlots: rI | rBest, sweepOwned: rI,
	sweepOwnedHome: rI | rV, sweepOwnedRefers: rI | rV | rBest, sweepOwnedWord: rI | rV | rBest,
}

// plain clears what no longer matters.
func (m *model) plain(w *world) {
	for i := range m.count() {
		a := &w.actors[i]
		keep := needs[a.pc]
		if a.armed {
			keep |= rSame
		}
		clear := func(r register, v *int8) {
			if keep&r == 0 {
				*v = 0
			}
		}
		if keep&rV == 0 {
			a.v = 0
		}
		clear(rP, &a.p)
		clear(rI, &a.i)
		clear(rSum, &a.sum)
		clear(rEpoch, &a.epoch)
		clear(rBest, &a.best)
		clear(rBest, &a.bpos)
		clear(rGot, &a.got)
		clear(rAgain, &a.again)
		if keep&rRet == 0 {
			a.ret, a.then = 0, 0
		}
		if keep&rSame == 0 {
			a.on, a.same = 0, false
		}
		if a.pc == atOver && a.life == alive {
			*a = actor{pc: atOver, cell: a.cell, sent: a.sent}
		}
	}
	m.inOrder(w)
}
