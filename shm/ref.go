package shm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
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
//	any /proc/PID/fd     of another process that has it open, whatever became of
//	                     the name
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
	c := s.core
	return ref{
		id: c.hdr.id, kind: c.hdr.kind, pid: uint32(os.Getpid()), fd: uint32(c.file.Fd()),
		block: s.block, gen: s.gen, name: nameOrEmpty(c.name),
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
		if r.block == 0 { // blocks count for themselves
			c.wall.reopens.Add(1) // ends pins, as that of who sent this to us
		}
		return c, nil
	}
	registry.mu.Unlock()

	var errs []error
	met := false // it was found, and others would find the same
	try := func(f *os.File, err error) *core {
		var c *core
		if err == nil {
			var it bool
			c, it, err = r.attachTo(f, want, o)
			met = met || it
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
	}
	if !met {
		if c := r.search(try); c != nil {
			return c, nil
		}
	}
	return nil, errors.Join(errs...)
}

// mostDescriptors is how many descriptors of other processes are looked at for one
// handle: 0.1 s. Not for ever: a handle may be garbage.
const mostDescriptors = 1 << 16

// search looks for a process that has the segment of r open.
func (r ref) search(try func(*os.File, error) *core) (found *core) {
	looks := r.looks()
	var refused error
	met := false
	looked := sys.EachFD(mostDescriptors, func(target string, pid, fd int) bool {
		if !looks(target) {
			return true
		}
		// Most that look like it are others, and nothing to report.
		f, err := sys.OpenFD(pid, fd)
		if err != nil {
			refused = err
			return true
		}
		if h, err := readHeader(f); err != nil || h.id != r.id {
			f.Close()
			return true
		}
		met = true
		found = try(f, nil)
		return false
	})
	switch {
	case met:
	case looked >= mostDescriptors:
		try(nil, fmt.Errorf("it is not among the first %d descriptors of other processes: %w", looked, fs.ErrNotExist))
	case refused != nil:
		try(nil, refused)
	default:
		try(nil, fmt.Errorf("no process whose descriptors can be seen has it open: %w", fs.ErrNotExist))
	}
	return found
}

// looks returns a guess by the path of a descriptor whether that is the segment of
// r: its header tells. A named one was made without a name, and its creator's
// descriptor tells of none; others' tell the name even when it leads elsewhere or
// has been removed.
func (r ref) looks() func(target string) bool {
	if r.name == "" {
		want := "/memfd:" + memfdName(r.id) + sys.Deleted
		return func(target string) bool { return target == want }
	}
	dir, err := filepath.EvalSymlinks(folder())
	if err != nil {
		dir = folder()
	}
	nameless := filepath.Join(dir, "#")
	want := prefix + r.name
	return func(target string) bool {
		if strings.HasPrefix(target, nameless) {
			return true
		}
		// The folder may have another path where that process is.
		base := filepath.Base(target)
		return base == want || base == want+sys.Deleted
	}
}

// attachTo attaches to the segment in f, if it is the one that r means, and reports
// whether it is. It takes ownership of f.
func (r ref) attachTo(f *os.File, want expectation, o *options) (_ *core, met bool, _ error) {
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
		return nil, false, err
	}
	if path == "" { // a memfd
		c, err := attach(f, path, want, o)
		return c, true, err
	}
	c, err := attachKeeping(f, path, want, o)
	return c, true, err
}
