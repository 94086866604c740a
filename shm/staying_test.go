package shm

import (
	"errors"
	"sync/atomic"
	"testing"
)

// A stay belongs to one object: it does not begin again in what lies there after a
// Close, and says that it is closed.
func TestStay(t *testing.T) {
	for name, opts := range map[string][]Option{"arena": nil, "segment": {WithOwnSegment()}} {
		t.Run(name, func(t *testing.T) {
			o, err := New[atomic.Uint32](opts...)
			if err != nil {
				t.Fatal(err)
			}
			word, seg := o.Value(), Find(o.Value())
			var stay, never Stay
			if never.Closed() {
				t.Error("the zero Stay is closed")
			}
			never.Leave()
			for range 3 {
				if err := errors.Join(stay.Enter(seg, word), stay.Enter(seg, word)); err != nil || stay.Closed() {
					t.Errorf("an open object: %v, closed %v", err, stay.Closed())
				}
				stay.Leave()
				stay.Leave()
			}
			o.Close() // hangs if a stay was counted twice, or not ended
			n, err := New[atomic.Uint32](opts...)
			if err != nil {
				t.Fatal(err)
			}
			defer n.Close()
			if name == "arena" && n.Value() != word {
				t.Error("the block is not used again")
			}
			if err := stay.Enter(seg, word); err != ErrClosed || !stay.Closed() {
				t.Errorf("after Close: %v, closed %v", err, stay.Closed())
			}
			stay.Leave()
			if err := never.Enter(Find(n.Value()), n.Value()); err != nil {
				t.Errorf("what lies there now: %v", err)
			}
			never.Leave()
		})
	}
}

// A block that this process never had open is entered by nobody.
func TestStayElsewhere(t *testing.T) {
	o, err := New[[20]uint64]()
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	a := o.Segment().core.arena
	var beside uint32
	for a.held[beside].handles.Load() > 0 {
		beside++
	}
	var stay Stay
	if err := stay.Enter(o.Segment(), valueIn[atomic.Uint32](a, beside)); err != ErrClosed {
		t.Errorf("Enter of a block that nobody has: %v", err)
	}
}

// A header that is whole and describes an impossible arena is refused.
func TestArenaHeaders(t *testing.T) {
	sealed := func(change func(h *header)) error {
		o := makeOptions(nil)
		o.kind, o.layout, o.elems = KindArena, Layout{Type: "arena", Size: 256}, 64
		_, _, total := shapeOf(256, 64, defaultSlots)
		h := newHeader(int(total), o)
		change(&h)
		h.checksum = h.sum()
		return h.check(h.size)
	}
	if err := sealed(func(*header) {}); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(h *header){
		"no size":     func(h *header) { h.elemSize = 0 },
		"small":       func(h *header) { h.elemSize, h.elems = smallestBlock/2, 1 },
		"large":       func(h *header) { h.elemSize, h.elems = 2*largestBlock, 1 },
		"crooked":     func(h *header) { h.elemSize = 255 },
		"no blocks":   func(h *header) { h.elems = 0 },
		"many blocks": func(h *header) { h.elemSize, h.elems, h.dataSize, h.size = 64, mostBlocks+1, 1<<30, 1<<31 },
		"too long":    func(h *header) { h.elems = h.dataSize/h.elemSize - 1 },
	} {
		var ce *CorruptError
		if err := sealed(change); !errors.As(err, &ce) {
			t.Errorf("%s: %v, want a *CorruptError", name, err)
		}
	}
}

// Numbers in a block's descriptor that multiply to a small one make no long slice.
func TestSliceOfDamagedBlock(t *testing.T) {
	s, err := NewSlice[uint64](8)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	d := &s.Segment().core.arena.descs[s.Segment().block-1]
	elems, size := d.elems, d.elemSize
	defer func() { d.elems, d.elemSize = elems, size }()
	for _, bad := range [][2]uint64{{mostBlocks, 1 << 48}, {9, 0}, {mostBlocks + 1, 8}, {1 << 61, 8}} {
		d.elems, d.elemSize = bad[0], bad[1]
		again, err := s.Segment().again()
		if err != nil {
			t.Fatal(err)
		}
		var ce *CorruptError
		if got, err := sliceOfBlock[uint64](again); !errors.As(err, &ce) {
			t.Errorf("%d elements of %d bytes: %v", bad[0], bad[1], err)
			if err == nil {
				t.Logf("%d elements", len(got.Data()))
				got.Close()
			}
		}
	}
}

// Who marshals an object that another goroutine has just closed is told so: nobody
// would keep it for the receiver. What lies in its block then has not been sent.
func TestMarshalBesideClose(t *testing.T) {
	o, err := New[[3]uint64]()
	if err != nil {
		t.Fatal(err)
	}
	where := o.Value()
	o.Close()
	if err := exported(o.seg); err != ErrClosed {
		t.Errorf("a closed object: %v", err)
	}
	n, err := New[[3]uint64]()
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	if n.Value() != where {
		t.Error("the block is not used again")
	}
	if err := exported(o.seg); err != ErrClosed {
		t.Errorf("a closed object under another one: %v", err)
	}
	if again, err := o.seg.again(); err != ErrClosed {
		t.Errorf("one more handle: %v", err)
		again.Close()
	}
	if n.seg.core.arena.held[n.seg.block-1].sent {
		t.Error("the other one counts as sent")
	}
}
