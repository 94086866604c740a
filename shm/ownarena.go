package shm

import (
	"sync"
	"time"

	"shmkit/shm/fault"
)

var _ = fault.Declare("shm.arena.taking", "shm.arena.described", "shm.arena.opening", "shm.arena.closing", "shm.arena.unheld",
	"shm.arena.marked", "shm.arena.describing")

// ownArena is what the owner of an arena knows of it, guarded by arena.mu.
type ownArena struct {
	class int
	fresh uint32   // blocks from here on were never used
	free  []uint32 // used once, held by nobody when we looked
	uses  uint64   // blocks ever taken: tells an idle arena
	armed bool     // a timer looks whether it is idle
}

// own holds this process's arenas, by size of block.
var own struct {
	sync.Mutex
	classes [classCount][]*arena
}

const (
	classCount = 4 // blocks of 64, 256, 1,024 and 4,096 bytes
	// The first arena of a class is small, each next one twice as large.
	firstBlocks = 64
	fullBlocks  = 1024
	// An arena in which this process holds nothing is left after that time.
	arenaIdle = time.Second
)

func classOf(size int) int {
	c := 0
	for s := smallestBlock; s < size; s *= 4 {
		c++
	}
	return c
}

// wantsArena reports whether an anonymous object of this layout goes into an
// arena: a small one, with few locks, about which no option says otherwise.
func (o *options) wantsArena(l Layout, n, size int) bool {
	return size <= largestBlock && n <= mostBlocks && len(l.locks)*max(1, lockGroups(l, n)) <= descLocks &&
		!o.own && !o.huge && !o.prefault && o.slots == defaultSlots && o.init == nil && o.sparse < 0 && o.kind == KindBytes && !o.typed
}

// lockGroups returns how many entries each lock of l needs in n values.
func lockGroups(l Layout, n int) int {
	groups := 1
	for _, k := range l.locks {
		if n > 1 && k.count > 1 {
			groups = max(groups, int(k.count))
		}
	}
	return groups
}

// newSmall puts n values of layout l, size bytes together, into an arena of this
// process.
func newSmall(kind uint32, l Layout, n, size int) (*Segment, error) {
	class := classOf(size)
	own.Lock()
	defer own.Unlock()
	all := own.classes[class]
	// The newest has most room; then those where others may have let go.
	for i := len(all) - 1; i >= 0; i-- {
		if s := all[i].take(kind, l, n, i == len(all)-1); s != nil {
			return s, nil
		}
	}
	for _, a := range all {
		if s := a.scan().take(kind, l, n, true); s != nil {
			return s, nil
		}
	}
	a, err := newOwnArena(class, min(firstBlocks<<len(all), fullBlocks))
	if err != nil {
		return nil, err
	}
	own.classes[class] = append(all, a)
	return a.take(kind, l, n, true), nil
}

func newOwnArena(class, blocks int) (*arena, error) {
	size := smallestBlock << (2 * class)
	_, _, total := shapeOf(uint32(size), uint32(blocks), defaultSlots)
	o := makeOptions(nil)
	o.kind, o.layout, o.elems = KindArena, Layout{Type: "arena", Size: size}, uint64(blocks)
	c, err := createAnonymous(int(total), o)
	if err != nil {
		return nil, err
	}
	c.arena.owner = &ownArena{class: class}
	return c.arena, nil
}

