package wire

import (
	"bytes"
	"encoding"
	"encoding/binary"
	"encoding/gob"
	"fmt"
	"math"
	"reflect"
)

// A decoder reads one value. Every length is compared with what is left
// before it is used: the bytes come from another process.
type decoder struct {
	data []byte
	trail
	depth int
}

func (d *decoder) corrupt() error { return fmt.Errorf("%s: %w", d.beginning(), ErrCorrupt) }

func (d *decoder) uvarint() (uint64, error) {
	n, size := binary.Uvarint(d.data)
	if size <= 0 {
		return 0, d.corrupt()
	}
	d.data = d.data[size:]
	return n, nil
}

func (d *decoder) take(n uint64) ([]byte, error) {
	if n > uint64(len(d.data)) {
		return nil, d.corrupt()
	}
	b := d.data[:n]
	d.data = d.data[n:]
	return b, nil
}

func (d *decoder) sized() ([]byte, error) {
	n, err := d.uvarint()
	if err != nil {
		return nil, err
	}
	return d.take(n)
}

func (d *decoder) float() (float64, error) {
	b, err := d.take(8)
	if err != nil {
		return 0, err
	}
	return math.Float64frombits(binary.LittleEndian.Uint64(b)), nil
}

// value reads into v, which is settable and zero.
func (d *decoder) value(v reflect.Value) error { return d.formed(v, formOf(v.Type())) }

// formed is value for one whose form is known.
func (d *decoder) formed(v reflect.Value, f form) error {
	if f != byKind {
		return d.unmarshaler(v, f)
	}
	switch v.Kind() {
	case reflect.Slice, reflect.Map, reflect.Pointer:
		if d.depth > deepest {
			return d.corrupt()
		}
		d.depth++
		defer func() { d.depth-- }()
	}
	switch v.Kind() {
	case reflect.Bool:
		b, err := d.take(1)
		if err != nil {
			return err
		}
		v.SetBool(b[0] != 0)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n, size := binary.Varint(d.data)
		if size <= 0 || v.OverflowInt(n) {
			return d.corrupt()
		}
		d.data = d.data[size:]
		v.SetInt(n)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		n, err := d.uvarint()
		if err != nil {
			return err
		}
		if v.OverflowUint(n) {
			return d.corrupt()
		}
		v.SetUint(n)
	case reflect.Float32, reflect.Float64:
		f, err := d.float()
		if err != nil {
			return err
		}
		v.SetFloat(f)
	case reflect.Complex64, reflect.Complex128:
		re, err := d.float()
		if err != nil {
			return err
		}
		im, err := d.float()
		if err != nil {
			return err
		}
		v.SetComplex(complex(re, im))
	case reflect.String:
		b, err := d.sized()
		if err != nil {
			return err
		}
		v.SetString(string(b))
	case reflect.Array:
		return d.elements(v)
	case reflect.Slice:
		return d.slice(v)
	case reflect.Map:
		return d.mapping(v)
	case reflect.Pointer:
		present, err := d.uvarint()
		if err != nil || present == 0 {
			return err
		}
		elem := reflect.New(v.Type().Elem())
		v.Set(elem)
		return d.value(elem.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); sendable(f) {
				d.push(step{text: "." + f.Name})
				if err := d.value(v.Field(i)); err != nil {
					return err
				}
				d.pop()
			}
		}
	case reflect.Interface:
		return d.dynamic(v)
	}
	return nil
}

func (d *decoder) elements(v reflect.Value) error {
	f := formOf(v.Type().Elem())
	d.push(step{})
	defer d.pop()
	for i := range v.Len() {
		d.at(i)
		if err := d.formed(v.Index(i), f); err != nil {
			return err
		}
	}
	return nil
}

func (d *decoder) slice(v reflect.Value) error {
	n, err := d.uvarint()
	if err != nil || n == 0 {
		return err
	}
	n--
	elem := v.Type().Elem()
	if elem.Kind() == reflect.Uint8 && formOf(elem) == byKind {
		b, err := d.take(n)
		if err != nil {
			return err
		}
		v.Set(reflect.MakeSlice(v.Type(), len(b), len(b)))
		copy(v.Bytes(), b)
		return nil
	}
	// Grown as the elements come in, so that a wrong length costs no memory.
	// Elements of size 0 take no bytes: their number is all there is of them.
	if elem.Size() == 0 {
		if n > mostHollow {
			return d.corrupt()
		}
		v.Set(reflect.MakeSlice(v.Type(), int(n), int(n)))
		return d.elements(v)
	}
	v.Set(reflect.MakeSlice(v.Type(), 0, int(min(n, uint64(len(d.data))))))
	f := formOf(elem)
	d.push(step{})
	defer d.pop()
	for i := range n {
		// Elements that hold nothing, such as nil channels, take no bytes, so
		// running out of them proves nothing until the number is absurd.
		if len(d.data) == 0 && i > 1<<20 {
			return d.corrupt()
		}
		v.Grow(1)
		v.SetLen(int(i) + 1)
		d.at(int(i))
		if err := d.formed(v.Index(int(i)), f); err != nil {
			return err
		}
	}
	return nil
}

func (d *decoder) mapping(v reflect.Value) error {
	n, err := d.uvarint()
	if err != nil || n == 0 {
		return err
	}
	n--
	t := v.Type()
	v.Set(reflect.MakeMapWithSize(t, int(min(n, uint64(len(d.data))))))
	for i := range n {
		if len(d.data) == 0 && i > 0 { // two keys that take no bytes would be one
			return d.corrupt()
		}
		key, elem := reflect.New(t.Key()).Elem(), reflect.New(t.Elem()).Elem()
		d.push(step{text: "[key]"})
		if err := d.value(key); err != nil {
			return err
		}
		d.pop()
		d.push(step{text: "[elem]"})
		if err := d.value(elem); err != nil {
			return err
		}
		d.pop()
		if !key.Comparable() {
			return d.corrupt()
		}
		v.SetMapIndex(key, elem)
	}
	return nil
}

func (d *decoder) dynamic(v reflect.Value) error {
	present, err := d.uvarint()
	if err != nil || present == 0 {
		return err
	}
	data, err := d.sized()
	if err != nil {
		return err
	}
	var held any
	if err := gob.NewDecoder(bytes.NewReader(data)).Decode(&held); err != nil {
		return fmt.Errorf("%s: %w", d.beginning(), err)
	}
	value := reflect.ValueOf(held)
	if !value.IsValid() || !value.Type().AssignableTo(v.Type()) {
		return d.corrupt()
	}
	v.Set(value)
	return nil
}

func (d *decoder) unmarshaler(v reflect.Value, f form) error {
	data, err := d.sized()
	if err != nil {
		return err
	}
	switch p := v.Addr().Interface(); f {
	case byBinary:
		err = p.(encoding.BinaryUnmarshaler).UnmarshalBinary(data)
	case byGob:
		err = p.(gob.GobDecoder).GobDecode(data)
	default:
		err = p.(encoding.TextUnmarshaler).UnmarshalText(data)
	}
	if err != nil {
		return fmt.Errorf("%s (%s): %w", d.beginning(), v.Type(), err)
	}
	return nil
}
