package shm

import (
	"fmt"
	"io/fs"
	"os"
	"sync/atomic"

	"shmkit/shm/internal/sys"
)

// Segment is memory that several processes see: a payload of bytes, and before
// it a header that says what it is and a table of who is attached.
//
// A Segment is a handle. A process that opens the same segment twice has two
// handles on one mapping, and is one participant. Any number of goroutines may
// use a handle. Handles travel to other processes: as arguments of package
// procs, inside messages, or encoded in any other way (MarshalBinary,
// MarshalText).
//
// The zero Segment is good for UnmarshalBinary and UnmarshalText only.
type Segment struct {
	core   *core
	block  uint32 // of an arena, from 1; 0: the whole segment
	gen    uint32 // of the block
	closed atomic.Bool
}

// NewSegment makes an anonymous segment with size bytes of payload, all zero. It
// is a memfd whose size is sealed; it is freed with its last user, however that
// ends. Errors: ErrNoSpace; fs.ErrInvalid for a negative size;
// errors.ErrUnsupported where there is no Linux.
func NewSegment(size int, opts ...Option) (*Segment, error) {
	if err := checkSize(size); err != nil {
		return nil, wrap("new segment", "", err)
	}
	c, err := createAnonymous(size, makeOptions(opts))
	return segmentOf(c, wrap("new segment", "", err))
}

// CreateSegment makes a segment under a name. A name that somebody is attached
// to is fs.ErrExist; one that nobody is attached to is replaced, unless it was
// made WithKeep.
func CreateSegment(name string, size int, opts ...Option) (*Segment, error) {
	if err := checkSize(size); err != nil {
		return nil, wrap("create", name, err)
	}
	c, err := createNamed(name, size, makeOptions(opts))
	return segmentOf(c, wrap("create", name, err))
}

// OpenSegment attaches to the segment that name leads to. Errors: fs.ErrNotExist;
// ErrCorrupt if the file is no segment; *LayoutError if it is one of another
// kind or layout than the options ask for; ErrForeign; ErrTooManyParticipants.
func OpenSegment(name string, opts ...Option) (*Segment, error) {
	o := makeOptions(opts)
	c, err := openNamed(name, o.expectation(), o)
	return segmentOf(c, wrap("open", name, err))
}

// OpenOrCreateSegment opens name, or makes it where there is none, and reports
// whether it made it.
func OpenOrCreateSegment(name string, size int, opts ...Option) (*Segment, bool, error) {
	if err := checkSize(size); err != nil {
		return nil, false, wrap("open or create", name, err)
	}
	o := makeOptions(opts)
	c, made, err := openOrCreate(name, size, o.expectation(), o)
	s, err := segmentOf(c, wrap("open or create", name, err))
	return s, made, err
}

// FromFile attaches to the segment in f, such as a descriptor that another
// process sent. It does not take ownership of f.
func FromFile(f *os.File, opts ...Option) (*Segment, error) {
	o := makeOptions(opts)
	dup, err := sys.Reopen(f)
	if err != nil {
		return nil, wrap("from file", f.Name(), err)
	}
	c, err := attachKeeping(dup, "", o.expectation(), o)
	return segmentOf(c, wrap("from file", f.Name(), err))
}

func (o *options) expectation() expectation {
	return expectation{kind: o.kind, layout: o.layout.Hash, elemSize: uint64(o.layout.Size), elems: o.elems, typed: o.typed}
}

// check compares a header with what was asked for.
func (e expectation) check(h *header) error {
	fail := func(field string, got, want uint64) error {
		return &LayoutError{Field: field, Got: got, Want: want, Type: h.typeString()}
	}
	switch {
	case e.kind != 0 && e.kind != KindBytes && uint32(e.kind) != h.kind:
		return fail("kind", uint64(h.kind), uint64(e.kind))
	case e.typed && e.elemSize != h.elemSize:
		return fail("element size", h.elemSize, e.elemSize)
	case e.typed && e.layout != h.layout:
		return fail("layout", h.layout, e.layout)
	case e.elems != 0 && e.elems != h.elems:
		return fail("number of elements", h.elems, e.elems)
	}
	return nil
}

