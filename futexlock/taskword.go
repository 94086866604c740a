package futexlock

// A WaitGroup keeps its tasks in cells, one for each process that is charged
// with some. The cells are the only truth: the group is done when they are all
// empty.
//
//	bits    meaning
//	63..35  token of the process; all ones: of processes that died and were swept
//	34      moving: under the group's lock tasks are on their way out of or into this cell
//	33..20  tasks that the process took: it is at them
//	19..0   tasks that it added: others may take them
//
// A cell without tasks is all zero. Its process changes the counts by CAS, at
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
// cell not yet read to one already read, or one added there; or it could count
// lost tasks that are forgotten before the last of the others is done. So
// whatever fills an empty cell, moves tasks or forgets them, adds one to a count
// of rises before it is finished, and whoever adds up does it again if the count
// has changed.
const (
	taskMoving = uint64(1) << 34
	oneTaken   = uint64(1) << 20
	maxAdded   = oneTaken - 1
	maxTaken   = uint64(1)<<14 - 1
	taskTokens = ^uint64(0) >> 35 << 35
	goneTasks  = holderMask // in place of a token
)

func taskToken(v uint64) uint32 { return uint32(v >> 35) }
func added(v uint64) uint64     { return v & maxAdded }
func takenBy(v uint64) uint64   { return v / oneTaken & maxTaken }
func tasks(v uint64) uint64     { return added(v) + takenBy(v) }

// load is a number of tasks of both kinds, as they stand in a cell.
type load uint64

func (l load) added() uint64 { return added(uint64(l)) }
func (l load) taken() uint64 { return takenBy(uint64(l)) }

// fits reports whether l can be added to the cell v.
func (l load) fits(v uint64) bool {
	return added(v)+l.added() <= maxAdded && takenBy(v)+l.taken() <= maxTaken
}

// charged is the cell v with l more in the name of token. l must fit.
func charged(v uint64, token uint32, l load) uint64 {
	return uint64(token)<<35 | v&^taskTokens + uint64(l)
}

// relieved is the cell v with one task done, of those that were taken first.
func relieved(v uint64) uint64 {
	if takenBy(v) > 0 {
		return tidied(v - oneTaken)
	}
	return tidied(v - 1)
}

// tidied is v as it is kept: all zero if nothing is in it.
func tidied(v uint64) uint64 {
	if tasks(v) == 0 && v&taskMoving == 0 {
		return 0
	}
	return v
}

// journal entries: source and destination, each plus one, and what left the
// source.
func journal(src, dst int, l load) uint64 {
	return uint64(src+1) | uint64(dst+1)<<8 | uint64(l)<<16
}

func unjournal(j uint64) (src, dst int, l load, ok bool) {
	src, dst, l = int(j&0xff)-1, int(j>>8&0xff)-1, load(j>>16)
	return src, dst, l, src >= 0 && src < TaskProcesses && dst >= 0 && dst < TaskProcesses && uint64(l) < taskMoving
}