// take takes a free block and describes it; nil if there is none. fresh says
// whether blocks that were never used may be taken, too.
func (a *arena) take(kind uint32, l Layout, n int, fresh bool) *Segment {
	a.mu.Lock()
	defer a.mu.Unlock()
	for {
		var b uint32
		o := a.owner
		switch k := len(o.free); {
		case k > 0:
			b, o.free = o.free[k-1], o.free[:k-1]
		case fresh && o.fresh < a.blocks:
			b = o.fresh
			o.fresh++
		default:
			return nil
		}
		d := &a.descs[b]
		gen := d.gen.Load()
		// A block that others left last has no mark yet. Who opened it before it
		// had one keeps it: a later scan finds it.
		if gen != 0 && gen&genMarks == 0 {
			if !a.abandon(b) {
				continue
			}
			gen |= abandoned
		}
		if fault.Enabled {
			fault.Point("shm.arena.marked")
		}
		// Ends all old handles. Fails if somebody has opened one and taken the mark
		// away. Before the look at the bits: pairs with lives.
		next := gen&^genMarks + genStep
		if !d.gen.CompareAndSwap(gen, next|taking) {
			continue
		}
		if fault.Enabled {
			fault.Point("shm.arena.taking")
		}
		if a.heldByAny(b) {
			// By one that comes too late and will go, or was killed: its sweep must
			// not look at locks while we describe them.
			continue
		}
		if fault.Enabled {
			fault.Point("shm.arena.describing")
		}
		if next > genStep {
			clear(a.bytes(b))
		}
		a.describe(d, kind, l, n)
		if fault.Enabled {
			fault.Point("shm.arena.described")
		}
		w, m := a.bit(a.core.me, b)
		w.Or(m) // publishes the description
		d.gen.Store(next)
		h := &a.held[b]
		h.sent = false
		h.pass.reopen()
		h.handles.Store(1)
		a.count++
		o.uses++
		registry.mu.Lock()
		a.core.refs++
		registry.mu.Unlock()
		return &Segment{core: a.core, block: b + 1, gen: next}
	}
}

func (a *arena) describe(d *desc, kind uint32, l Layout, n int) {
	d.kind, d.layout, d.elemSize, d.elems = kind, l.Hash, uint64(l.Size), uint64(n)
	k := 0
	put := func(e lockAt) {
		d.locks[k] = descLock{kind: e.kind, off: uint32(e.off), stride: uint32(e.stride), count: uint32(e.count)}
		k++
	}
	for _, e := range l.locks {
		spreadLocks(e, uint64(l.Size), n, put)
	}
	d.nlocks = uint32(k)
	d.opens.Store(0)
	clear(d.typeName[copy(d.typeName[:len(d.typeName)-1], l.Type):])
}

// scan looks which blocks everybody has let go of.
func (a *arena) scan() *arena {
	a.mu.Lock()
	defer a.mu.Unlock()
	o := a.owner
	o.free = o.free[:0]
	used := a.union()
	for b := range o.fresh {
		if used[b/64]&(1<<(b%64)) == 0 {
			o.free = append(o.free, b)
		}
	}
	return a
}

// abandon marks block b, in which there was no bit, as abandoned; false if somebody
// has opened it before it was marked: then it has no mark afterwards, which would
// say that nobody had been seen behind it.
func (a *arena) abandon(b uint32) bool {
	if fault.Enabled {
		fault.Point("shm.arena.unheld")
	}
	g := &a.descs[b].gen
	g.Or(abandoned) // before the look: pairs with lives
	if a.heldByAny(b) {
		g.And(^uint32(abandoned))
		return false
	}
	return true
}

// closed notes that this process has let go of block b. The caller holds mu.
func (o *ownArena) closed(a *arena, b uint32) {
	// If nobody has it any more handles that were kept lead nowhere from now on.
	if !a.heldByAny(b) && a.abandon(b) {
		o.free = append(o.free, b)
	}
	if a.count == 0 && !o.armed {
		o.armed = true
		o.watch(a, o.uses)
	}
}

// watch leaves the arena when it has not been used for a while.
func (o *ownArena) watch(a *arena, uses uint64) {
	time.AfterFunc(arenaIdle, func() {
		own.Lock()
		a.mu.Lock()
		if a.count > 0 || o.uses != uses {
			if o.armed = a.count == 0; o.armed {
				o.watch(a, o.uses)
			}
			a.mu.Unlock()
			own.Unlock()
			return
		}
		all := own.classes[o.class]
		for i, e := range all {
			if e == a {
				own.classes[o.class] = append(all[:i:i], all[i+1:]...)
			}
		}
		a.mu.Unlock()
		own.Unlock()
		a.core.release() // nobody takes from it any more
	})
}
