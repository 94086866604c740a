package shm

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"shmkit/shm/internal/futex"
)

// A goroutine that sleeps on a futex holds an OS thread, and Go ends a program
// that has 10,000 of them. So only the first few sleepers of a process sleep on
// threads of their own; the others are entrusted to dispatchers. A dispatcher is
// a goroutine that waits for many words at once (futex_waitv) and lets each
// sleeper go by a channel:
//
//	sleeper ──┐                      ┌── word of sleeper 1
//	sleeper ──┼──> dispatcher ──────>├── word of sleeper 2     one system call,
//	sleeper ──┘    (one thread)      ├── bell of their owner   up to 128 words
//	                                 └── control: look at your list again
//
// Between two waits a dispatcher is in no queue of the kernel. A wake that comes
// then finds nobody, and its sender takes that for an answer: it may clear its
// waiters flag. So before each wait the dispatcher compares every word with the
// value that its sleeper expects; every protocol above changes the word before
// it wakes. What has changed is let go.
const (
	// maxDirect is how many goroutines sleep on threads of their own.
	maxDirect = 32
	// maxEntries is how many words a dispatcher watches besides its control.
	maxEntries = futex.Max - 1
	// slack is how much earlier than its slice's end a sleeper may be let
	// go, so that those who came together leave together.
	slack = Backstop / 5
	// gather is how long a dispatcher is left asleep while newcomers come to
	// it one after the other: to put 100 words into the kernel's queues takes
	// 10 µs. A wake for a newcomer is noticed that much later.
	gather = 500 * time.Microsecond
	// dispatcherIdle is how long a dispatcher without sleepers stays.
	dispatcherIdle = time.Second
	// lookEvery is how often a dispatcher looks at its words where there is
	// no futex_waitv: then it is in no queue of the kernel at all, wakers find
	// nobody, and it sees what they have changed.
	lookEvery = 5 * time.Millisecond
)

// asleep counts the goroutines of this process that are inside Sleep.
var asleep atomic.Int64

// pool holds the dispatchers.
var pool struct {
	sync.Mutex
	all  []*dispatcher
	next int // where to look for room first
}

// A dispatcher watches words for sleepers.
type dispatcher struct {
	control atomic.Uint32 // changes when the dispatcher is to look at its list

	mu      sync.Mutex
	clients []*sleeper
	entries int // words to watch: one for each client, one for each bell
	bells   map[*atomic.Uint32]int
	poked   time.Time // by a newcomer
	armed   bool      // a timer will poke
	ended   bool
}

// poke makes the dispatcher look at its list.
func (d *dispatcher) poke() {
	d.control.Add(1)
	futex.Wake(&d.control, 1, true)
}

// invite pokes for a newcomer: at once, or a little later together with others.
func (d *dispatcher) invite(now time.Time) {
	d.mu.Lock()
	wait := gather - now.Sub(d.poked)
	switch {
	case d.armed:
		d.mu.Unlock()
		return
	case wait > 0:
		d.armed = true
		d.mu.Unlock()
		time.AfterFunc(wait, func() {
			d.mu.Lock()
			d.armed, d.poked = false, time.Now()
			d.mu.Unlock()
			d.poke()
		})
		return
	}
	d.poked = now
	d.mu.Unlock()
	d.poke()
}

// add entrusts sl to d; false if d is full or has ended.
func (d *dispatcher) add(sl *sleeper) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	need := 1
	if sl.bell != nil && d.bells[sl.bell] == 0 {
		need = 2
	}
	if d.ended || futex.HasWaitv() && d.entries+need > maxEntries {
		return false
	}
	d.entries += need
	if sl.bell != nil {
		d.bells[sl.bell]++
	}
	d.clients = append(d.clients, sl)
	return true
}

// drop takes client i off the list and tells it why. The caller holds d.mu.
func (d *dispatcher) drop(i int, why WakeReason) {
	sl := d.clients[i]
	last := len(d.clients) - 1
	d.clients[i] = d.clients[last]
	d.clients[last] = nil
	d.clients = d.clients[:last]
	d.entries--
	if sl.bell != nil {
		if d.bells[sl.bell]--; d.bells[sl.bell] == 0 {
			delete(d.bells, sl.bell)
			d.entries--
		}
	}
	sl.done <- why
}

