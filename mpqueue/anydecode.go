package mpqueue

import (
	"bytes"
	"encoding/binary"
	"encoding/gob"
	"fmt"
	"math"
	"reflect"
	"time"
)

// anyReader reads what anyCodec wrote. The bytes may be anything: a damaged
// message is an error.
type anyReader struct {
	b     []byte
	depth int
	own   []reflect.Value // of types of RegisterType: there can be handles in them
}

// maxDepth is how deep values may be nested: a damaged message must not use up
// the stack, nor must a value that contains itself. Append has the same limit.
const maxDepth = 1000

func (anyCodec) Decode(b []byte) (any, error) {
	r := anyReader{b: b}
	v, err := r.any()
	if err == nil && len(r.b) != 0 {
		err = r.fail("it should have ended")
	}
	if err != nil {
		for _, x := range r.own {
			closeHandles(x, 0)
		}
		return nil, err
	}
	return v, nil
}

func (r *anyReader) fail(what string) error {
	return fmt.Errorf("%w: a value of any, %d bytes from its end: %s", ErrCorrupt, len(r.b), what)
}

func (r *anyReader) any() (any, error) {
	if r.depth++; r.depth > maxDepth {
		return nil, r.fail("nested too deep")
	}
	defer func() { r.depth-- }()
	if len(r.b) > 0 && r.b[0] == 'n' {
		r.b = r.b[1:]
		return nil, nil
	}
	t, err := r.typ(0)
	if err != nil {
		return nil, err
	}
	x := reflect.New(t).Elem()
	if err := r.value(x); err != nil {
		return nil, err
	}
	return x.Interface(), nil
}

func (r *anyReader) typ(depth int) (reflect.Type, error) {
	if len(r.b) == 0 || depth > maxDepth {
		return nil, r.fail("no type")
	}
	l := r.b[0]
	r.b = r.b[1:]
	if t, ok := basics[l]; ok {
		return t, nil
	}
	switch l {
	case 's':
		t, err := r.typ(depth + 1)
		if err != nil {
			return nil, err
		}
		return reflect.SliceOf(t), nil
	case 'm':
		k, err := r.typ(depth + 1)
		if err != nil {
			return nil, err
		}
		v, err := r.typ(depth + 1)
		if err != nil {
			return nil, err
		}
		if !k.Comparable() {
			return nil, r.fail("a map with keys that cannot be compared")
		}
		return reflect.MapOf(k, v), nil
	case 'r':
		name, err := r.bytes()
		if err != nil {
			return nil, err
		}
		registered.RLock()
		t := registered.byName[string(name)]
		registered.RUnlock()
		if t == nil {
			return nil, fmt.Errorf("%s: %w", name, errUnknownType)
		}
		return t, nil
	}
	return nil, r.fail(fmt.Sprintf("type %q", l))
}

func (r *anyReader) uvarint() (uint64, error) {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		return 0, r.fail("a number is cut off")
	}
	r.b = r.b[n:]
	return v, nil
}

func (r *anyReader) bytes() ([]byte, error) {
	n, err := r.uvarint()
	if err != nil || n > uint64(len(r.b)) {
		return nil, r.fail("a length")
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b, nil
}

func (r *anyReader) float() (float64, error) {
	if len(r.b) < 8 {
		return 0, r.fail("a number is cut off")
	}
	v := math.Float64frombits(binary.LittleEndian.Uint64(r.b))
	r.b = r.b[8:]
	return v, nil
}

func (r *anyReader) value(x reflect.Value) error {
	t := x.Type()
	registered.RLock()
	_, own := registered.byType[t]
	registered.RUnlock()
	if own || t == basics['t'] {
		b, err := r.bytes()
		if err != nil {
			return err
		}
		if own {
			r.own = append(r.own, x)
			return gob.NewDecoder(bytes.NewReader(b)).DecodeValue(x.Addr())
		}
		return x.Addr().Interface().(*time.Time).UnmarshalBinary(b)
	}
	switch t.Kind() {
	case reflect.Bool:
		if len(r.b) == 0 {
			return r.fail("a bool is cut off")
		}
		x.SetBool(r.b[0] != 0)
		r.b = r.b[1:]
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v, n := binary.Varint(r.b)
		if n <= 0 || x.OverflowInt(v) {
			return r.fail("a number")
		}
		x.SetInt(v)
		r.b = r.b[n:]
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v, err := r.uvarint()
		if err != nil || x.OverflowUint(v) {
			return r.fail("a number")
		}
		x.SetUint(v)
	case reflect.Float32, reflect.Float64:
		v, err := r.float()
		x.SetFloat(v)
		return err
	case reflect.Complex64, reflect.Complex128:
		re, err := r.float()
		if err != nil {
			return err
		}
		im, err := r.float()
		x.SetComplex(complex(re, im))
		return err
	case reflect.String, reflect.Slice, reflect.Map:
		return r.compound(x)
	case reflect.Interface:
		v, err := r.any()
		if err == nil && v != nil {
			x.Set(reflect.ValueOf(v))
		}
		return err
	}
	return nil
}

func (r *anyReader) compound(x reflect.Value) error {
	t := x.Type()
	if t.Kind() == reflect.String || t == basics['B'] {
		b, err := r.bytes()
		if err != nil {
			return err
		}
		if t.Kind() == reflect.String {
			x.SetString(string(b))
		} else {
			x.SetBytes(bytes.Clone(b))
		}
		return nil
	}
	n, err := r.uvarint()
	if err != nil || n > uint64(len(r.b)) { // every element takes a byte at least
		return r.fail("a length")
	}
	if r.depth++; r.depth > maxDepth {
		return r.fail("nested too deep")
	}
	defer func() { r.depth-- }()
	if t.Kind() == reflect.Slice {
		x.Set(reflect.MakeSlice(t, 0, int(min(n, 1024))))
		for range n {
			e := reflect.New(t.Elem()).Elem()
			if err := r.value(e); err != nil {
				return err
			}
			x.Set(reflect.Append(x, e))
		}
		return nil
	}
	x.Set(reflect.MakeMapWithSize(t, int(min(n, 1024))))
	for range n {
		k, v := reflect.New(t.Key()).Elem(), reflect.New(t.Elem()).Elem()
		if err := r.value(k); err != nil {
			return err
		}
		if !k.Comparable() {
			return r.fail("a key that cannot be compared")
		}
		if err := r.value(v); err != nil {
			return err
		}
		x.SetMapIndex(k, v)
	}
	return nil
}
