package mpqueue

import (
	"encoding"
	"io"
	"reflect"

	"shmkit/shm"
)

// handle is what handles of shared objects have in common. To decode one opens it:
// an end of a pipe, for instance, is held from then on.
type handle interface {
	io.Closer
	encoding.BinaryUnmarshaler
	Segment() *shm.Segment
}

// closeHandles closes the handles in x, a value that was being decoded and that
// nobody gets, for the rest of its message makes no sense.
func closeHandles(x reflect.Value, depth int) {
	if depth > maxDepth {
		return
	}
	if x.Kind() != reflect.Pointer && x.CanAddr() {
		x = x.Addr()
	}
	if x.Kind() == reflect.Pointer {
		if x.IsNil() {
			return
		}
		if h, ok := x.Interface().(handle); ok {
			if !x.Elem().IsZero() { // else it could not be opened
				h.Close()
			}
			return
		}
		x = x.Elem()
	}
	switch x.Kind() {
	case reflect.Pointer:
		closeHandles(x, depth+1)
	case reflect.Interface:
		if !x.IsNil() {
			closeHandles(x.Elem(), depth+1)
		}
	case reflect.Struct:
		for i := range x.NumField() {
			if x.Type().Field(i).IsExported() { // the others are not decoded
				closeHandles(x.Field(i), depth+1)
			}
		}
	case reflect.Slice, reflect.Array:
		for i := range x.Len() {
			closeHandles(x.Index(i), depth+1)
		}
	case reflect.Map:
		for it := x.MapRange(); it.Next(); {
			closeHandles(it.Key(), depth+1)
			closeHandles(it.Value(), depth+1)
		}
	}
}
