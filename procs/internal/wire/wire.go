package wire

import (
	"encoding"
	"encoding/gob"
	"errors"
	"fmt"
	"reflect"
	"sync"
)

// ErrCorrupt is returned by Unmarshal for bytes that Marshal did not make from
// a value of the same type.
var ErrCorrupt = errors.New("bytes do not fit the type")

// A FieldError is returned by Marshal for a value that would not arrive as it
// was sent.
type FieldError struct {
	Path string // "CookArgs.Tools[2].mu"
	Type string // the Go type found there
	Why  string // "unexported field holds data"
}

// Error returns path, type and reason in one line.
func (e *FieldError) Error() string {
	return fmt.Sprintf("%s (%s): %s", e.Path, e.Type, e.Why)
}

// Marshal returns the bytes of v, which is the value of a variable of type t:
// t may be an interface type. Errors are of type *FieldError, or what a
// marshaler of the value returned, with the path of it.
func Marshal(v any, t reflect.Type) ([]byte, error) {
	// A copy in a fresh variable is addressable all the way down, which
	// marshalers with pointer receivers need.
	value := reflect.New(t).Elem()
	if v != nil {
		value.Set(reflect.ValueOf(v))
	}
	e := encoder{trail: trail{root: typeName(t)}}
	if err := e.value(value); err != nil {
		return nil, err
	}
	return e.buf, nil
}

// Unmarshal decodes data into the variable that v points to, which must be of
// the type that was given to Marshal, and zero. Bad bytes are ErrCorrupt,
// never a panic.
func Unmarshal(data []byte, v any) error {
	target := reflect.ValueOf(v).Elem()
	d := decoder{data: data, trail: trail{root: typeName(target.Type())}}
	if err := d.value(target); err != nil {
		return err
	}
	if len(d.data) != 0 {
		return fmt.Errorf("%d bytes too many: %w", len(d.data), ErrCorrupt)
	}
	return nil
}

// typeName is how a path begins: the type without its package.
func typeName(t reflect.Type) string {
	if t.Name() != "" {
		return t.Name()
	}
	return t.String()
}

// A form says how values of one type are written.
type form uint8

const (
	byKind   form = iota // as its kind dictates
	byBinary             // encoding.BinaryMarshaler
	byGob                // gob.GobEncoder
	byText               // encoding.TextMarshaler
)

var (
	binaryMarshaler   = reflect.TypeFor[encoding.BinaryMarshaler]()
	binaryUnmarshaler = reflect.TypeFor[encoding.BinaryUnmarshaler]()
	gobEncoder        = reflect.TypeFor[gob.GobEncoder]()
	gobDecoder        = reflect.TypeFor[gob.GobDecoder]()
	textMarshaler     = reflect.TypeFor[encoding.TextMarshaler]()
	textUnmarshaler   = reflect.TypeFor[encoding.TextUnmarshaler]()
)

var forms sync.Map // reflect.Type -> form

// formOf returns how values of t are written. Only a type that has both halves
// of a pair is written by it, so that no value goes out that cannot come in.
func formOf(t reflect.Type) form {
	if t.Kind() == reflect.Interface || t.Kind() == reflect.Pointer {
		return byKind // what it leads to has the methods
	}
	if f, ok := forms.Load(t); ok {
		return f.(form)
	}
	f, p := byKind, reflect.PointerTo(t)
	switch {
	case p.Implements(binaryMarshaler) && p.Implements(binaryUnmarshaler):
		f = byBinary
	case p.Implements(gobEncoder) && p.Implements(gobDecoder):
		f = byGob
	case p.Implements(textMarshaler) && p.Implements(textUnmarshaler):
		f = byText
	}
	forms.Store(t, f)
	return f
}

// sendable reports whether the field travels. An embedded struct of an
// unexported type does: its exported fields are fields of the outer one.
func sendable(f reflect.StructField) bool {
	return f.IsExported() || f.Anonymous && f.Type.Kind() == reflect.Struct && formOf(f.Type) == byKind
}

func init() {
	// What JSON makes of data is what people put into an any; gob knows the
	// basic types and slices of them by itself.
	gob.Register(map[string]any{})
	gob.Register([]any{})
}