func segmentOf(c *core, err error) (*Segment, error) {
	if err != nil {
		return nil, err
	}
	return &Segment{core: c}, nil
}

func checkSize(size int) error {
	if size < 0 {
		return fmt.Errorf("negative size %d: %w", size, fs.ErrInvalid)
	}
	return nil
}

// Data returns the payload, valid while s is reachable. After Close it reads zeros
// and reaches nobody; but not that of an arena, which other objects still use.
func (s *Segment) Data() []byte { return s.core.data }

// Name returns the name of s, or "" if it is anonymous.
func (s *Segment) Name() string {
	if s.core.name == "" {
		return ""
	}
	return nameOf(s.core.name)
}

// ID returns the identity of s: the same in every process, and no other
// segment's.
func (s *Segment) ID() ID { return s.core.hdr.id }

// Kind returns what s holds, see RegisterKind.
func (s *Segment) Kind() uint32 { return s.core.hdr.kind }

// Elems returns how many elements s was made for, and TypeName their type.
func (s *Segment) Elems() int { return int(s.core.hdr.elems) }

// TypeName returns the type that s was made for, for people.
func (s *Segment) TypeName() string { return s.core.hdr.typeString() }

// Reserve makes sure that n bytes of the payload from off on have memory behind
// them, in a segment made WithSparse; else ErrNoSpace. Both are rounded outwards
// to pages. It may be repeated.
func (s *Segment) Reserve(off, n int) error {
	lo, hi := s.pages(off, n)
	// Close waits for us: the number of a closed descriptor may be another
	// file's.
	if !s.core.enter() {
		return wrap("reserve", s.Name(), ErrClosed)
	}
	defer s.core.leave()
	dir := ""
	if s.core.name != "" {
		dir = folder()
	}
	if err := roomFor(hi-lo, dir); err != nil {
		return wrap("reserve", s.Name(), err)
	}
	return wrap("reserve", s.Name(), noSpace(sys.Reserve(s.core.file, lo, hi-lo), hi-lo, dir))
}

// Punch gives the memory behind n bytes of the payload from off on back to the
// system; they read as zeros. Both must be multiples of the page size (4,096).
func (s *Segment) Punch(off, n int) error {
	if off%pageSize != 0 || n%pageSize != 0 {
		panic("shm: Punch of parts of pages")
	}
	lo, hi := s.pages(off, n)
	if !s.core.enter() {
		return wrap("punch", s.Name(), ErrClosed)
	}
	defer s.core.leave()
	return wrap("punch", s.Name(), sys.Punch(s.core.file, lo, hi-lo))
}

func (s *Segment) pages(off, n int) (lo, hi int64) {
	h := &s.core.hdr
	if off < 0 || n < 0 || uint64(off) > h.dataSize || uint64(n) > h.dataSize-uint64(off) {
		panic(fmt.Sprintf("shm: range of %d bytes at %d in a payload of %d", n, off, h.dataSize))
	}
	lo = (int64(h.dataOff) + int64(off)) &^ (pageSize - 1)
	hi = (int64(h.dataOff) + int64(off) + int64(n) + pageSize - 1) &^ (pageSize - 1)
	return lo, hi
}

// Self returns the token of this process in s.
func (s *Segment) Self() Token { return s.core.self }

// Dead reports whether t is the token of a participant that is gone and can
// write no more: every one of its threads has ended, those inside system calls
// too. It looks at memory only (some ns); false may be out of date. Confirm asks
// the kernel.
func (s *Segment) Dead(t Token) bool { return s.core.dead(t) }

// Confirm is Dead with the kernel's answer (about 0.6 µs). Whoever has waited a
// while for t asks it: a file lock that the kernel holds for each participant
// says whether it lives. A stopped, traced or slow process lives.
func (s *Segment) Confirm(t Token) bool {
	if !s.core.enter() {
		return s.core.dead(t)
	}
	defer s.core.leave()
	return s.core.confirm(t)
}

// Dying reports whether t has begun to die and may not have finished: its bell
// has rung, and some thread of it may still be inside a system call that writes
// to shared memory. Then Confirm is worth asking every 50 to 500 µs.
func (s *Segment) Dying(t Token) bool { return s.core.dying(t) }

