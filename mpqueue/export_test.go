package mpqueue

import (
	"fmt"
	"sync/atomic"
)

// FaultPoints are the points at which tests kill a process inside this package,
// and inside the sweep that calls it.
var FaultPoints = []string{
	"mpqueue.put.claimed", "mpqueue.put.filled", "mpqueue.put.committed",
	"mpqueue.get.claimed", "mpqueue.get.copied", "mpqueue.get.released", "mpqueue.get.taken",
	"mpqueue.receive.leased", "mpqueue.done.freed", "mpqueue.requeue.announced",
	"mpqueue.signal.pending", "mpqueue.wait.waited", "mpqueue.wait.woken",
	"mpqueue.alloc.found", "mpqueue.alloc.unchecked", "mpqueue.alloc.claimed",
	"mpqueue.reserve.counted", "mpqueue.lease.reserved",
	"mpqueue.arena.seized", "mpqueue.arena.reserved", "mpqueue.arena.gone", "mpqueue.arena.retired", "mpqueue.arena.emptied",
	"mpqueue.arena.bodies", "mpqueue.arena.punch", "mpqueue.arena.punched",
	"mpqueue.sweep.orphan", "mpqueue.sweep.leases", "mpqueue.sweep.slots", "mpqueue.sweep.chunk", "mpqueue.sweep.emptied",
	"mpqueue.producer.counted", "mpqueue.producer.left", "mpqueue.producer.looked", "mpqueue.producer.alone", "mpqueue.producer.ended", "mpqueue.close.closed", "mpqueue.sweep.producer",
	"shm.sweep.elected", "shm.sweep.released", "shm.attach.locked", "shm.attach.claimed",
}

// Plant puts a bug into this process, and takes all others out; "" puts in none.
func Plant(bug string) {
	bugs := map[string]*bool{
		"no sweep": &planted.noSweep, "leak": &planted.leak, "dropped": &planted.dropped, "torn": &planted.torn,
		"block first": &planted.blockFirst, "unmarked": &planted.unmarked, "redeliver": &planted.redeliver, "keep pending": &planted.keepPending,
		"immortal": &planted.immortal, "letter again": &planted.letterAgain,
		"early end": &planted.earlyEnd, "unclosed": &planted.unclosed, "count first": &planted.countFirst,
		"late producer": &planted.lateProducer,
		"ring: rewind":  &planted.ringRewind,
		"ring: skip":    &planted.ringSkip, "ring: stay": &planted.ringStay,
	}
	for _, b := range bugs {
		*b = false
	}
	if bug != "" {
		*bugs[bug] = true
	}
}

// Spins reports whether who waits for q looks again for a while before he sleeps.
func Spins[T any](q *Queue[T]) bool { return q.q.canSpin() }

// TakeLeases takes every lease block that is free but n.
func TakeLeases[T any](q *Queue[T], n int) (giveBack func(), err error) {
	c := q.q
	var ids []blockID
	for err == nil {
		var id blockID
		if id, err = c.allocLease(); err == nil {
			ids = append(ids, id)
		}
	}
	if _, short := err.(shortage); !short {
		return nil, err
	}
	for _, id := range ids[:n] {
		c.dropSpare(id)
	}
	return func() {
		for _, id := range ids[n:] {
			c.dropSpare(id)
		}
	}, nil
}

// SpoilChunk makes the word of a chunk one that cannot be, until it is put right.
func SpoilChunk[T any](q *Queue[T], ci int) (right func()) {
	c := &q.q.chunk[ci]
	w := c.Swap(7)
	return func() { c.Store(w) }
}

// Leaks says what a queue that is closed and drained, and that nobody is at, still
// holds on to.
func Leaks[T any](q *Queue[T]) (errs []error) {
	c := q.q
	leak := func(format string, args ...any) { errs = append(errs, fmt.Errorf("leak: "+format, args...)) }
	for i := range c.geo.capacity {
		if w := c.slot(i).word.Load(); stateOf(w) != free && stateOf(w) != sealed {
			leak("slot %d: %#x", i, w)
		}
	}
	c.eachHeader(func(id blockID, b *block) {
		if w := b.word.Load(); stateOf(w) != bFree {
			leak("block %d: %#x", id, w)
		}
	})
	for i := range c.chunk {
		if w := c.chunk[i].Load(); chunkState(w) == cClearing {
			leak("chunk %d: %#x", i, w)
		}
		if why := c.stray(uint64(i)); why != "" {
			leak("chunk %d: %s", i, why)
		}
	}
	if n := c.leased(); n != 0 {
		leak("%d leases are counted", n)
	}
	if n := c.reserved(); n != 0 {
		leak("%d reservations are counted", n)
	}
	return errs
}

// ShortOfWrap makes a new queue of that capacity start n positions before the laps
// of its slots wrap. It is the last of the options.
func ShortOfWrap(capacity int, n uint64) Option {
	return func(o *options) {
		c := uint64(capacity)
		if c == 0 {
			c = max(align(uint64(o.maxBytes), chunkSize), chunkSize) / minBlock
		}
		o.first = c<<44 - n
	}
}

// AgeWords makes the other words of a new queue that wrap start shortly before:
// the sequences of the words to sleep on, the count of changes to what is to be
// delivered again, the generations of lease blocks and of the first few chunks'
// blocks.
func AgeWords[T any](q *Queue[T], n uint32) {
	c := q.q
	for _, w := range []*atomic.Uint32{&c.notEmpty, &c.notFull, &c.roomy, &c.spare, &c.idle} {
		w.Store(-n * sequence)
	}
	c.orphans.Store(-n)
	age := func(all []block) {
		for i := range all {
			all[i].word.Store(makeWord(1<<44-3, 0, bFree))
		}
	}
	age(c.leases[:min(len(c.leases), 1000)])
	age(c.blocks[:min(len(c.blocks), 4*blocksPerChunk)])
}

// Wrapped reports which of the words of q that wrap have done so.
func Wrapped[T any](q *Queue[T]) (laps, epochs, sequences, generations bool) {
	c := q.q
	end := c.claimedEnd()
	_, was := c.geo.locate(c.geo.first)
	_, is := c.geo.locate(end)
	laps = was&lapMask > is&lapMask
	epochs = int32(c.orphans.Load()) >= 0
	for _, w := range []*atomic.Uint32{&c.notEmpty, &c.notFull, &c.roomy, &c.spare, &c.idle} {
		sequences = sequences || int32(w.Load()) >= 0
	}
	c.eachBlock(func(_ blockID, b *block) {
		generations = generations || lapOf(b.word.Load()) < 1<<43 && stateOf(b.word.Load()) == bFree && lapOf(b.word.Load()) > 0
	})
	return
}

// ReleasedBefore returns up to where, of the positions before p, all have been
// released, as far as one can see who has found p to be the end a while ago.
func ReleasedBefore[T any](q *Queue[T], p int) int {
	h, _, _ := q.q.unreleased(q.q.geo.first + uint64(p))
	return int(h - q.q.geo.first)
}

// SleepWords returns the words that who is in Join, and who waits for room, sleep on;
// Pending reports whether one who sleeps on such a word has been woken and has not looked.
func SleepWords[T any](q *Queue[T]) (idle, notFull uint32) {
	return q.q.idle.Load(), q.q.notFull.Load()
}
func Pending(word uint32) bool { return word&pending != 0 }

// TasksKept returns of how many queues this process remembers tasks.
func TasksKept() int {
	tasksOfAll.Lock()
	defer tasksOfAll.Unlock()
	return len(tasksOfAll.of)
}
