package shm

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"

	"shmkit/shm/internal/sys"
)

// A handle travels as a reference: who the segment is, and where a copy of its
// descriptor can be found. The receiver tries, in this order, each checked
// against the id:
//
//	its own table        the process is attached already
//	inherited            procs passed the descriptor when it started us
//	/proc/PID/fd/N       of the sender
//	the name             if it has one
//	any /proc/PID/fd     of another participant
const refSize = 40 // bytes before the name

type ref struct {
	id   ID
	kind uint32
	pid  uint32
	fd   uint32
	// block is 0 for a whole segment, else a block of an arena, from 1, and
	// gen its generation.
	block, gen uint32
	name       string
}

func (s *Segment) ref() ref {
	c, gen := s.core, s.gen
	if s.block != 0 {
		// Not the one that we came by: the owner, who had seen no bit, may have
		// raised it after we had compared it. It found our bit then and left the
		// block to us, so what is there now is ours.
		gen = c.arena.descs[s.block-1].gen.Load()
	}
	return ref{
		id: c.hdr.id, kind: c.hdr.kind, pid: uint32(os.Getpid()), fd: uint32(c.file.Fd()),
		block: s.block, gen: gen, name: nameOrEmpty(c.name),
	}
}

func nameOrEmpty(path string) string {
	if path == "" {
		return ""
	}
	return nameOf(path)
}

func (r ref) append(b []byte) []byte {
	b = append(b, r.id[:]...)
	b = binary.LittleEndian.AppendUint32(b, r.kind)
	b = binary.LittleEndian.AppendUint32(b, r.pid)
	b = binary.LittleEndian.AppendUint32(b, r.fd)
	b = binary.LittleEndian.AppendUint32(b, r.block)
	b = binary.LittleEndian.AppendUint32(b, r.gen)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(r.name)))
	return append(b, r.name...)
}

func parseRef(b []byte) (r ref, err error) {
	if len(b) < refSize || uint64(len(b)) != refSize+uint64(binary.LittleEndian.Uint32(b[36:])) {
		return r, fmt.Errorf("shm: a handle of %d bytes: %w", len(b), ErrCorrupt)
	}
	copy(r.id[:], b)
	r.kind = binary.LittleEndian.Uint32(b[16:])
	r.pid = binary.LittleEndian.Uint32(b[20:])
	r.fd = binary.LittleEndian.Uint32(b[24:])
	r.block = binary.LittleEndian.Uint32(b[28:])
	r.gen = binary.LittleEndian.Uint32(b[32:])
	r.name = string(b[refSize:])
	return r, nil
}

// inherited are the descriptors that this process was started with.
var inherited = struct {
	sync.Mutex
	files map[ID]*os.File
}{files: map[ID]*os.File{}}

// Adopt makes f, a descriptor that this process was started with, the way to
// segment id, and takes ownership of it. Package procs calls it before any
// handle is decoded.
func Adopt(id ID, f *os.File) {
	inherited.Lock()
	defer inherited.Unlock()
	if old := inherited.files[id]; old != nil {
		old.Close()
	}
	inherited.files[id] = f
}

// disown closes what Adopt took: this process has a descriptor of its own now,
// and the memory must not outlive its last handle.
func disown(id ID) {
	inherited.Lock()
	defer inherited.Unlock()
	if f := inherited.files[id]; f != nil {
		f.Close()
		delete(inherited.files, id)
	}
}

// resolve returns a handle of what r means, and attaches this process to its
// segment. The error is a *HandleError.
func (r ref) resolve(o *options) (*Segment, error) {
	want := o.expectation()
	whole := want
	if r.block != 0 {
		whole = expectation{kind: KindArena} // want is about the block
	}
	c, err := r.attach(whole, o)
	if err != nil {
		return nil, &HandleError{r.id, r.name, err}
	}
	if r.block != 0 {
		if err := c.arena.open(r.block-1, r.gen, want); err != nil {
			c.release()
			return nil, &HandleError{r.id, r.name, err}
		}
	}
	return &Segment{core: c, block: r.block, gen: r.gen}, nil
}

// attach finds the segment of r.
func (r ref) attach(want expectation, o *options) (*core, error) {
	registry.mu.Lock()
	if c := registry.byID[r.id]; c != nil {
		defer registry.mu.Unlock()
		if err := want.check(&c.hdr); err != nil {
			return nil, err
		}
		c.refs++
		c.sentAt.Store(0) // the receiver of what we sent is ourselves
		return c, nil
	}
	registry.mu.Unlock()

	var errs []error
	try := func(f *os.File, err error) *core {
		var c *core
		if err == nil {
			c, err = r.attachTo(f, want, o)
		}
		if err != nil {
			errs = append(errs, err)
			return nil
		}
		return c
	}
	inherited.Lock()
	f := inherited.files[r.id]
	inherited.Unlock()
	if f != nil {
		if c := try(sys.Reopen(f)); c != nil {
			if c.arena == nil { // other objects of an arena may be asked for later
				disown(r.id)
			}
			return c, nil
		}
	}
	if c := try(sys.OpenFD(int(r.pid), int(r.fd))); c != nil {
		return c, nil
	}
	if r.name != "" {
		path, err := pathOf(r.name)
		if err != nil {
			return nil, err
		}
		if c := try(sys.Open(path)); c != nil {
			return c, nil
		}
		return nil, errors.Join(errs...)
	}
	var found *core
	sys.FindMemfd(memfdName(r.id), func(pid, fd int) bool {
		found = try(sys.OpenFD(pid, fd))
		return found != nil
	})
	if found == nil {
		return nil, errors.Join(errs...)
	}
	return found, nil
}

// attachTo attaches to the segment in f, if it is the one that r means. It takes
// ownership of f.
func (r ref) attachTo(f *os.File, want expectation, o *options) (*core, error) {
	path := ""
	h, err := readHeader(f)
	if err == nil && h.id != r.id {
		err = fmt.Errorf("the descriptor is another object's now: %w", fs.ErrNotExist)
	}
	if err == nil && r.name != "" {
		path, err = pathOf(r.name)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return attach(f, path, want, o)
}

// MarshalBinary encodes the handle: a reference of 40 bytes and the name. The
// receiver can resolve it while any process that it can see has the segment.
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
