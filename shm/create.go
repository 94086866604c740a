package shm

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/edsrzf/mmap-go"

	"shmkit/shm/fault"
	"shmkit/shm/internal/sys"
)

var _ = fault.Declare("shm.create.sized", "shm.create.reserved", "shm.create.written", "shm.create.linked", "shm.create.unlink")

func dataOffset(slots uint32) uint64 {
	return (slotOffset + uint64(slots)*slotSize + pageSize - 1) &^ (pageSize - 1)
}

// newHeader describes a segment with size bytes of payload.
func newHeader(size int, o *options) header {
	h := header{
		magic:    magic,
		version:  version,
		kind:     o.kind,
		dataOff:  dataOffset(uint32(o.slots)),
		dataSize: uint64(size),
		elemSize: uint64(o.layout.Size),
		elems:    o.elems,
		layout:   o.layout.Hash,
		machine:  machineWord(),
		slots:    uint32(o.slots),
		lockMap:  lockMapCap,
		created:  time.Now().UnixNano(),
		pid:      uint32(os.Getpid()),
	}
	rand.Read(h.id[:]) // never fails
	h.size = (h.dataOff + h.dataSize + pageSize - 1) &^ (pageSize - 1)
	h.reserved = h.size - h.dataOff
	if o.sparse >= 0 {
		h.reserved = min(h.reserved, (uint64(o.sparse)+pageSize-1)&^(pageSize-1))
	}
	if o.keep {
		h.flags |= flagKeep
	}
	if o.huge {
		h.flags |= flagHuge
	}
	copy(h.typeName[:len(h.typeName)-1], o.layout.Type)
	h.checksum = h.sum()
	return h
}

// build gives f the size and the header of h, and its space. dir is the folder
// that the file is in, "" for a memfd.
func build(f *os.File, h *header, dir string, init func([]byte)) error {
	if err := roomFor(int64(h.dataOff+h.reserved), dir); err != nil {
		return err
	}
	if err := f.Truncate(int64(h.size)); err != nil {
		return err
	}
	if fault.Enabled {
		fault.Point("shm.create.sized")
	}
	if err := sys.Reserve(f, 0, int64(h.dataOff+h.reserved)); err != nil {
		return noSpace(err, int64(h.dataOff+h.reserved), dir)
	}
	if fault.Enabled {
		fault.Point("shm.create.reserved")
	}
	if _, err := f.WriteAt(h.bytes(), 0); err != nil {
		return err
	}
	if init != nil {
		mem, err := mmap.MapRegion(f, int(h.size), mmap.RDWR, 0, 0)
		if err != nil {
			return err
		}
		init(mem[h.dataOff : h.dataOff+h.dataSize])
		if err := mem.Unmap(); err != nil {
			return err
		}
	}
	if fault.Enabled {
		fault.Point("shm.create.written")
	}
	return nil
}

// createAnonymous makes a segment that vanishes with its last user.
func createAnonymous(size int, o *options) (*core, error) {
	h := newHeader(size, o)
	f, err := sys.Memfd(memfdName(h.id))
	if err != nil {
		return nil, err
	}
	if err := errors.Join(build(f, &h, "", o.init), sys.Seal(f)); err != nil {
		f.Close()
		return nil, err
	}
	return attach(f, "", expectation{}, o)
}

func memfdName(id ID) string { return "shmkit-" + id.String()[:16] }

// createNamed makes a segment under a name that nobody uses. The name appears
// in one step, with everything behind it in place; a creator killed before
// leaves nothing.
func createNamed(name string, size int, o *options) (*core, error) {
	path, err := pathOf(name)
	if err != nil {
		return nil, err
	}
	h := newHeader(size, o)
	f, err := sys.TempFile(folder(), o.mode)
	if err != nil {
		return nil, noSpace(err, int64(h.dataOff+h.reserved), folder())
	}
	if err := build(f, &h, folder(), o.init); err != nil {
		f.Close()
		return nil, err
	}
	// Attach first: a segment that has a name and no participant is stale,
	// and another Create would replace it.
	c, err := attach(f, path, expectation{}, o)
	if err != nil {
		return nil, err
	}
	for range 100 {
		err = sys.Link(c.file, path)
		if err == nil {
			if fault.Enabled {
				fault.Point("shm.create.linked")
			}
			return c, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			break
		}
		stale, why := removeStale(path, false)
		if why != nil {
			err = fmt.Errorf("%w; it cannot be replaced: %w", err, why)
		}
		if !stale {
			break
		}
	}
	c.release()
	return nil, err
}

// removeStale removes path if it leads to a segment that nobody is attached to
// and, unless kept says otherwise, that was not made to be kept.
func removeStale(path string, kept bool) (bool, error) {
	f, err := sys.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	h, err := readHeader(f)
	if err != nil || !kept && h.flags&flagKeep != 0 {
		return false, err // not ours to remove
	}
	// Who attaches holds this byte shared until it is a participant, or has come
	// when we had it, see attachKeeping.
	ok, err := sys.TryLockByte(f, createByte, false)
	if err != nil || !ok {
		return false, err
	}
	held, err := sys.BytesHeld(f, lockBase+1, int64(h.slots))
	if err != nil || held {
		return false, err
	}
	node, err := sys.Inode(f)
	if err != nil {
		return false, err
	}
	now, err := sys.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	defer now.Close()
	if n, err := sys.Inode(now); err != nil || n.Dev != node.Dev || n.Ino != node.Ino {
		return false, err
	}
	if fault.Enabled {
		fault.Point("shm.create.unlink")
	}
	// The name leads to f, nobody is attached to it and nobody who opens the name
	// can attach while we hold the byte: what we remove is what we looked at.
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	return true, nil
}

// openNamed attaches to the segment that name leads to.
func openNamed(name string, want expectation, o *options) (*core, error) {
	return openUntil(time.Now().Add(patience), name, want, o)
}

// openUntil is openNamed with an end of its patience.
func openUntil(end time.Time, name string, want expectation, o *options) (*core, error) {
	path, err := pathOf(name)
	if err != nil {
		return nil, err
	}
	return openRetry(end, func() (*core, error) {
		f, err := sys.Open(path)
		if err != nil {
			return nil, err
		}
		guard, err := sys.Reopen(f)
		if err != nil {
			f.Close()
			return nil, err
		}
		defer guard.Close() // releases the byte
		ok, err := sys.TryLockByte(guard, createByte, true)
		if err != nil || !ok {
			f.Close()
			if err == nil {
				err = errNameMoved
			}
			return nil, err
		}
		c, err := attach(f, path, want, o)
		if err != nil {
			return nil, err
		}
		ours, err := c.nameStillOurs()
		if err == nil && !ours {
			err = errNameMoved
		}
		if err != nil {
			c.release()
			return nil, err
		}
		return c, nil
	})
}

// openOrCreate opens name, or makes it where there is none.
func openOrCreate(name string, size int, want expectation, o *options) (*core, bool, error) {
	end := time.Now().Add(patience)
	for range 100 {
		c, err := openUntil(end, name, want, o)
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return c, false, err
		}
		c, err = createNamed(name, size, o)
		if err == nil || !errors.Is(err, fs.ErrExist) {
			return c, err == nil, err
		}
	}
	return nil, false, fmt.Errorf("others create and remove it all the time: %w", fs.ErrExist)
}
