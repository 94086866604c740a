package futexlock

import (
	"context"
	"sync/atomic"
	"time"

	"shmkit/shm"
)

// A watcher is how one that waits for a process finds out that it is dead. Memory
// says so when somebody has asked the kernel before (Dead). The watcher asks the
// kernel itself
//
//   - when the bell of the process has rung (Dying): that costs nothing to see;
//   - when a sleep has ended by itself: a process may have no bell, and a robust
//     list ends at 2,048 entries;
//   - once more when ctx is done: a caller whose patience is always shorter than
//     a Backstop sees no sleep end by itself;
//   - about once a Backstop for each word if the caller does not sleep at all: it
//     may be the only one who ever looks.
type watcher struct {
	seg   *shm.Segment
	stay  *shm.Stay // of a caller that waits; nil of one that looks
	ask   bool      // the kernel is to be asked, whatever the bell says
	last  bool      // ctx is done, and this is the look after that
	polls int       // looks at a process that is being torn down
}

// watchFor returns the watcher of a caller that waits for word with ctx, in stay.
func watchFor(ctx context.Context, seg *shm.Segment, stay *shm.Stay, word *atomic.Uint32) watcher {
	return watcher{seg: seg, stay: stay, ask: ctx.Err() != nil && due(word)}
}

// gone reports whether t is dead, and past its last store: nobody may take its
// place before.
func (w *watcher) gone(t shm.Token) bool {
	return w.seg.Dead(t) || (w.ask || w.seg.Dying(t)) && w.seg.Confirm(t)
}

// pause waits a moment, instead of sleeping, if t is being torn down: 50 µs
// first, 500 µs at most. If the lock is being closed the caller is to sleep: it
// will be told there.
func (w *watcher) pause(ctx context.Context, t shm.Token) bool {
	if t == 0 || !w.seg.Dying(t) || ctx.Err() != nil || w.stay.Closed() {
		return false
	}
	w.polls++
	time.Sleep(min(50*time.Microsecond<<min(w.polls-1, 8), 500*time.Microsecond))
	return true
}

// sleep is shm's Sleep: while word is v, and t (0: nobody) lives. err is
// shm.ErrClosed or, not before the caller has looked once more with the kernel's
// answer about t, ctx's error.
func (w *watcher) sleep(ctx context.Context, word *atomic.Uint32, v uint32, t shm.Token) (why shm.WakeReason, err error) {
	w.polls = 0
	why = w.seg.Sleep(ctx, word, v, t)
	w.ask = why == shm.Timeout || why == shm.Died
	switch why {
	case shm.Closed:
		return why, shm.ErrClosed
	case shm.Cancelled:
		if t == 0 || w.last {
			return why, ctx.Err()
		}
		w.ask, w.last = true, true
	}
	return why, nil
}

// gone is a watcher's gone for one look at what t has in word; polls says that
// the caller only ever looks.
func gone(seg *shm.Segment, word *atomic.Uint32, t shm.Token, polls bool) bool {
	return seg.Dead(t) || (seg.Dying(t) || polls && due(word)) && seg.Confirm(t)
}

// lastAsked remembers, for words whose addresses share an entry, which of them
// this process has last asked the kernel about, and when. It is a guess: it only
// says how often to ask.
var lastAsked [256]atomic.Uint64

var epoch = time.Now()

// due reports whether this process has not asked the kernel on account of word
// for a Backstop, and notes that it does now.
func due(word *atomic.Uint32) bool {
	a := address(word)
	id := uint32(a>>2) ^ uint32(uint64(a)>>34)
	e := &lastAsked[(id^id>>8)%uint32(len(lastAsked))]
	v, now := e.Load(), uint32(time.Since(epoch)/time.Millisecond)
	if v != 0 && uint32(v>>32) == id && now-uint32(v) < uint32(shm.Backstop/time.Millisecond) {
		return false
	}
	return e.CompareAndSwap(v, uint64(id)<<32|uint64(now))
}

// unlessClosed is the last step of a slow path that has got what it wanted. If
// this process has let go of seg meanwhile that may have been in a private page
// which nobody else sees; and what it got before, there or in a block of an arena,
// Close gives to others.
func unlessClosed(seg *shm.Segment, stay *shm.Stay, died bool) (bool, error) {
	if seg.Closed() || stay.Closed() {
		return false, shm.ErrClosed
	}
	return died, nil
}
