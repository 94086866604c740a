package mpqueue

import (
	"bytes"
	"reflect"
	"testing"
	"unsafe"
)

// Two producers are alike, and so are two consumers of one kind: a state in which
// they have changed places, with their messages, behaves as it did before. Of such
// states the explorer visits one, the one whose actors are in order. In a trace two
// processes can therefore change their names.

func (m *model) inOrder(w *world) {
	for i := range w.actors {
		if a := &w.actors[i]; (a.pc == putCells || a.pc == endCells) && a.i > 0 {
			return // it is half through the consumers, in their order
		}
	}
	for i := range m.count() - 1 {
		if m.producer(i) != m.producer(i+1) || m.receiver(i) != m.receiver(i+1) {
			continue
		}
		if bytes.Compare(w.actors[i].bytes(), w.actors[i+1].bytes()) > 0 {
			m.exchange(w, i)
		}
	}
}

func (a *actor) bytes() []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(a)), unsafe.Sizeof(*a))
}

// exchange lets actors i and i+1 change places.
func (m *model) exchange(w *world, i int) {
	w.actors[i], w.actors[i+1] = w.actors[i+1], w.actors[i]
	rename := func(word *uint64) {
		switch actorOf(*word) {
		case i:
			*word = makeWord(lapOf(*word), m.self(i+1), stateOf(*word))
		case i + 1:
			*word = makeWord(lapOf(*word), m.self(i), stateOf(*word))
		}
	}
	for k := range w.slots {
		rename(&w.slots[k].word)
	}
	for k := range w.blocks {
		rename(&w.blocks[k].word)
	}
	for k := range w.actors {
		a := &w.actors[k]
		rename(&a.v)
		if a.pc == getDropLease && int(a.sum) == i {
			a.sum++
		} else if a.pc == getDropLease && int(a.sum) == i+1 {
			a.sum--
		}
	}
	for k := range w.words {
		for n, who := range w.words[k].asleep {
			switch int(who) - 1 {
			case i:
				w.words[k].asleep[n]++
			case i + 1:
				w.words[k].asleep[n]--
			}
		}
	}
	if !m.producer(i) {
		return
	}
	// The messages of the one are those of the other.
	from, each := int8(i*m.messages), int8(m.messages)
	number := func(n *int8) {
		switch {
		case *n > from && *n <= from+each:
			*n += each
		case *n > from+each && *n <= from+2*each:
			*n -= each
		}
	}
	for k := range w.slots {
		number(&w.slots[k].val)
	}
	for k := range w.blocks {
		number(&w.blocks[k].val)
	}
	for k := range w.actors {
		number(&w.actors[k].got)
	}
	low := uint8(1<<each-1) << from
	bits := func(b *uint8) { *b = *b&^(low|low<<each) | *b&low<<each | *b>>each&low }
	bits(&w.committed)
	bits(&w.settled)
	bits(&w.unmarked)
	bits(&w.taken)
	for n := range m.messages {
		a, b := &w.allowed[int(from)+n], &w.allowed[int(from)+m.messages+n]
		*a, *b = *b, *a
		a, b = &w.due[int(from)+n], &w.due[int(from)+m.messages+n]
		*a, *b = *b, *a
	}
}

// TestModelHasNoGaps: a world is hashed as bytes, and padding may be anything.
func TestModelHasNoGaps(t *testing.T) {
	var used func(reflect.Type) uintptr
	used = func(typ reflect.Type) (n uintptr) {
		switch typ.Kind() {
		case reflect.Struct:
			for i := range typ.NumField() {
				n += used(typ.Field(i).Type)
			}
			return n
		case reflect.Array:
			return uintptr(typ.Len()) * used(typ.Elem())
		}
		return typ.Size()
	}
	for _, typ := range []reflect.Type{reflect.TypeFor[world](), reflect.TypeFor[actor](), reflect.TypeFor[wSlot](), reflect.TypeFor[wBlock]()} {
		if n := used(typ); n != typ.Size() {
			t.Errorf("%v has %d bytes, its fields %d", typ, typ.Size(), n)
		}
	}
}
