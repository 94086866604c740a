package shm

import (
	"fmt"
	"io/fs"
)

// Slice is n values of T in shared memory: Python's Array. It is a handle like
// Segment. The zero Slice is good for UnmarshalBinary and UnmarshalText only.
type Slice[T any] struct {
	seg  *Segment
	data []T
}

// NewSlice makes n anonymous values of T, all zero; see New. A negative n is
// fs.ErrInvalid.
func NewSlice[T any](n int, opts ...Option) (*Slice[T], error) {
	l, size, err := sliceLayout[T](n)
	if err != nil {
		return nil, wrap("new slice", "", err)
	}
	if makeOptions(opts).wantsArena(l, n, size) {
		s, err := newSmall(KindSlice, l, n, size)
		return sliceIn[T](s, wrap("new slice", "", err))
	}
	s, err := NewSegment(size, withSlice(l, n, opts)...)
	return sliceIn[T](s, err)
}

// CreateSlice makes n values of T under a name; see Create.
func CreateSlice[T any](name string, n int, opts ...Option) (*Slice[T], error) {
	l, size, err := sliceLayout[T](n)
	if err != nil {
		return nil, wrap("create slice", name, err)
	}
	s, err := CreateSegment(name, size, withSlice(l, n, opts)...)
	return sliceIn[T](s, err)
}

// OpenSlice attaches to the slice of that name, whatever its length; see Open.
func OpenSlice[T any](name string, opts ...Option) (*Slice[T], error) {
	l, _, err := sliceLayout[T](0)
	if err != nil {
		return nil, wrap("open slice", name, err)
	}
	s, err := OpenSegment(name, withSlice(l, 0, opts)...)
	return sliceIn[T](s, err)
}

func sliceLayout[T any](n int) (Layout, int, error) {
	l, err := LayoutOf[T]()
	if err != nil {
		return l, 0, err
	}
	if n < 0 || l.Size > 0 && uint64(n) > (1<<46)/uint64(l.Size) {
		return l, 0, fmt.Errorf("%d values of %s: %w", n, l.Type, fs.ErrInvalid)
	}
	return l, max(n*l.Size, 1), nil
}

func withSlice(l Layout, n int, opts []Option) []Option {
	return append(opts[:len(opts):len(opts)], WithKind(KindSlice), WithLayout(l, n))
}

func sliceIn[T any](s *Segment, err error) (*Slice[T], error) {
	if err != nil {
		return nil, err
	}
	if s.block != 0 {
		return sliceOfBlock[T](s)
	}
	d, err := SliceAt[T](s, 0, s.Elems())
	if err != nil {
		s.Close()
		return nil, err
	}
	return &Slice[T]{seg: s, data: d}, nil
}

func sliceOfBlock[T any](s *Segment) (*Slice[T], error) {
	l, err := LayoutOf[T]()
	if err != nil {
		s.Close()
		return nil, err
	}
	a := s.core.arena
	// Once, and with our own idea of the size: a peer may damage both.
	n := a.descs[s.block-1].elems
	if n > mostBlocks || n*uint64(l.Size) > uint64(a.size) {
		s.Close()
		return nil, &CorruptError{Field: "elements of a block", Got: n, Want: uint64(a.size)}
	}
	return &Slice[T]{seg: s, data: sliceInBlock[T](a, s.block-1, int(n))}, nil
}

// Data returns the values. Every process sees the same ones. The slice is valid
// until Close and as long as s is reachable; for what is there afterwards see
// Object.Value.
func (s *Slice[T]) Data() []T { return s.data }

// Segment returns the segment that s lives in.
func (s *Slice[T]) Segment() *Segment { return s.seg }

// Close lets go of s; see Segment.Close.
func (s *Slice[T]) Close() error {
	if s.seg == nil {
		return nil
	}
	return s.seg.Close()
}
