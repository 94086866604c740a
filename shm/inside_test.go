package shm

import (
	"math/bits"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"unsafe"
)

// A passage that is shut lets nobody in, and waits for all who are inside.
func TestPassage(t *testing.T) {
	for range 2000 {
		var p passage
		var inside atomic.Int64
		var over atomic.Bool
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for {
					if !p.enter() {
						return
					}
					inside.Add(1)
					if over.Load() {
						t.Error("inside after wait")
					}
					runtime.Gosched()
					inside.Add(-1)
					p.leave()
				}
			})
		}
		runtime.Gosched()
		p.shut()
		p.wait()
		if n := inside.Load(); n != 0 {
			t.Fatalf("%d inside", n)
		}
		over.Store(true)
		wg.Wait()
	}
}

// The address table finds what it was given, nothing beside it, and nothing
// that was taken away: spans within a page table's leaf, across leaves, and of
// whole GiBs.
func TestAddresses(t *testing.T) {
	var table addressTable
	gib := uintptr(1 << 30)
	if bits.UintSize < 64 {
		t.Skip("these addresses do not exist here")
	}
	far := uintptr(1) << (bits.UintSize - 18)
	type entry struct{ lo, hi uintptr }
	entries := []entry{
		{5 * gib, 5*gib + 4096}, {5*gib + 4096, 5*gib + 3*4096}, {6*gib - 4096, 6*gib + 4096},
		{8*gib - 8192, 11*gib + 8192}, {12 * gib, 13 * gib}, {far, far + 4096},
	}
	segs := make([]*Segment, len(entries))
	for i, e := range entries {
		segs[i] = &Segment{}
		table.insert(&span{e.lo, e.hi - e.lo, 0, segs[i], segs[i]}, &core{})
	}
	for i, e := range entries {
		for _, a := range []uintptr{e.lo, e.lo + (e.hi-e.lo)/2, e.hi - 1} {
			if got := table.find(a); got != segs[i] {
				t.Errorf("%#x is in %p, want %p (%d)", a, got, segs[i], i)
			}
		}
	}
	for _, a := range []uintptr{0, 4096, 5*gib - 1, 5*gib + 3*4096, 11*gib + 8192, 13 * gib, far + 4096, ^uintptr(0)} {
		if got := table.find(a); got != nil {
			t.Errorf("%#x is in %p, want none", a, got)
		}
	}
}

// What is taken away while others look for it is not found afterwards, neither in
// the table nor in what was found lately.
func TestAddressesTakenAway(t *testing.T) {
	var table addressTable
	rounds := 2000
	if testing.Short() {
		rounds = 200
	}
	mem := make([]byte, 3<<pageShift)
	a := uintptr(unsafe.Pointer(&mem[1<<pageShift]))
	var over atomic.Bool
	var lookers sync.WaitGroup
	found := make([]int, 2)
	for i := range found {
		lookers.Go(func() {
			for !over.Load() {
				if table.find(a) != nil {
					found[i]++
				}
			}
		})
	}
	for range rounds {
		c := &core{mem: mem, self: 1}
		table.add(c)
		if s := table.find(a); s == nil || s.core != c {
			t.Fatalf("%#x is in %v, want the segment that was added last", a, s)
		}
		table.remove(c)
	}
	over.Store(true)
	lookers.Wait()
	t.Logf("found %v times meanwhile", found)
	if s := table.find(a); s != nil {
		t.Errorf("%#x is still in %v", a, s)
	}
	for i := range table.near {
		if table.near[i].Load() != nil {
			t.Errorf("entry %d remembers a segment that has gone", i)
		}
	}
	runtime.KeepAlive(mem)
}

func TestToken(t *testing.T) {
	for _, c := range []struct {
		slot int
		inc  uint32
	}{{1, 1}, {maxSlots, lastInc}, {7, 5}} {
		tok := makeToken(c.slot, c.inc)
		if tok.Slot() != c.slot || tok.Incarnation() != c.inc || tok == nobody || tok&^TokenMask != 0 || tok == TokenMask {
			t.Errorf("slot %d, incarnation %d: %v", c.slot, c.inc, tok)
		}
	}
	if nextInc(lastInc) != 1 || nextInc(0) != 1 || nextInc(5) != 6 || makeToken(3, 9).String() != "3.9" || nobody.String() != "nobody" {
		t.Error("the next incarnation")
	}
}
