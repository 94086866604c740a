package wire

import (
	"bytes"
	"encoding"
	"encoding/binary"
	"encoding/gob"
	"fmt"
	"math"
	"reflect"
	"strings"
)

// An encoder writes one value.
type encoder struct {
	buf []byte
	trail
	open []visit // pointers, maps and slices that lead to the value being written
	gob  bool    // gob writes it: this encoder only looks whether that loses anything
}

// deepest is how many pointers, slices and maps may lead to a value: each level
// costs stack, and running out of that ends a program without a word.
const deepest = 10_000

// mostHollow is how many elements of size 0 a slice may have: they take no
// bytes, so a wrong number would not show by running out of them.
const mostHollow = 1 << 24

// A visit is one reference on the way down. The type belongs to it: a pointer
// to a struct and a pointer to its first field are the same address.
type visit struct {
	at  uintptr
	len int
	typ reflect.Type
}

func (e *encoder) uvarint(n uint64) { e.buf = binary.AppendUvarint(e.buf, n) }

func (e *encoder) bytes(b []byte) {
	e.uvarint(uint64(len(b)))
	e.buf = append(e.buf, b...)
}

// value writes v, which is addressable.
func (e *encoder) value(v reflect.Value) error { return e.formed(v, formOf(v.Type())) }

