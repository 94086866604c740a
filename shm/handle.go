package shm

import (
	"encoding/base64"
	"fmt"
)

// MarshalBinary encodes the handle: a reference of 40 bytes and the name. The
// receiver can resolve it while any process that it can see has the segment,
// whatever has become of its name.
func (s *Segment) MarshalBinary() ([]byte, error) {
	if s.core == nil || s.Closed() {
		return nil, wrap("marshal", "", ErrClosed)
	}
	if err := exported(s); err != nil {
		return nil, wrap("marshal", s.Name(), err)
	}
	return s.ref().append(nil), nil
}

// Reference is MarshalBinary for a handle that is written down, not sent: nothing
// keeps the segment open for who may read it.
func (s *Segment) Reference() ([]byte, error) {
	if s.core == nil || s.Closed() {
		return nil, wrap("reference", "", ErrClosed)
	}
	return s.ref().append(nil), nil
}

// UnmarshalBinary makes s a handle of the segment that b refers to, and attaches
// this process to it. The error is a *HandleError.
func (s *Segment) UnmarshalBinary(b []byte) error { return s.unmarshal(b) }

// MarshalText is MarshalBinary in base64.
func (s *Segment) MarshalText() ([]byte, error) { return text(s.MarshalBinary()) }

// UnmarshalText is the other end of MarshalText.
func (s *Segment) UnmarshalText(b []byte) error { return fromText(b, s.UnmarshalBinary) }

func (s *Segment) unmarshal(b []byte, opts ...Option) error {
	if s.core != nil {
		panic("shm: Unmarshal into a handle that is in use")
	}
	r, err := parseRef(b)
	if err != nil {
		return err
	}
	n, err := r.resolve(makeOptions(opts))
	if err != nil {
		return err
	}
	s.core, s.block, s.gen = n.core, n.block, n.gen
	return nil
}

// Decode makes a segment handle of what MarshalBinary wrote, as UnmarshalBinary
// does, and checks it against opts as OpenSegment does. It is for packages whose
// own handles are built on segments.
func Decode(b []byte, opts ...Option) (*Segment, error) {
	s := new(Segment)
	return s, s.unmarshal(b, opts...)
}

// MarshalBinary encodes the handle; see Segment.MarshalBinary.
func (o *Object[T]) MarshalBinary() ([]byte, error) {
	if o.seg == nil {
		return nil, wrap("marshal", "", ErrClosed)
	}
	return o.seg.MarshalBinary()
}

// UnmarshalBinary makes o a handle of the object that b refers to. The error is
// a *HandleError, which wraps a *LayoutError if the object is no T.
func (o *Object[T]) UnmarshalBinary(b []byte) error {
	l, err := LayoutOf[T]()
	if err != nil {
		return err
	}
	s, err := Decode(b, withObject(l, nil)...)
	if err != nil {
		return err
	}
	n, err := objectIn[T](s, nil)
	if err == nil {
		o.seg, o.value = n.seg, n.value
	}
	return err
}

// MarshalText is MarshalBinary in base64.
func (o *Object[T]) MarshalText() ([]byte, error) { return text(o.MarshalBinary()) }

// UnmarshalText is the other end of MarshalText.
func (o *Object[T]) UnmarshalText(b []byte) error { return fromText(b, o.UnmarshalBinary) }

// MarshalBinary encodes the handle; see Segment.MarshalBinary.
func (s *Slice[T]) MarshalBinary() ([]byte, error) {
	if s.seg == nil {
		return nil, wrap("marshal", "", ErrClosed)
	}
	return s.seg.MarshalBinary()
}

// UnmarshalBinary makes s a handle of the slice that b refers to. The error is
// a *HandleError, which wraps a *LayoutError if it holds no T.
func (s *Slice[T]) UnmarshalBinary(b []byte) error {
	l, err := LayoutOf[T]()
	if err != nil {
		return err
	}
	seg, err := Decode(b, withSlice(l, 0, nil)...)
	if err != nil {
		return err
	}
	n, err := sliceIn[T](seg, nil)
	if err == nil {
		s.seg, s.data = n.seg, n.data
	}
	return err
}

// MarshalText is MarshalBinary in base64.
func (s *Slice[T]) MarshalText() ([]byte, error) { return text(s.MarshalBinary()) }

// UnmarshalText is the other end of MarshalText.
func (s *Slice[T]) UnmarshalText(b []byte) error { return fromText(b, s.UnmarshalBinary) }

func text(b []byte, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	return base64.RawURLEncoding.AppendEncode(nil, b), nil
}

// DecodeText returns what MarshalBinary had made of the handle that b is the text
// of.
func DecodeText(b []byte) ([]byte, error) {
	raw, err := base64.RawURLEncoding.AppendDecode(nil, b)
	if err != nil {
		return nil, fmt.Errorf("shm: text of a handle: %w", err)
	}
	return raw, nil
}

func fromText(b []byte, f func([]byte) error) error {
	raw, err := DecodeText(b)
	if err != nil {
		return err
	}
	return f(raw)
}
