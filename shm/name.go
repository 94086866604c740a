package shm

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"shmkit/shm/internal/sys"
)

// prefix of the file names of segments, so that a folder can be shared.
const prefix = "shmkit-"

const maxName = 255 - len(prefix)

// folder returns where names live: /dev/shm, or what SHMKIT_DIR says.
func folder() string {
	if d := os.Getenv("SHMKIT_DIR"); d != "" {
		return d
	}
	return "/dev/shm"
}

// pathOf checks name and returns the path of its file.
func pathOf(name string) (string, error) {
	switch {
	case name == "":
		return "", fmt.Errorf("empty name: %w", fs.ErrInvalid)
	case len(name) > maxName:
		return "", fmt.Errorf("name of %d bytes, at most %d are possible: %w", len(name), maxName, fs.ErrInvalid)
	case strings.ContainsAny(name, "/\x00"):
		return "", fmt.Errorf("a name must not contain '/' or NUL: %w", fs.ErrInvalid)
	}
	return filepath.Join(folder(), prefix+name), nil
}

func nameOf(path string) string { return strings.TrimPrefix(filepath.Base(path), prefix) }

// Remove takes the name away, at once and for everybody; fs.ErrNotExist if there
// is none. Processes that are attached go on; the memory is freed with the last
// of them.
func Remove(name string) error {
	path, err := pathOf(name)
	if err == nil {
		err = os.Remove(path)
	}
	return wrap("remove", name, err)
}

// RemoveUnused is Remove for a segment that nobody is attached to, made WithKeep
// or not; it reports false, and leaves the name, if somebody is. Nobody who opens
// the name meanwhile loses it. The error is fs.ErrNotExist if there is none,
// ErrCorrupt if it is no segment.
func RemoveUnused(name string) (bool, error) {
	path, err := pathOf(name)
	if err == nil {
		_, err = os.Lstat(path)
	}
	if err != nil {
		return false, wrap("remove", name, err)
	}
	ok, err := removeStale(path, true)
	return ok, wrap("remove", name, err)
}

// Info describes a named segment, as List found it.
type Info struct {
	Name     string
	ID       ID
	Kind     string    // "shm.Object", "mpqueue.Queue"; "kind N" if this program has no code for it
	Type     string    // of the contents, for people
	Size     int64     // of the whole segment in bytes
	Payload  int64     // of the contents in bytes
	Created  time.Time // by the creator's clock
	Creator  int       // pid of the creator, as it saw itself
	Attached bool      // at least one process lives that is attached
	Keep     bool      // made WithKeep
	Huge     bool      // made WithHugePages
	Note     string    // what could not be had: huge pages, and why
	PIDs     []int     // of an anonymous segment: who has it open, as far as is visible
	Err      error     // why the file is no segment; the fields above but Name are then empty
}

// List describes every name in the folder of names, sorted by name. A file that
// carries the prefix of segments but is none has its Err set.
func List() ([]Info, error) {
	entries, err := os.ReadDir(folder())
	if err != nil {
		return nil, wrap("list", "", err)
	}
	var all []Info
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), prefix) {
			continue
		}
		if i, ok := look(filepath.Join(folder(), e.Name())); ok {
			all = append(all, i)
		}
	}
	return all, nil
}

// look describes the segment at path; it reports false if the name has gone.
func look(path string) (Info, bool) {
	i := Info{Name: nameOf(path)}
	f, err := sys.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return i, false
	}
	if err != nil {
		i.Err = err
		return i, true
	}
	defer f.Close()
	i.read(f)
	return i, true
}

// read fills i from the segment in f.
func (i *Info) read(f *os.File) {
	h, err := readHeader(f)
	if err != nil {
		i.Err = err
		return
	}
	i.ID, i.Kind, i.Type = h.id, kindName(h.kind), h.typeString()
	i.Size, i.Payload = int64(h.size), int64(h.dataSize)
	i.Created, i.Creator = time.Unix(0, h.created), int(h.pid)
	i.Keep, i.Huge = h.flags&flagKeep != 0, h.flags&flagHuge != 0
	if i.Huge {
		i.Note = sys.HugeNote()
	}
	i.Attached, i.Err = sys.BytesHeld(f, lockBase+1, int64(h.slots))
}

// Collect removes every name that nobody is attached to and that was not made
// WithKeep, and returns those names. It is what shmctl gc does.
func Collect() ([]string, error) {
	all, err := List()
	if err != nil {
		return nil, err
	}
	var gone []string
	var errs []error
	for _, i := range all {
		if i.Err != nil || i.Attached || i.Keep {
			continue
		}
		path := filepath.Join(folder(), prefix+i.Name)
		switch ok, err := removeStale(path, false); {
		case err != nil:
			errs = append(errs, wrap("collect", i.Name, err))
		case ok:
			gone = append(gone, i.Name)
		}
	}
	return gone, errors.Join(errs...)
}