// Participant describes the participant that t names; false if the slot has
// been given to another since.
func (s *Segment) Participant(t Token) (Participant, bool) {
	if s.core.slotOf(t) == nil {
		return Participant{}, false
	}
	p := s.core.participant(t.Slot())
	return p, p.Token == t
}

// Participants describes every slot that is not free.
func (s *Segment) Participants() []Participant {
	var all []Participant
	for i := 1; i <= s.Slots(); i++ {
		if p := s.core.participant(i); p.State != "free" {
			all = append(all, p)
		}
	}
	return all
}

// Slots returns the highest slot number that was ever taken: who scans per-slot
// tables stops there.
func (s *Segment) Slots() int {
	return s.core.highSlot()
}

func (c *core) highSlot() int {
	return int(min(c.wall.highSlot.Load(), uint32(len(c.table))))
}

// Cells is the number of words that each participant slot keeps for the kind of
// the segment.
const Cells = len(slot{}.user)

// Cell returns word i of participant slot n (1 to Slots), for the package that
// owns the segment's kind: zero when a participant attaches, and again when its
// sweep is done. Those of slot 0, from which newcomers sweep, are nobody's. It
// panics if there is no such slot or word.
func (s *Segment) Cell(n, i int) *atomic.Uint32 { return &s.core.slot(n).user[i] }

// MaxParticipants returns how many processes can be attached at one time.
func (s *Segment) MaxParticipants() int { return len(s.core.table) }

// Sweep proves dead participants dead and releases what they held; see
// SweepDead. It returns how many participants it freed.
func (s *Segment) Sweep() int {
	if !s.core.enter() {
		return 0
	}
	defer s.core.leave()
	return s.core.sweepDead(0)
}

// Close lets go of s. When the last handle of this process is closed, calls that
// wait in the segment return ErrClosed, what the process still holds there is
// released as if it had died, and the range reads as private zeros from then on. A
// process that has no mapping left to do that (max_map_count) can only read the
// range from then on, and others find out as after a death. Close may be called
// again; it then does nothing.
func (s *Segment) Close() error {
	if s.core == nil || s.closed.Swap(true) {
		return nil
	}
	if s.core.self == nobody {
		return wrap("close", s.Name(), s.core.leavePeek())
	}
	if s.block != 0 && s.core.arena.close(s.block-1) {
		return nil
	}
	return wrap("close", s.Name(), s.core.release())
}

// Closed reports whether s has been closed by this process.
func (s *Segment) Closed() bool { return s.closed.Load() || s.core.slow.isShut() }

// Detached reports whether this process has closed its last handle of the segment
// of s. Then its part in it is over: what it held has been released, and memory
// reads as zeros. Until then what one handle has taken can be given back by way of
// another, or by way of one that is closed.
func (s *Segment) Detached() bool { return s.core.slow.isShut() }

// fits checks that n values of layout l lie within the payload at off.
func (c *core) fits(l Layout, off, n int) error {
	size := uint64(len(c.data))
	switch {
	case off < 0 || n < 0:
		return fmt.Errorf("shm: %d values of %s at offset %d: %w", n, l.Type, off, fs.ErrInvalid)
	case l.Align > 0 && off%l.Align != 0:
		return fmt.Errorf("shm: %s at offset %d, which is no multiple of its alignment %d: %w", l.Type, off, l.Align, fs.ErrInvalid)
	case uint64(off) > size || l.Size > 0 && uint64(n) > (size-uint64(off))/uint64(l.Size):
		return fmt.Errorf("shm: %d values of %s (%d bytes each) at offset %d of a payload of %d: %w", n, l.Type, l.Size, off, size, fs.ErrInvalid)
	}
	return nil
}

// Current returns the token of whoever has participant slot n now, dead or
// alive; 0 if n is no slot.
func (s *Segment) Current(n int) Token {
	if n < 0 || n > len(s.core.table) {
		return nobody
	}
	return makeToken(n, statusInc(s.core.slot(n).status.Load()))
}
