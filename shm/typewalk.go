package shm

import (
	"encoding/binary"
	"fmt"
	"reflect"
	"sync"

	"github.com/cespare/xxhash/v2"
)

// Layout is what two processes must agree on to share values of a type.
type Layout struct {
	Type  string // for people
	Size  int    // of one value in bytes
	Align int    // in bytes
	// Hash covers kinds, sizes, offsets and field names of everything within
	// the type, and the kinds of its locks; not the names of types and
	// packages, so that a type may be renamed or moved.
	Hash uint64

	locks []lockAt
}

// Locks returns how many locks one value contains.
func (l Layout) Locks() int {
	n := 0
	for _, k := range l.locks {
		n += int(k.count)
	}
	return n
}

// LayoutOf walks T. The error, a *PointerError, names the first part of T that
// cannot be shared between processes: pointers, strings, slices, maps, channels,
// functions, interfaces, uintptr, and the types of package sync.
func LayoutOf[T any]() (Layout, error) { return layoutOf(reflect.TypeFor[T]()) }

func layoutOf(t reflect.Type) (Layout, error) {
	if l, ok := layouts.Load(t); ok {
		return l.(Layout), nil
	}
	l, err := walkType(t)
	if err == nil {
		layouts.Store(t, l)
	}
	return l, err
}

// layouts remembers what layoutOf found. RegisterKind forgets it all.
var layouts sync.Map // reflect.Type → Layout

func walkType(t reflect.Type) (Layout, error) {
	w := walker{hash: xxhash.New()}
	name := t.String()
	if err := w.walk(t, 0, name); err != nil {
		return Layout{}, err
	}
	return Layout{Type: name, Size: int(t.Size()), Align: t.Align(), Hash: w.hash.Sum64(), locks: w.locks}, nil
}

type walker struct {
	hash  *xxhash.Digest
	locks []lockAt
}

func (w *walker) note(words ...uint64) {
	var b []byte
	for _, x := range words {
		b = binary.LittleEndian.AppendUint64(b, x)
	}
	w.hash.Write(b)
}

func (w *walker) walk(t reflect.Type, off uintptr, path string) error {
	if k := kindByType(t); k != nil {
		w.note(1<<32|uint64(k.ID), uint64(t.Size()), uint64(off))
		w.locks = append(w.locks, lockAt{kind: k.ID, off: uint64(off), count: 1})
		return nil
	}
	if t.PkgPath() == "sync" {
		return &PointerError{path, fmt.Sprintf("a %v, which works within one process only", t)}
	}
	w.note(uint64(t.Kind()), uint64(t.Size()), uint64(off))
	switch t.Kind() {
	case reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64,
		reflect.Float32, reflect.Float64, reflect.Complex64, reflect.Complex128:
		return nil
	case reflect.Array:
		return w.array(t, off, path)
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			w.hash.WriteString(f.Name)
			if err := w.walk(f.Type, off+f.Offset, path+"."+f.Name); err != nil {
				return err
			}
		}
		return nil
	case reflect.Pointer:
		return &PointerError{path, fmt.Sprintf("a pointer (%v)", t)}
	}
	return &PointerError{path, fmt.Sprintf("a %v (%v)", t.Kind(), t)}
}

// array walks the element once and multiplies the locks that it has.
func (w *walker) array(t reflect.Type, off uintptr, path string) error {
	before := len(w.locks)
	w.note(uint64(t.Len()))
	if t.Len() == 0 {
		return nil // [0]string holds no string
	}
	if err := w.walk(t.Elem(), off, path+"[…]"); err != nil {
		return err
	}
	n, size := uint64(t.Len()), uint64(t.Elem().Size())
	inner := append([]lockAt(nil), w.locks[before:]...)
	w.locks = w.locks[:before]
	for _, l := range inner {
		if l.count == 1 {
			l.stride, l.count = size, n
			w.locks = append(w.locks, l)
			continue
		}
		if l.stride*l.count == size { // an array of arrays without gaps
			l.count *= n
			w.locks = append(w.locks, l)
			continue
		}
		for i := range l.count {
			w.locks = append(w.locks, lockAt{l.kind, l.off + i*l.stride, size, n})
		}
	}
	return nil
}
