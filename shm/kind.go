package shm

import (
	"fmt"
	"reflect"
	"sync"
)

// The kinds of segment that this package makes.
const (
	KindBytes  uint32 = 1 // NewSegment: bytes
	KindObject uint32 = 2 // New: one T
	KindSlice  uint32 = 3 // NewSlice: n of T
	KindArena  uint32 = 4 // small objects together
)

// Kind teaches this package about something that lives in segments: a lock
// type, to be found inside users' structs, or the contents of a whole segment.
// The package that owns the kind registers it in its init.
//
// The functions get the offset of the first object from the start of the
// payload, the distance from one to the next, and their count; for kinds of
// whole segments these are 0, 0 and 1.
type Kind struct {
	// ID is stored in segments and never changes its meaning: 1 to 63 are
	// this package's, 64 to 127 those of futexlock, from 128 on mpqueue's.
	ID uint32
	// Name is for people: "futexlock.Mutex".
	Name string
	// Type is the struct type, for kinds that are found inside others; nil
	// for kinds of whole segments.
	Type reflect.Type
	// Sweep releases what the participant dead held. It is called when dead
	// is known to have stopped for good, by one process at a time; that
	// process may be killed anywhere in it, then another calls it again from
	// the start. It wakes whom the death concerns.
	Sweep func(s *Segment, off, stride, count uint64, dead Token)
	// Check reports what cannot be, or should not be left behind.
	Check func(s *Segment, off, stride, count uint64) []error
	// Describe says in a line what the object at off is doing.
	Describe func(s *Segment, off uint64) string
	// Counters returns what the object at off has counted so far, such as
	// puts and gets, for shmctl top, which shows how fast they grow. It may
	// be nil.
	Counters func(s *Segment, off uint64) []Counter
}

// Counter is a number that only grows.
type Counter struct {
	Name  string
	Value uint64
}

var kinds = struct {
	sync.RWMutex
	byID   map[uint32]*Kind
	byType map[reflect.Type]*Kind
}{byID: map[uint32]*Kind{}, byType: map[reflect.Type]*Kind{}}

// RegisterKind makes k known. It panics if k.ID or k.Type is taken already. Call
// it from init: a segment whose kinds a process does not know is never swept by
// that process.
func RegisterKind(k Kind) {
	kinds.Lock()
	defer kinds.Unlock()
	if k.ID == 0 || kinds.byID[k.ID] != nil {
		panic(fmt.Sprintf("shm: RegisterKind(%q): id %d is taken", k.Name, k.ID))
	}
	if k.Type != nil && kinds.byType[k.Type] != nil {
		panic(fmt.Sprintf("shm: RegisterKind(%q): type %v is taken", k.Name, k.Type))
	}
	kinds.byID[k.ID] = &k
	if k.Type != nil {
		kinds.byType[k.Type] = &k
		layouts.Clear()
	}
}

func init() {
	for id, name := range map[uint32]string{KindBytes: "shm.Segment", KindObject: "shm.Object", KindSlice: "shm.Slice", KindArena: "shm.Arena"} {
		RegisterKind(Kind{ID: id, Name: name})
	}
}

func kindByID(id uint32) *Kind {
	kinds.RLock()
	defer kinds.RUnlock()
	return kinds.byID[id]
}

// ownKind returns the kind of the whole segment, nil if nobody here knows it. A kind
// that is found inside others is none: its functions count on room for it, and the
// header that says so is damaged.
func (c *core) ownKind() *Kind {
	if k := kindByID(c.hdr.kind); k != nil && k.Type == nil {
		return k
	}
	return nil
}

func kindByType(t reflect.Type) *Kind {
	kinds.RLock()
	defer kinds.RUnlock()
	return kinds.byType[t]
}

func kindName(id uint32) string {
	if k := kindByID(id); k != nil {
		return k.Name
	}
	return fmt.Sprintf("kind %d", id)
}