// dispatch sleeps for sl by way of a dispatcher.
func dispatch(sl *sleeper) WakeReason {
	sl.done = make(chan WakeReason, 1)
	now := time.Now()
	sl.until = now.Add(Backstop)
	d := entrust(sl)
	// Publishes the place to wake: pairs with the load in sleeper.wake. A
	// wake that came before saw none, so its word is looked at by d.
	sl.by.Store(d)
	d.invite(now)
	return <-sl.done
}

func entrust(sl *sleeper) *dispatcher {
	pool.Lock()
	defer pool.Unlock()
	for i := range pool.all {
		at := (pool.next + i) % len(pool.all)
		if pool.all[at].add(sl) {
			pool.next = at
			return pool.all[at]
		}
	}
	d := &dispatcher{bells: map[*atomic.Uint32]int{}}
	d.add(sl)
	pool.all = append(pool.all, d)
	go d.run()
	return d
}

// run is the life of a dispatcher.
func (d *dispatcher) run() {
	var (
		words  = make([]futex.Word, 0, futex.Max)
		queued []*sleeper // the client of words[i+1]; nil: a bell
		taken  = -1       // the word that the last wait was woken by
		stir   bool       // the last wait ended by a wake
		idle   time.Time
		seen   = map[*atomic.Uint32]bool{} // bells among words
	)
	for {
		// The control word first: who changes the list from here on
		// changes it too, and the wait does not begin.
		control := d.control.Load()
		d.mu.Lock()
		now := time.Now()
		d.sort(now, queued, taken, stir)
		words = append(words[:0], futex.Word{Addr: &d.control, Val: control, Private: true})
		queued = queued[:0]
		timeout := dispatcherIdle
		clear(seen)
		for _, sl := range d.clients {
			words = append(words, futex.Word{Addr: sl.word, Val: sl.val})
			queued = append(queued, sl)
			if sl.bell != nil && !seen[sl.bell] {
				seen[sl.bell] = true
				words = append(words, futex.Word{Addr: sl.bell, Val: sl.bellVal})
				queued = append(queued, nil)
			}
			timeout = min(timeout, sl.until.Sub(now))
		}
		switch {
		case len(d.clients) > 0:
			idle = time.Time{}
		case idle.IsZero():
			idle = now
		case now.Sub(idle) >= dispatcherIdle:
			d.ended = true
			d.mu.Unlock()
			d.leavePool()
			return
		}
		d.mu.Unlock()
		if !futex.HasWaitv() || len(words) > futex.Max {
			stir, taken = false, -1
			time.Sleep(min(lookEvery, max(timeout, time.Millisecond)))
			continue
		}
		r, i := futex.Wait(words, math.MaxUint32, max(timeout, time.Millisecond))
		stir = r == futex.Woken
		taken = -1
		if stir {
			taken = i - 1
		}
	}
}

func (d *dispatcher) leavePool() {
	pool.Lock()
	defer pool.Unlock()
	for i, e := range pool.all {
		if e == d {
			pool.all = append(pool.all[:i], pool.all[i+1:]...)
			return
		}
	}
}

// sort lets go of every client whose sleep is over. queued and taken describe
// the wait that has just ended: the kernel names one of the words that were
// woken; others may have been. The caller holds d.mu.
func (d *dispatcher) sort(now time.Time, queued []*sleeper, taken int, stir bool) {
	var woken *sleeper
	if taken >= 0 && taken < len(queued) {
		woken = queued[taken]
	}
	for _, sl := range queued {
		if sl != nil {
			sl.stirred = stir
		}
	}
	for i := len(d.clients) - 1; i >= 0; i-- {
		sl := d.clients[i]
		if why, over := sl.over(now, sl == woken); over {
			d.drop(i, why)
		} else {
			sl.stirred = false
		}
	}
}

// trustKernel is set by a test that shows that a wake between two waits would be
// missed without a look at the words.
var trustKernel atomic.Bool

// over reports whether the sleep of sl has come to an end, and why.
func (sl *sleeper) over(now time.Time, woken bool) (WakeReason, bool) {
	if w := WakeReason(sl.cancel.Load()); w != 0 {
		return w, true
	}
	if sl.bell != nil {
		l := sl.bell.Load()
		if l&liveDied != 0 {
			ringOn(sl.bell, l)
			return Died, true
		}
		if l != sl.bellVal && !woken {
			return Changed, true
		}
	}
	switch {
	case woken:
		return Woken, true
	case sl.word.Load() == sl.val || trustKernel.Load():
		return Timeout, sl.until.Sub(now) < slack
	case sl.stirred:
		return MaybeWoken, true
	}
	return Changed, true
}
