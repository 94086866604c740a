package shm

// Object is a T in shared memory: a lock, a counter, a struct with its lock.
//
//	type account struct {
//		mu      futexlock.Mutex
//		balance int64
//	}
//	o, err := shm.New[account]()
//
// Object is a handle like Segment. The zero Object is good for UnmarshalBinary
// and UnmarshalText only.
type Object[T any] struct {
	seg   *Segment
	value *T
}

// New makes an anonymous T, all zero, that is freed with its last user. T must
// be free of pointers: the error is a *PointerError that names the culprit. Also
// ErrNoSpace, errors.ErrUnsupported.
//
// A T of up to 4 KiB shares a segment, an arena, with other small objects of this
// process, unless WithOwnSegment or another option about segments says
// otherwise. That makes it cheap; but a process that gets a handle of one of them
// can reach all, and pointers to it must not be used after Close.
func New[T any](opts ...Option) (*Object[T], error) {
	l, err := LayoutOf[T]()
	if err != nil {
		return nil, wrap("new", "", err)
	}
	if makeOptions(opts).wantsArena(l, 1, max(l.Size, 1)) {
		s, err := newSmall(KindObject, l, 1, max(l.Size, 1))
		return objectIn[T](s, wrap("new", "", err))
	}
	s, err := NewSegment(max(l.Size, 1), withObject(l, opts)...)
	return objectIn[T](s, err)
}

// Create makes a T under a name. A name that somebody is attached to is
// fs.ErrExist; one that nobody is attached to is replaced, unless it was made
// WithKeep.
func Create[T any](name string, opts ...Option) (*Object[T], error) {
	l, err := LayoutOf[T]()
	if err != nil {
		return nil, wrap("create", name, err)
	}
	s, err := CreateSegment(name, max(l.Size, 1), withObject(l, opts)...)
	return objectIn[T](s, err)
}

// Open attaches to the T of that name, which may have been left by processes
// that are gone. Errors as for OpenSegment; a T of another layout is a
// *LayoutError.
func Open[T any](name string, opts ...Option) (*Object[T], error) {
	l, err := LayoutOf[T]()
	if err != nil {
		return nil, wrap("open", name, err)
	}
	s, err := OpenSegment(name, withObject(l, opts)...)
	return objectIn[T](s, err)
}

// OpenOrCreate opens name, or makes it where there is none, and reports whether
// it made it.
func OpenOrCreate[T any](name string, opts ...Option) (*Object[T], bool, error) {
	l, err := LayoutOf[T]()
	if err != nil {
		return nil, false, wrap("open or create", name, err)
	}
	s, made, err := OpenOrCreateSegment(name, max(l.Size, 1), withObject(l, opts)...)
	o, err := objectIn[T](s, err)
	return o, made, err
}

func withObject(l Layout, opts []Option) []Option {
	return append(opts[:len(opts):len(opts)], WithKind(KindObject), WithLayout(l, 1))
}

func objectIn[T any](s *Segment, err error) (*Object[T], error) {
	if err != nil {
		return nil, err
	}
	if s.block != 0 {
		return &Object[T]{seg: s, value: valueIn[T](s.core.arena, s.block-1)}, nil
	}
	v, err := At[T](s, 0)
	if err != nil {
		s.Close()
		return nil, err
	}
	return &Object[T]{seg: s, value: v}, nil
}

// Value returns the T. Every process sees the same one, at an address of its
// own. It is valid until Close and as long as o is reachable. Afterwards a T in a
// segment of its own is a private zero T while o is reachable; one in an arena may
// be another object: it must not be used.
func (o *Object[T]) Value() *T { return o.value }

// Segment returns the segment that o lives in; for a small anonymous object that
// is an arena, whose payload holds others as well. Do not close it: it is o's own
// handle.
func (o *Object[T]) Segment() *Segment { return o.seg }

// Close lets go of o; see Segment.Close. When this process has no other handle
// of o, its goroutines that wait for a lock of o are told ErrClosed, and what it
// still holds there is released as if it had died. In an arena the memory may
// then be used for another object: so Close waits until those goroutines have
// come out of it, some 10 µs. Calls that do not wait are not waited for: none may
// run, or begin, when Close is called.
func (o *Object[T]) Close() error {
	if o.seg == nil {
		return nil
	}
	return o.seg.Close()
}
