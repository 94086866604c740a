package shm

import "sync/atomic"

// The range and the token of the segment in which this process first used a lock,
// in plain words: SelfAt compares with them before it asks the address table. Most
// programs have one segment with busy locks. The three loads do not wait for each
// other, as they would behind a pointer, and SelfAt becomes small enough for the
// compiler to put it into Lock and Unlock, which it makes a third faster.
//
// They are written once at most, firstSize last, and wiped once, firstSize only. So
// a reader that sees a size sees the range and the token that belong to it.
var (
	firstLo   uintptr
	firstSize uintptr // 0: none yet, or none any more
	firstSelf uint32
)

// first guards the writing of them.
var first firstUse

type firstUse struct {
	used atomic.Bool // they have been written, or never will be
	span *span       // whose they are, guarded by addresses.mu
}

// find returns the token at a. If it is the first that this process asks for, the
// segment of a becomes the first one.
func (f *firstUse) find(t *addressTable, a uintptr) Token {
	seg := t.find(a)
	if seg == nil {
		return 0
	}
	if !f.used.Load() {
		f.note(t, a)
	}
	return seg.Self()
}

func (f *firstUse) note(t *addressTable, a uintptr) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if f.used.Load() {
		return
	}
	// Not in near: another segment's pages may have the hash of a.
	var s *span
	for _, e := range *t.segments.Load() {
		if e != nil && a-e.lo < e.size {
			s = e
		}
	}
	if s == nil {
		return // closed meanwhile: the next one will be the first
	}
	f.used.Store(true)
	f.span = s
	atomic.StoreUintptr(&firstLo, s.lo)
	atomic.StoreUint32(&firstSelf, uint32(s.self))
	atomic.StoreUintptr(&firstSize, s.size) // publishes the two; pairs with the load in SelfAt
}

// forget wipes s if it was the first one. The caller holds addresses.mu.
func (f *firstUse) forget(s *span) {
	if f.span == s && s != nil {
		f.span = nil
		atomic.StoreUintptr(&firstSize, 0)
	}
}
