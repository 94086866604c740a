package mpqueue

import (
	"bytes"
	"encoding/binary"
	"encoding/gob"
	"errors"
	"fmt"
	"math"
	"reflect"
	"sync"
	"time"
)

// A Queue[any] takes what Python's takes. A value is a description of its type,
// then its contents:
//
//	one byte for each basic type; 's' T for a slice of T, 'm' K V for a map, '?'
//	for any (the value then brings its own description), 'r' and a name for a type
//	of RegisterType
type anyCodec struct{}

// basics are the types that have a letter.
var basics = map[byte]reflect.Type{
	'b': reflect.TypeFor[bool](),
	'i': reflect.TypeFor[int](), '1': reflect.TypeFor[int8](), '2': reflect.TypeFor[int16](), '3': reflect.TypeFor[int32](), '4': reflect.TypeFor[int64](),
	'u': reflect.TypeFor[uint](), '5': reflect.TypeFor[uint8](), '6': reflect.TypeFor[uint16](), '7': reflect.TypeFor[uint32](), '8': reflect.TypeFor[uint64](),
	'f': reflect.TypeFor[float32](), 'F': reflect.TypeFor[float64](), 'c': reflect.TypeFor[complex64](), 'C': reflect.TypeFor[complex128](),
	'S': reflect.TypeFor[string](), 'B': reflect.TypeFor[[]byte](), 't': reflect.TypeFor[time.Time](), '?': reflect.TypeFor[any](),
}

var letters = func() map[reflect.Type]byte {
	m := map[reflect.Type]byte{}
	for l, t := range basics {
		m[t] = l
	}
	return m
}()

// registered are the types of RegisterType.
var registered = struct {
	sync.RWMutex
	byName map[string]reflect.Type
	byType map[reflect.Type]string
}{byName: map[string]reflect.Type{}, byType: map[reflect.Type]string{}}

// RegisterType lets values of T be put into a Queue[any], alone or inside slices
// and maps. Call it from init, so that every process of the program has called
// it; T is known by its name with its package. Types that need no registration:
// bool, numbers, string, []byte, time.Time, any, and slices and maps of these.
// Values are encoded by package gob, which handles of shared objects use too.
// Slices and maps of any can be nested 499 deep; what contains itself cannot be sent.
func RegisterType[T any]() {
	t := reflect.TypeFor[T]()
	name := t.String()
	if p := t; p.Kind() != reflect.Pointer && p.PkgPath() != "" {
		name = p.PkgPath() + "." + p.Name()
	}
	registered.Lock()
	defer registered.Unlock()
	if old, ok := registered.byName[name]; ok && old != t {
		panic(fmt.Sprintf("mpqueue: RegisterType: %s is the name of two types", name))
	}
	registered.byName[name], registered.byType[t] = t, name
}

var errUnknownType = errors.New("a Queue[any] does not know the type; call mpqueue.RegisterType for it in an init function")

// errTooDeep is for what Decode would refuse, among it whatever contains itself.
var errTooDeep = fmt.Errorf("a value lies in itself, or is nested too deep: an any, a slice and a map are each one level, of at most %d", maxDepth)

func (anyCodec) Append(b []byte, v any) ([]byte, error) {
	return appendAny(b, v, 1)
}

// appendAny appends a value with its type. depth counts the values and the slices and
// maps that it lies in, itself included, as anyReader does.
func appendAny(b []byte, v any, depth int) ([]byte, error) {
	if depth > maxDepth {
		return b, errTooDeep
	}
	if v == nil {
		return append(b, 'n'), nil
	}
	x := reflect.ValueOf(v)
	b, err := appendType(b, x.Type(), 0)
	if err != nil {
		return b, err
	}
	return appendValue(b, x, depth)
}

func appendType(b []byte, t reflect.Type, depth int) ([]byte, error) {
	if depth > maxDepth {
		return b, errTooDeep
	}
	if l, ok := letters[t]; ok {
		return append(b, l), nil
	}
	registered.RLock()
	name, ok := registered.byType[t]
	registered.RUnlock()
	switch {
	case ok:
		return appendBytes(append(b, 'r'), name), nil
	case t.Name() == "" && t.Kind() == reflect.Slice:
		return appendType(append(b, 's'), t.Elem(), depth+1)
	case t.Name() == "" && t.Kind() == reflect.Map:
		b, err := appendType(append(b, 'm'), t.Key(), depth+1)
		if err != nil {
			return b, err
		}
		return appendType(b, t.Elem(), depth+1)
	}
	return b, fmt.Errorf("%v: %w", t, errUnknownType)
}

func appendBytes[S string | []byte](b []byte, s S) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendValue(b []byte, x reflect.Value, depth int) ([]byte, error) {
	t := x.Type()
	registered.RLock()
	_, own := registered.byType[t]
	registered.RUnlock()
	if own {
		var w bytes.Buffer
		err := gob.NewEncoder(&w).EncodeValue(x)
		return appendBytes(b, w.Bytes()), err
	}
	if t == basics['t'] {
		m, err := x.Interface().(time.Time).MarshalBinary()
		return appendBytes(b, m), err
	}
	switch t.Kind() {
	case reflect.Bool:
		if x.Bool() {
			return append(b, 1), nil
		}
		return append(b, 0), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return binary.AppendVarint(b, x.Int()), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return binary.AppendUvarint(b, x.Uint()), nil
	case reflect.Float32, reflect.Float64:
		return binary.LittleEndian.AppendUint64(b, math.Float64bits(x.Float())), nil
	case reflect.Complex64, reflect.Complex128:
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(real(x.Complex())))
		return binary.LittleEndian.AppendUint64(b, math.Float64bits(imag(x.Complex()))), nil
	case reflect.String:
		return appendBytes(b, x.String()), nil
	case reflect.Interface:
		return appendAny(b, x.Interface(), depth+1)
	case reflect.Slice:
		if t == basics['B'] {
			return appendBytes(b, x.Bytes()), nil
		}
		if depth++; depth > maxDepth {
			return b, errTooDeep
		}
		b = binary.AppendUvarint(b, uint64(x.Len()))
		for i := range x.Len() {
			var err error
			if b, err = appendValue(b, x.Index(i), depth); err != nil {
				return b, err
			}
		}
		return b, nil
	case reflect.Map:
		if depth++; depth > maxDepth {
			return b, errTooDeep
		}
		b = binary.AppendUvarint(b, uint64(x.Len()))
		for it := x.MapRange(); it.Next(); {
			var err error
			if b, err = appendValue(b, it.Key(), depth); err != nil {
				return b, err
			}
			if b, err = appendValue(b, it.Value(), depth); err != nil {
				return b, err
			}
		}
		return b, nil
	}
	return b, fmt.Errorf("%v: %w", t, errUnknownType)
}
