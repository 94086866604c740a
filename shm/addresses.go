package shm

import (
	"sync"
	"sync/atomic"
)

// addressTable answers "which segment is this address in?" for locks, at every
// Lock and Unlock, however many segments are attached. It is a page table of two
// levels, with what was found lately before it:
//
//	near[hash of the page]  ──>  span
//	top[address >> 30]  ──>  leaf[address >> 12 & (1<<18 - 1)]  ──>  segments[n]
//
// A segment that spans whole GiBs fills entries of the top level only. Entries
// are numbers, not pointers, so the collector never scans the tables.
type addressTable struct {
	mu  sync.Mutex
	top [1 << 18]uint32 // 0: nothing; wholeGiB|n: segments[n]; else leaves[n-1]

	near     [nearSize]atomic.Pointer[span] // nil, or the span of some page with that hash
	leaves   atomic.Pointer[[]*leaf]
	segments atomic.Pointer[[]*span]
	free     []uint32 // numbers to use again, guarded by mu
}

type leaf [1 << 18]uint32 // 0: nothing; else segments[n]

// span is a segment with the range of its addresses.
type span struct {
	lo, size uintptr
	self     Token    // of this process, beside the range: one load less; 0: it only looks
	seg      *Segment // nil if this process only looks
	seen     *Segment
}

const nearSize = 1 << 10

// nearHash spreads pages that lie side by side, and segments that lie at equal
// distances.
func nearHash(a uintptr) uintptr { return (a>>pageShift ^ a>>(pageShift+8)) % nearSize }

const (
	pageShift = 12
	topShift  = 30
	wholeGiB  = 1 << 31
)

var addresses addressTable

// find returns the segment of address a, or nil.
func (t *addressTable) find(a uintptr) *Segment {
	if s := t.near[nearHash(a)].Load(); s != nil && a-s.lo < s.size {
		return s.seg
	}
	if s := t.walk(a); s != nil {
		return s.seg
	}
	return nil
}

// look is find that finds what this process only looks at, too.
func (t *addressTable) look(a uintptr) *Segment {
	if s := t.walk(a); s != nil {
		return s.seen
	}
	return nil
}

// walk returns the span of a, or nil.
func (t *addressTable) walk(a uintptr) *span {
	if uint64(a)>>topShift >= uint64(len(t.top)) {
		return nil
	}
	e := atomic.LoadUint32(&t.top[a>>topShift])
	if e == 0 {
		return nil
	}
	n := e &^ wholeGiB
	if e&wholeGiB == 0 {
		l := (*t.leaves.Load())[e-1]
		n = atomic.LoadUint32(&l[a>>pageShift&(1<<(topShift-pageShift)-1)])
	}
	if n == 0 {
		return nil
	}
	s := (*t.segments.Load())[n]
	if s == nil || a-s.lo >= s.size {
		return nil
	}
	// An entry is written once and then only read: of two segments that share
	// it one is found by the longer way, and their users do not take the line
	// from each other. If the segment is taken away meanwhile, remove has seen
	// the entry or we see that the segment has gone.
	if near := &t.near[nearHash(a)]; near.Load() == nil {
		if walked != nil {
			walked()
		}
		if near.CompareAndSwap(nil, s) && (*t.segments.Load())[n] != s {
			near.CompareAndSwap(s, nil)
		}
	}
	return s
}

// walked is set by a test that takes the segment away in that moment.
var walked func()

// add makes the addresses of c known.
func (t *addressTable) add(c *core) {
	lo, hi := c.span()
	seen := &Segment{core: c}
	seg := seen
	if c.self == nobody {
		seg = nil
	}
	t.insert(&span{lo, hi - lo, c.self, seg, seen}, c)
}

func (t *addressTable) insert(sp *span, c *core) {
	t.mu.Lock()
	defer t.mu.Unlock()
	old := []*span{nil}
	if p := t.segments.Load(); p != nil {
		old = *p
	}
	if k := len(t.free); k > 0 {
		c.index, t.free = t.free[k-1], t.free[:k-1]
		// Readers may hold the old slice: they see the new entry there
		// too, or nil, and nobody asks for an address not yet given out.
		next := append([]*span(nil), old...)
		next[c.index] = sp
		t.segments.Store(&next)
	} else {
		c.index = uint32(len(old))
		next := append(old, sp) // readers of the shorter slice do not look there
		t.segments.Store(&next)
	}
	t.fill(sp.lo, sp.lo+sp.size, c.index)
}

// remove forgets the addresses of c.
func (t *addressTable) remove(c *core) {
	t.mu.Lock()
	defer t.mu.Unlock()
	lo, hi := c.span()
	t.fill(lo, hi, 0)
	next := append([]*span(nil), *t.segments.Load()...)
	gone := next[c.index]
	if t == &addresses {
		first.forget(gone)
	}
	next[c.index] = nil
	t.segments.Store(&next)
	for i := range t.near { // after the store: see walk
		if t.near[i].Load() == gone {
			t.near[i].Store(nil)
		}
	}
	t.free = append(t.free, c.index)
}

// fill writes n into every entry of [lo, hi).
func (t *addressTable) fill(lo, hi uintptr, n uint32) {
	for a := uint64(lo); a < uint64(hi); {
		i := a >> topShift
		end := min((i+1)<<topShift, uint64(hi))
		if a == i<<topShift && end == (i+1)<<topShift {
			e := n
			if n != 0 {
				e |= wholeGiB
			}
			atomic.StoreUint32(&t.top[i], e)
			a = end
			continue
		}
		l := t.leaf(i)
		for ; a < end; a += 1 << pageShift {
			atomic.StoreUint32(&l[a>>pageShift&uint64(len(l)-1)], n)
		}
		a = end
	}
}

// leaf returns the second level for GiB i, made if need be and kept.
func (t *addressTable) leaf(i uint64) *leaf {
	var all []*leaf
	if p := t.leaves.Load(); p != nil {
		all = *p
	}
	if e := t.top[i]; e != 0 && e&wholeGiB == 0 {
		return all[e-1]
	}
	l := new(leaf)
	all = append(all, l)
	t.leaves.Store(&all)
	atomic.StoreUint32(&t.top[i], uint32(len(all)))
	return l
}
