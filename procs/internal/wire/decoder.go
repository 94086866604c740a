package wire

import (
	"bytes"
	"encoding"
	"encoding/binary"
	"encoding/gob"
	"fmt"
	"math"
	"reflect"
	"strconv"
)

// A decoder reads one value. Every length is compared with what is left
// before it is used: the bytes come from another process.
type decoder struct {
	data  []byte
	depth int
}

func corrupt(path string) error { return fmt.Errorf("%s: %w", path, ErrCorrupt) }

func (d *decoder) uvarint(path string) (uint64, error) {
	n, size := binary.Uvarint(d.data)
	if size <= 0 {
		return 0, corrupt(path)
	}
	d.data = d.data[size:]
	return n, nil
}

func (d *decoder) take(n uint64, path string) ([]byte, error) {
	if n > uint64(len(d.data)) {
		return nil, corrupt(path)
	}
	b := d.data[:n]
	d.data = d.data[n:]
	return b, nil
}

func (d *decoder) sized(path string) ([]byte, error) {
	n, err := d.uvarint(path)
	if err != nil {
		return nil, err
	}
	return d.take(n, path)
}

func (d *decoder) float(path string) (float64, error) {
	b, err := d.take(8, path)
	if err != nil {
		return 0, err
	}
	return math.Float64frombits(binary.LittleEndian.Uint64(b)), nil
}

// value reads into v, which is settable and zero.
func (d *decoder) value(v reflect.Value, path string) error {
	if f := formOf(v.Type()); f != byKind {
		return d.unmarshaler(v, f, path)
	}
	switch v.Kind() {
	case reflect.Slice, reflect.Map, reflect.Pointer:
		if d.depth > deepest {
			return corrupt(path[:min(len(path), 100)])
		}
		d.depth++
		defer func() { d.depth-- }()
	}
	switch v.Kind() {
	case reflect.Bool:
		b, err := d.take(1, path)
		if err != nil {
			return err
		}
		v.SetBool(b[0] != 0)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n, size := binary.Varint(d.data)
		if size <= 0 || v.OverflowInt(n) {
			return corrupt(path)
		}
		d.data = d.data[size:]
		v.SetInt(n)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		n, err := d.uvarint(path)
		if err != nil {
			return err
		}
		if v.OverflowUint(n) {
			return corrupt(path)
		}
		v.SetUint(n)
	case reflect.Float32, reflect.Float64:
		f, err := d.float(path)
		if err != nil {
			return err
		}
		v.SetFloat(f)
	case reflect.Complex64, reflect.Complex128:
		re, err := d.float(path)
		if err != nil {
			return err
		}
		im, err := d.float(path)
		if err != nil {
			return err
		}
		v.SetComplex(complex(re, im))
	case reflect.String:
		b, err := d.sized(path)
		if err != nil {
			return err
		}
		v.SetString(string(b))
	case reflect.Array:
		return d.elements(v, path)
	case reflect.Slice:
		return d.slice(v, path)
	case reflect.Map:
		return d.mapping(v, path)
	case reflect.Pointer:
		present, err := d.uvarint(path)
		if err != nil || present == 0 {
			return err
		}
		elem := reflect.New(v.Type().Elem())
		v.Set(elem)
		return d.value(elem.Elem(), path)
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); sendable(f) {
				if err := d.value(v.Field(i), path+"."+f.Name); err != nil {
					return err
				}
			}
		}
	case reflect.Interface:
		return d.dynamic(v, path)
	}
	return nil
}

func (d *decoder) elements(v reflect.Value, path string) error {
	for i := range v.Len() {
		if err := d.value(v.Index(i), path+"["+strconv.Itoa(i)+"]"); err != nil {
			return err
		}
	}
	return nil
}

func (d *decoder) slice(v reflect.Value, path string) error {
	n, err := d.uvarint(path)
	if err != nil || n == 0 {
		return err
	}
	n--
	elem := v.Type().Elem()
	if elem.Kind() == reflect.Uint8 && formOf(elem) == byKind {
		b, err := d.take(n, path)
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
			return corrupt(path)
		}
		v.Set(reflect.MakeSlice(v.Type(), int(n), int(n)))
		return d.elements(v, path)
	}
	v.Set(reflect.MakeSlice(v.Type(), 0, int(min(n, uint64(len(d.data))))))
	for i := range n {
		// Elements that hold nothing, such as nil channels, take no bytes, so
		// running out of them proves nothing until the number is absurd.
		if len(d.data) == 0 && i > 1<<20 {
			return corrupt(path)
		}
		v.Grow(1)
		v.SetLen(int(i) + 1)
		if err := d.value(v.Index(int(i)), path+"["+strconv.FormatUint(i, 10)+"]"); err != nil {
			return err
		}
	}
	return nil
}

func (d *decoder) mapping(v reflect.Value, path string) error {
	n, err := d.uvarint(path)
	if err != nil || n == 0 {
		return err
	}
	n--
	t := v.Type()
	v.Set(reflect.MakeMapWithSize(t, int(min(n, uint64(len(d.data))))))
	for i := range n {
		if len(d.data) == 0 && i > 0 { // two keys that take no bytes would be one
			return corrupt(path)
		}
		key, elem := reflect.New(t.Key()).Elem(), reflect.New(t.Elem()).Elem()
		if err := d.value(key, path+"[key]"); err != nil {
			return err
		}
		if err := d.value(elem, path+"[elem]"); err != nil {
			return err
		}
		if !key.Comparable() {
			return corrupt(path)
		}
		v.SetMapIndex(key, elem)
	}
	return nil
}

func (d *decoder) dynamic(v reflect.Value, path string) error {
	present, err := d.uvarint(path)
	if err != nil || present == 0 {
		return err
	}
	data, err := d.sized(path)
	if err != nil {
		return err
	}
	var held any
	if err := gob.NewDecoder(bytes.NewReader(data)).Decode(&held); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	value := reflect.ValueOf(held)
	if !value.IsValid() || !value.Type().AssignableTo(v.Type()) {
		return corrupt(path)
	}
	v.Set(value)
	return nil
}

func (d *decoder) unmarshaler(v reflect.Value, f form, path string) error {
	data, err := d.sized(path)
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
		return fmt.Errorf("%s (%s): %w", path, v.Type(), err)
	}
	return nil
}
