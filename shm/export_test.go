package shm

import (
	"sync/atomic"
	"time"
)

// Asleep returns how many goroutines of this process are inside Sleep.
func Asleep() int { return int(asleep.Load()) }

// TrustKernel makes dispatchers take for changed only what the kernel says was
// woken: a planted bug.
func TrustKernel() (restore func()) {
	trustKernel.Store(true)
	return func() { trustKernel.Store(false) }
}

// InLine returns how many goroutines of this process wait to lead on word.
func InLine(word *atomic.Uint32) (n int) {
	sh := &gates[shard(word)]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if g := sh.m[word]; g != nil {
		for _, turn := range g.line {
			if turn != nil {
				n++
			}
		}
	}
	return n
}

// BlankLate makes Close of this process let others in before it has stopped
// writing: a planted bug.
func BlankLate(d time.Duration) { blankLate = d }

// DropPins lets go of everything that was sent and never opened.
func DropPins() {
	pins.Lock()
	all := pins.all
	pins.all = nil
	pins.Unlock()
	for _, p := range all {
		p.drop()
	}
}

// Pins returns how many objects are kept for their receivers.
func Pins() int {
	pins.Lock()
	defer pins.Unlock()
	return len(pins.all) + pins.going
}

// SettlePins looks at the pins now.
func SettlePins() { lookAtPins() }

// ForgetHooks makes sweeps of this process free slots without releasing
// anything: a planted bug.
func ForgetHooks() (restore func()) {
	forgetHooks = true
	return func() { forgetHooks = false }
}

// Block returns the number of the block that s is a handle of, from 1.
func Block(s *Segment) uint32 { return s.block }

// Holders returns how many participants hold the block that s is a handle of.
func Holders(s *Segment) (n int) {
	for i := 1; i <= s.core.highSlot(); i++ {
		if w, m := s.core.arena.bit(i, s.block-1); w.Load()&m != 0 {
			n++
		}
	}
	return n
}

// BlocksOf returns how many blocks of the arena of s the participant in a slot has
// bits for, and LocksOf how many groups of locks its sweep would look at.
func BlocksOf(s *Segment, slot int) (n int) {
	s.core.arena.each(slot, func(uint32) { n++ })
	return n
}

// LocksOf is told at BlocksOf.
func LocksOf(s *Segment, slot int) int { return len(s.core.sweptLocks(slot)) }

// VisitorDied makes the segment of s look as if a visitor had died in it.
func VisitorDied(s *Segment) {
	v := s.core.visitor
	v.freed.Store(1)
	v.status.Store(statusOf(1, slotDead))
}

// LoadInt64 reads a word that another process writes without atomics.
func LoadInt64(p *int64) int64 { return atomic.LoadInt64(p) }

// StoreInt64 writes a word that another process reads without atomics.
func StoreInt64(p *int64, v int64) { atomic.StoreInt64(p, v) }

// LoadUint64 reads a word that another process writes without atomics.
func LoadUint64(p *uint64) uint64 { return atomic.LoadUint64(p) }

// StoreUint64 writes a word that another process reads without atomics.
func StoreUint64(p *uint64, v uint64) { atomic.StoreUint64(p, v) }

// WordAt returns the word at offset off of the payload.
func WordAt(s *Segment, off int) *atomic.Uint32 {
	p, err := At[atomic.Uint32](s, off)
	if err != nil {
		panic(err)
	}
	return p
}

// OffsetOf returns where b lies in the payload of s.
func OffsetOf(s *Segment, b []byte) int {
	off, _ := Offset(s, &b[0])
	return off
}

// AddUint64 adds to a word that other processes write.
func AddUint64(p *uint64, n uint64) { atomic.AddUint64(p, n) }

// ClaimPatience sets how long a newcomer waits for a slot that is about to come free.
func ClaimPatience(d time.Duration) (restore func()) {
	old := claimPatience
	claimPatience = d
	return func() { claimPatience = old }
}

// Prefaulted has f called when an attach of this process has touched its pages.
func Prefaulted(f func()) (restore func()) {
	prefaulted = f
	return func() { prefaulted = nil }
}

// Walked has f called when a look into the address table has found something and
// has not yet noted it.
func Walked(f func()) (restore func()) {
	walked = f
	return func() { walked = nil }
}

// RaiseGen does to the block of s what its owner does that has seen no bit.
func RaiseGen(s *Segment) { s.core.arena.descs[s.block-1].gen.Or(abandoned) }

// FindAt is Find for an address that may lead nowhere.
func FindAt(a uintptr) *Segment { return addresses.find(a) }

// ForgetFirst makes the next segment in which a token is asked for the first one,
// as in a new process.
func ForgetFirst() {
	addresses.mu.Lock()
	defer addresses.mu.Unlock()
	first.forget(first.span)
	first.used.Store(false)
}

// FirstIs reports whether s is the first segment, see SelfAt.
func FirstIs(s *Segment) bool {
	addresses.mu.Lock()
	defer addresses.mu.Unlock()
	return first.span != nil && first.span.seg.core == s.core
}

// SameHash reports whether two words have one place in the table of what was found
// lately.
func SameHash(v, w *atomic.Uint32) bool { return nearHash(addressOf(v)) == nearHash(addressOf(w)) }

// NearIsFree reports whether that place is free for w.
func NearIsFree(w *atomic.Uint32) bool { return addresses.near[nearHash(addressOf(w))].Load() == nil }

// NamespaceOf returns the pid namespace in which the pid of t means something; 0 if
// it is not known.
func NamespaceOf(s *Segment, t Token) uint64 { return s.core.slotOf(t).pidns.Load() }
