package mpqueue

import (
	"bytes"
	"encoding"
	"encoding/gob"
	"encoding/json"
	"fmt"
	"reflect"
)

// Codec turns values into bytes and back, for types that cannot lie in shared
// memory as they are. Put calls Append and Get calls Decode, in the goroutine of
// their caller; their errors are the errors of Put and Get. Any number of
// goroutines call them at the same time.
type Codec[T any] interface {
	// Append appends the encoding of v to b.
	Append(b []byte, v T) ([]byte, error)
	// Decode makes a value of b, which is valid during the call only.
	Decode(b []byte) (T, error)
}

// Gob is the codec of package encoding/gob: the default for types with pointers.
// It leaves out unexported fields, without a word: what they hold does not arrive.
// Each message carries the description of its type, so that any process can read
// any message.
func Gob[T any]() Codec[T] { return gobCodec[T]{} }

// JSON is the codec of package encoding/json.
func JSON[T any]() Codec[T] { return jsonCodec[T]{} }

// Binary is the codec of types whose values marshal themselves: T or *T is an
// encoding.BinaryMarshaler (or BinaryAppender) and an encoding.BinaryUnmarshaler.
// It is the default for those. It panics for other types.
func Binary[T any]() Codec[T] {
	c, ok := binaryCodecOf[T]()
	if !ok {
		panic(fmt.Sprintf("mpqueue: Binary[%v]: the type does not marshal itself", reflect.TypeFor[T]()))
	}
	return c
}

type gobCodec[T any] struct{}

func (gobCodec[T]) Append(b []byte, v T) ([]byte, error) {
	w := bytes.NewBuffer(b)
	// A struct around it: gob sends no nil pointers, but it leaves them out
	// of structs.
	err := gob.NewEncoder(w).Encode(struct{ V T }{v})
	return w.Bytes(), err
}

func (gobCodec[T]) Decode(b []byte) (T, error) {
	var v struct{ V T }
	err := gob.NewDecoder(bytes.NewReader(b)).Decode(&v)
	return v.V, err
}

type jsonCodec[T any] struct{}

func (jsonCodec[T]) Append(b []byte, v T) ([]byte, error) {
	j, err := json.Marshal(v)
	return append(b, j...), err
}

func (jsonCodec[T]) Decode(b []byte) (v T, err error) {
	err = json.Unmarshal(b, &v)
	return v, err
}

// binaryCodec is for T that marshal themselves. If T is a pointer, Decode makes
// a new object for it to point to.
type binaryCodec[T any] struct{ pointer bool }

func binaryCodecOf[T any]() (Codec[T], bool) {
	t := reflect.TypeFor[T]()
	m, u := reflect.TypeFor[encoding.BinaryMarshaler](), reflect.TypeFor[encoding.BinaryUnmarshaler]()
	switch {
	case t.Kind() == reflect.Pointer && t.Implements(m) && t.Implements(u):
		return binaryCodec[T]{pointer: true}, true
	case t.Kind() != reflect.Interface && reflect.PointerTo(t).Implements(m) && reflect.PointerTo(t).Implements(u):
		return binaryCodec[T]{}, true
	}
	return nil, false
}

func (c binaryCodec[T]) Append(b []byte, v T) ([]byte, error) {
	x := any(&v)
	if c.pointer {
		if reflect.ValueOf(v).IsNil() {
			return b, fmt.Errorf("a nil %T cannot be marshaled", v)
		}
		x = v
	}
	if a, ok := x.(encoding.BinaryAppender); ok {
		return a.AppendBinary(b)
	}
	m, err := x.(encoding.BinaryMarshaler).MarshalBinary()
	return append(b, m...), err
}

func (c binaryCodec[T]) Decode(b []byte) (v T, err error) {
	if c.pointer {
		v = reflect.New(reflect.TypeFor[T]().Elem()).Interface().(T)
		return v, any(v).(encoding.BinaryUnmarshaler).UnmarshalBinary(b)
	}
	err = any(&v).(encoding.BinaryUnmarshaler).UnmarshalBinary(b)
	return v, err
}
