package futexlock

// An RWMutex has three kinds of words. The write side is a lock word
// (lockword.go). The gate says whether readers may come in, and which of two
// counts the readers that are inside are in. Cells, one for each process that
// reads, hold the two counts; beside each lies a lane (rwlane.go), the short way in
// while no writer comes.
//
// Gate:
//
//	bit  name       meaning                     set by             cleared by           a stale value costs
//	31   waited     readers may sleep           a reader that      whoever opens the    set: one needless system call
//	                on the gate                 goes to sleep      gate, before waking
//	30   ownerDied  a writer died inside        whoever showed     Consistent           (truth)
//	                                            it dead
//	4    class      which count holds the       a writer that      a writer that        (truth)
//	                readers inside              leaves             leaves
//	3    shared     a reader that found no      that reader        that reader          (truth)
//	                cell is inside, alone
//	2    writing    a writer is inside: the     the writer         the writer           (truth)
//	                data may be half-written
//	0    closed     a writer is inside or       the holder of      the holder of        (truth: the write side is
//	                waits for readers to leave  the write side     the write side       held while it is set)
//
// Cell:
//
//	bits    meaning
//	63..32  token of the process; 0: empty
//	31..16  its readers of class 1
//	15..0   its readers of class 0
//
// The two classes make the lock fair to both sides. Readers that come while
// the gate is open join the class of those inside. Readers that come while it
// is closed join the other class and wait. The writer waits only for the class
// of those inside; when it leaves it flips the class, and with that one CAS
// every waiting reader is inside: the next writer has to wait for them. So a
// reader waits for one writer at most, and a writer for one crowd of readers.
//
//	gate open, class c     inside: c
//	  close                closed, class c      inside: c   waiting: the other
//	    all of c left      closed, writing
//	      writer leaves    open, other class    inside: those that waited
//	    writer gives up    open, class c        inside: c   those that waited start again
//
// A count of the class inside can only be left over from a dead process, whose
// whole cell is cleared: there is no central count that a death could put wrong.
const (
	gateClosed  = uint32(1) << 0
	gateWriting = uint32(1) << 2
	gateShared  = uint32(1) << 3
	gateClass   = uint32(1) << 4 // 16 is also how far the count of class 1 is shifted
	// ownerDied and waited are where they are in a lock word.

	gateShape = gateClosed | gateClass
	maxCount  = 1<<16 - 1
)

// class returns the class of the readers inside: 0 or 1.
func class(g uint32) uint32 { return g & gateClass >> 4 }

// joins returns the class that a newcomer joins.
func joins(g uint32) uint32 { return class(g) ^ g&gateClosed }

// left is the gate after a writer, or a reader by the write side, has left it.
func left(g uint32) uint32 {
	return (g ^ gateClass) &^ (gateClosed | gateWriting | gateShared | waited)
}

// givenUp is the gate after a writer that was still waiting for readers gave up.
func givenUp(g uint32) uint32 { return g &^ (gateClosed | waited) }

// mourned is a closed gate whose closer died, in the hands of its successor: it
// stays closed.
func mourned(g uint32) uint32 {
	if g&gateWriting != 0 {
		g |= ownerDied
	}
	return g &^ (gateWriting | gateShared)
}

// buried is a closed gate whose closer died, opened by somebody who does not
// want to write. If the dead one was inside, nobody else is.
func buried(g uint32) uint32 {
	if g&(gateWriting|gateShared) != 0 {
		return left(mourned(g)) | mourned(g)&ownerDied
	}
	return givenUp(g)
}

func cellToken(v uint64) uint32           { return uint32(v >> 32) }
func cellCount(v uint64, c uint32) uint32 { return uint32(v>>(c&1<<4)) & maxCount }
func cellReaders(v uint64) uint32         { return cellCount(v, 0) + cellCount(v, 1) }
func oneReader(c uint32) uint64           { return 1 << (c & 1 << 4) }

// fullCell reports whether a class of v may be full: half of what fits is as
// much as we count, so that one look at two bits tells.
func fullCell(v uint64) bool { return v&(1<<15|1<<31) != 0 }
