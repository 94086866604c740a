package mpqueue

import (
	"errors"
	"fmt"
	"io/fs"
	"reflect"

	"github.com/cespare/xxhash/v2"

	"shmkit/shm"
)

// contents says how values of a type lie in a queue.
type contents[T any] struct {
	layout shm.Layout
	form   form
	codec  Codec[T]
}

// form is how a value becomes a message.
type form int

const (
	inSlot  form = iota // as it is, in the slot
	asBytes             // a string or []byte
	encoded             // by a codec
)

// contentsOf decides for a type, once for each queue.
func contentsOf[T any](o *options) (c contents[T], err error) {
	var v T
	name := reflect.TypeFor[T]().String()
	if o.codec != nil {
		codec, ok := o.codec.(Codec[T])
		if !ok {
			panic(fmt.Sprintf("mpqueue: WithCodec of a %T for a queue of %s", o.codec, name))
		}
		return contents[T]{c.of(codec), encoded, codec}, nil
	}
	switch any(&v).(type) {
	case *[]byte, *string:
		return contents[T]{named(name, "bytes"), asBytes, nil}, nil
	case *any:
		return contents[T]{named(name, "any"), encoded, any(anyCodec{}).(Codec[T])}, nil
	}
	if codec, ok := binaryCodecOf[T](); ok {
		return contents[T]{named(name, "binary"), encoded, codec}, nil
	}
	l, err := shm.LayoutOf[T]()
	if err == nil && l.Locks() > 0 {
		return c, fmt.Errorf("%s contains a lock, which must not be copied: %w", name, fs.ErrInvalid)
	}
	if err == nil {
		return contents[T]{l, inSlot, nil}, nil
	}
	var pe *shm.PointerError
	if !errors.As(err, &pe) {
		return c, err
	}
	if why := neverEncodes(reflect.TypeFor[T](), name, nil); why != "" {
		return c, &shm.PointerError{Path: why, Why: "nothing that another process could use"}
	}
	return contents[T]{named(name, "gob"), encoded, Gob[T]()}, nil
}

// of is the layout of messages by a codec that was named.
func (contents[T]) of(codec Codec[T]) shm.Layout {
	name, by := reflect.TypeFor[T]().String(), codecName(codec)
	l := named(name, by)
	if by != "gob" && by != "binary" {
		l.Type = name + " by " + by // for people who have another one
	}
	return l
}

// named is the layout of messages of which only type and codec matter.
func named(name, codec string) shm.Layout {
	return shm.Layout{Type: name, Hash: xxhash.Sum64String(codec + " " + name)}
}

// neverEncodes returns the path of a part of t that no codec can send, "" if
// there is none: channels, functions, locks.
func neverEncodes(t reflect.Type, path string, above []reflect.Type) string {
	for _, a := range above {
		if a == t {
			return "" // a type that contains itself
		}
	}
	above = append(above, t)
	if t.PkgPath() == "sync" {
		return path
	}
	switch t.Kind() {
	case reflect.Chan, reflect.Func, reflect.UnsafePointer:
		return path
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return neverEncodes(t.Elem(), path, above)
	case reflect.Map:
		if why := neverEncodes(t.Key(), path, above); why != "" {
			return why
		}
		return neverEncodes(t.Elem(), path, above)
	case reflect.Struct:
		if _, ok := reflect.PointerTo(t).MethodByName("MarshalBinary"); ok {
			return ""
		}
		if _, ok := reflect.PointerTo(t).MethodByName("GobEncode"); ok {
			return ""
		}
		for i := range t.NumField() {
			f := t.Field(i)
			if !f.IsExported() {
				continue // codecs leave it out
			}
			if why := neverEncodes(f.Type, path+"."+f.Name, above); why != "" {
				return why
			}
		}
	}
	return ""
}
