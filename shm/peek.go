package shm

import (
	"cmp"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/edsrzf/mmap-go"

	"shmkit/shm/internal/sys"
)

// Peek opens a segment to look at it, and does not attach: no slot is taken,
// nobody who died there is swept. name is a name, or the first 8 or more digits
// of the ID of an anonymous segment that some visible process has open. Check,
// Describe and Participants work on what it returns; its memory must not be
// written, and its locks panic as those that lie in no segment. Errors as for
// OpenSegment.
func Peek(name string, opts ...Option) (*Segment, error) {
	o := makeOptions(opts)
	c, err := peek(name, o)
	return segmentOf(c, wrap("peek", name, err))
}

func peek(name string, o *options) (*core, error) {
	path, err := pathOf(name)
	if err != nil {
		return nil, err
	}
	f, err := sys.Open(path)
	if err != nil {
		path = ""
		if f = openAnonymous(name); f == nil {
			return nil, err
		}
	}
	node, err := sys.Inode(f)
	if err == nil {
		err = o.trusts(node.UID)
	}
	c := &core{name: path, inode: inode{node.Dev, node.Ino}, refs: 1, file: f, closed: make(chan struct{})}
	if err == nil {
		c.hdr, err = readHeader(f)
	}
	if err == nil { // to look at a hole when memory is short would be SIGBUS
		err = c.hdr.fill(f, node, path)
	}
	if err == nil {
		c.mem, err = mmap.MapRegion(f, int(c.hdr.size), mmap.RDWR, 0, 0)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	c.lay()
	addresses.add(c)
	return c, nil
}

// leavePeek ends what peek began.
func (c *core) leavePeek() error {
	c.slow.shut()
	close(c.closed)
	c.slow.wait()
	addresses.remove(c)
	c.unmapLater()
	return cmp.Or(sys.Blank(c.mem), c.file.Close())
}

// openAnonymous opens the anonymous segment whose ID begins with digits.
func openAnonymous(digits string) (f *os.File) {
	if len(digits) < 8 {
		return nil
	}
	sys.EachMemfd(func(name string, pid, fd int) bool {
		id, ok := strings.CutPrefix(name, prefix)
		if !ok || !strings.HasPrefix(id, digits[:min(len(digits), len(id))]) {
			return true
		}
		g, err := sys.OpenFD(pid, fd)
		if err != nil {
			return true
		}
		if h, err := readHeader(g); err != nil || !strings.HasPrefix(h.id.String(), digits) {
			g.Close()
			return true
		}
		f = g
		return false
	})
	return f
}

// ListAnonymous describes the anonymous segments that visible processes have
// open, sorted by ID. Those of processes of other users are visible to root only.
func ListAnonymous() ([]Info, error) {
	byID := map[ID]*Info{}
	sys.EachMemfd(func(name string, pid, fd int) bool {
		if !strings.HasPrefix(name, prefix) {
			return true
		}
		f, err := sys.OpenFD(pid, fd)
		if err != nil {
			return true
		}
		defer f.Close()
		var i Info
		if i.read(f); i.Err != nil {
			return true
		}
		if byID[i.ID] == nil {
			byID[i.ID] = &i
		}
		if at := byID[i.ID]; !slices.Contains(at.PIDs, pid) {
			at.PIDs = append(at.PIDs, pid)
		}
		return true
	})
	var all []Info
	for _, i := range byID {
		all = append(all, *i)
	}
	slices.SortFunc(all, func(a, b Info) int { return slices.Compare(a.ID[:], b.ID[:]) })
	return all, nil
}

// Stat describes the segment of that name; fs.ErrNotExist if there is none.
// What is no segment has its Err set.
func Stat(name string) (Info, error) {
	path, err := pathOf(name)
	if err != nil {
		return Info{}, wrap("stat", name, err)
	}
	i, ok := look(path)
	if !ok {
		return i, wrap("stat", name, fmt.Errorf("no such segment: %w", fs.ErrNotExist))
	}
	return i, nil
}

// Info describes s; its Err is ErrClosed if this process has closed s.
func (s *Segment) Info() Info {
	i := Info{Name: s.Name()}
	if !s.core.enter() {
		i.Err = ErrClosed
		return i
	}
	defer s.core.leave()
	i.read(s.core.file)
	i.Attached = i.Attached || s.core.self != nobody
	return i
}

// Sweeps returns how many dead participants have been swept so far, and Claims
// how often a process has attached.
func (s *Segment) Sweeps() int { return int(s.core.wall.sweeps.Load()) }

// Claims returns how often a process has attached to s.
func (s *Segment) Claims() int { return int(s.core.wall.claims.Load()) }

// Alive asks the kernel whether the participant that t names lives, and notes
// nothing in the segment: it is Confirm, the other way round, for people.
func (s *Segment) Alive(t Token) bool {
	c := s.core
	if !c.enter() {
		return false
	}
	defer c.leave()
	if t == c.self {
		return true
	}
	if c.dead(t) {
		return false
	}
	held, err := sys.BytesHeld(c.file, lockBase+int64(t.Slot()), 1)
	return err != nil || held
}
