package futexlock

// A WaitGroup keeps its tasks in cells, one for each process that is charged
// with some. The cells are the only truth: the group is done when they are all
// empty.
//
//	bits    meaning
//	63..32  token of the process; all ones: of processes that died and were swept
//	31      moving: under the group's lock tasks are on their way out of or into this cell
//	30..0   tasks
//
// A cell without tasks is all zero. Its process changes the count by CAS, at
// any time. A Take changes two cells; it holds the group's lock, and the
// journal says which, so that whoever finds the lock's holder dead can tell
// from the two moving bits how far it came:
//
//	source  destination
//	   0         0       before the first step or after the last: nothing to do
//	   1         0       the tasks have left the source: put them back
//	   1         1       they have arrived: clear both bits
//	   0         1       clear the destination's bit
//
// Somebody who adds up the cells one by one could miss a task that moves from a
// cell not yet read to one already read, or one added there. So whatever fills
// an empty cell, or moves tasks, adds one to a count of rises before it is
// finished, and whoever adds up does it again if the count has changed.
const (
	taskMoving = uint64(1) << 31
	taskCount  = taskMoving - 1
	goneTasks  = holderMask // in place of a token
)

func taskToken(v uint64) uint32 { return uint32(v >> 32) }
func tasks(v uint64) uint64     { return v & taskCount }

// charged is the cell v with n tasks more in the name of token.
func charged(v uint64, token uint32, n uint64) uint64 {
	return uint64(token)<<32 | v&(1<<32-1) + n
}

// tidied is v as it is kept: all zero if nothing is in it.
func tidied(v uint64) uint64 {
	if v&(taskCount|taskMoving) == 0 {
		return 0
	}
	return v
}

// journal entries: source and destination, each plus one, and how many.
func journal(src, dst int, n uint64) uint64 {
	return uint64(src+1) | uint64(dst+1)<<8 | n<<16
}

func unjournal(j uint64) (src, dst int, n uint64, ok bool) {
	src, dst, n = int(j&0xff)-1, int(j>>8&0xff)-1, j>>16
	return src, dst, n, src >= 0 && src < TaskProcesses && dst >= 0 && dst < TaskProcesses && n <= taskCount
}