// formed is value for one whose form is known.
func (e *encoder) formed(v reflect.Value, f form) error {
	if f == byText && e.gob {
		f = byKind // gob does not ask for text
	}
	if f != byKind {
		return e.marshaler(v, f)
	}
	switch v.Kind() {
	case reflect.Bool:
		if v.Bool() {
			e.buf = append(e.buf, 1)
		} else {
			e.buf = append(e.buf, 0)
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		e.buf = binary.AppendVarint(e.buf, v.Int())
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		e.uvarint(v.Uint())
	case reflect.Float32, reflect.Float64:
		e.buf = binary.LittleEndian.AppendUint64(e.buf, math.Float64bits(v.Float()))
	case reflect.Complex64, reflect.Complex128:
		c := v.Complex()
		e.buf = binary.LittleEndian.AppendUint64(e.buf, math.Float64bits(real(c)))
		e.buf = binary.LittleEndian.AppendUint64(e.buf, math.Float64bits(imag(c)))
	case reflect.String:
		e.uvarint(uint64(v.Len()))
		e.buf = append(e.buf, v.String()...)
	case reflect.Array:
		return e.elements(v)
	case reflect.Slice:
		return e.slice(v)
	case reflect.Map:
		return e.mapping(v)
	case reflect.Pointer:
		return e.pointer(v)
	case reflect.Struct:
		return e.structure(v)
	case reflect.Interface:
		return e.dynamic(v)
	case reflect.Chan, reflect.Func:
		if !v.IsNil() {
			return e.refuse(v, "a "+v.Kind().String()+" cannot leave its process")
		}
	default:
		return e.refuse(v, "an address means nothing in another process")
	}
	return nil
}

func (e *encoder) refuse(v reflect.Value, why string) error {
	return &FieldError{Path: e.trail.String(), Type: v.Type().String(), Why: why}
}

// enter notes that the way down leads through v, and fails if it did before.
func (e *encoder) enter(v reflect.Value) error {
	here := visit{at: v.Pointer(), typ: v.Type()}
	if v.Kind() == reflect.Slice {
		here.len = v.Len()
	}
	for _, o := range e.open {
		if o == here {
			return e.refuse(v, "leads back to itself")
		}
	}
	if len(e.open) == deepest {
		return &FieldError{Path: e.beginning(), Type: v.Type().String(), Why: "nested more than 10,000 deep"}
	}
	e.open = append(e.open, here)
	return nil
}

func (e *encoder) leave() { e.open = e.open[:len(e.open)-1] }

func (e *encoder) slice(v reflect.Value) error {
	if v.IsNil() {
		e.uvarint(0)
		return nil
	}
	e.uvarint(uint64(v.Len()) + 1)
	if v.Type().Elem().Kind() == reflect.Uint8 && formOf(v.Type().Elem()) == byKind {
		e.buf = append(e.buf, v.Bytes()...)
		return nil
	}
	if v.Len() == 0 {
		return nil
	}
	if v.Type().Elem().Size() == 0 && v.Len() > mostHollow {
		return e.refuse(v, "too many elements of size 0")
	}
	if err := e.enter(v); err != nil {
		return err
	}
	defer e.leave()
	return e.elements(v)
}

// elements writes those of a slice or an array.
func (e *encoder) elements(v reflect.Value) error {
	f := formOf(v.Type().Elem())
	e.push(step{})
	defer e.pop()
	for i := range v.Len() {
		e.at(i)
		if err := e.formed(v.Index(i), f); err != nil {
			return err
		}
	}
	return nil
}

func (e *encoder) mapping(v reflect.Value) error {
	if v.IsNil() {
		e.uvarint(0)
		return nil
	}
	e.uvarint(uint64(v.Len()) + 1)
	if err := e.enter(v); err != nil {
		return err
	}
	defer e.leave()
	// Elements of maps are not addressable: copies of them are.
	key := reflect.New(v.Type().Key()).Elem()
	elem := reflect.New(v.Type().Elem()).Elem()
	for iter := v.MapRange(); iter.Next(); {
		key.Set(iter.Key())
		elem.Set(iter.Value())
		e.push(step{key: iter.Key()})
		if err := e.value(key); err != nil {
			return err
		}
		if err := e.value(elem); err != nil {
			return err
		}
		e.pop()
	}
	return nil
}

func (e *encoder) pointer(v reflect.Value) error {
	if v.IsNil() {
		e.uvarint(0)
		return nil
	}
	e.uvarint(1)
	if err := e.enter(v); err != nil {
		return err
	}
	defer e.leave()
	return e.value(v.Elem())
}

func (e *encoder) structure(v reflect.Value) error {
	t := v.Type()
	for i := range t.NumField() {
		f := t.Field(i)
		e.push(step{text: "." + f.Name})
		switch {
		case sendable(f):
			if err := e.value(v.Field(i)); err != nil {
				return err
			}
		case f.Name != "_" && !v.Field(i).IsZero():
			return e.refuse(v.Field(i), "an unexported field that holds data: it would not arrive")
		}
		e.pop()
	}
	return nil
}

// dynamic writes the value of an interface. Its type travels as the name under
// which gob knows it.
func (e *encoder) dynamic(v reflect.Value) error {
	if v.IsNil() {
		e.uvarint(0)
		return nil
	}
	e.uvarint(1)
	inner := reflect.New(v.Elem().Type()).Elem()
	inner.Set(v.Elem())
	// Gob drops what it cannot send without a word. A walk of our own says it;
	// its bytes are thrown away. It calls no marshaler, as one may give away
	// what it writes, such as the end of a pipe, which cannot be done twice.
	mark, outer := len(e.buf), e.gob
	e.gob = true
	e.push(step{text: ".(" + v.Elem().Type().String() + ")"})
	err := e.value(inner)
	e.pop()
	e.buf, e.gob = e.buf[:mark], outer
	if err != nil || outer {
		return err
	}

	var buf bytes.Buffer
	held := v.Elem().Interface()
	if err := gob.NewEncoder(&buf).Encode(&held); err != nil {
		if strings.Contains(err.Error(), "not registered") { // gob has no error of that kind
			err = fmt.Errorf("%w; call gob.Register with a %s in an init function", err, v.Elem().Type())
		}
		return fmt.Errorf("%s (%s): %w", &e.trail, v.Elem().Type(), err)
	}
	e.bytes(buf.Bytes())
	return nil
}

// marshaler writes what a method of v makes of it.
func (e *encoder) marshaler(v reflect.Value, f form) error {
	var data []byte
	var err error
	if !v.CanAddr() || !v.Addr().CanInterface() {
		return e.refuse(v, "its marshaler cannot be reached")
	}
	if e.gob {
		return nil
	}
	switch p := v.Addr().Interface(); f {
	case byBinary:
		data, err = p.(encoding.BinaryMarshaler).MarshalBinary()
	case byGob:
		data, err = p.(gob.GobEncoder).GobEncode()
	default:
		data, err = p.(encoding.TextMarshaler).MarshalText()
	}
	if err != nil {
		return fmt.Errorf("%s (%s): %w", &e.trail, v.Type(), err)
	}
	e.bytes(data)
	return nil
}
