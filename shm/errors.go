package shm

import (
	"errors"
	"fmt"
	"io/fs"

	"shmkit/shm/internal/sys"
)

// Errors that a caller may want to tell apart. They come wrapped in the
// operation and the name; test with errors.Is.
var (
	// ErrClosed is returned by operations on a segment that this process
	// has closed.
	ErrClosed = fmt.Errorf("shm: segment closed: %w", fs.ErrClosed)

	// ErrNoSpace is returned when a segment does not fit what is left: of
	// the file system, the memory or the cgroup. Nothing was touched. The
	// error is a *SpaceError.
	ErrNoSpace = errors.New("no space")

	// ErrTooManyParticipants is returned by Open and by handles when every
	// slot of the participant table belongs to a living process. If one is about
	// to come free they wait for it; for 5 s, in case somebody was stopped at it.
	ErrTooManyParticipants = errors.New("too many participants")

	// ErrCorrupt is returned when a file is no segment, or one whose header
	// does not add up: wrong magic, checksum, sizes. The error is a
	// *CorruptError.
	ErrCorrupt = errors.New("corrupt segment")

	// ErrNotRegular is returned when a name leads to a symbolic link, a
	// folder, a FIFO, a socket or a device.
	ErrNotRegular = sys.ErrNotRegular

	// ErrForeign is returned when a name leads to a segment of another user
	// and WithTrustUID does not name that user.
	ErrForeign = errors.New("segment of another user")

	// ErrUnknownKind is returned by Check for a segment whose contents this
	// program has no code for.
	ErrUnknownKind = errors.New("unknown kind")
)

// SpaceError says what did not fit where. It is ErrNoSpace for errors.Is.
type SpaceError struct {
	Place string // a folder, "memory", or "cgroup …"
	Want  int64  // bytes
	Free  int64  // bytes
}

// Error names place, wanted and free bytes.
func (e *SpaceError) Error() string {
	return fmt.Sprintf("no space in %s: %d bytes wanted, %d free", e.Place, e.Want, e.Free)
}

// Is reports whether target is ErrNoSpace.
func (e *SpaceError) Is(target error) bool { return target == ErrNoSpace }

// CorruptError says where a segment does not add up. It is ErrCorrupt for
// errors.Is.
type CorruptError struct {
	Offset int64  // of the field, in bytes from the start of the segment
	Field  string // "magic", "checksum", "size", …
	Got    uint64
	Want   uint64
}

// Error names the field, its offset and both values.
func (e *CorruptError) Error() string {
	return fmt.Sprintf("corrupt segment: %s at offset %d is %#x, want %#x", e.Field, e.Offset, e.Got, e.Want)
}

// Is reports whether target is ErrCorrupt.
func (e *CorruptError) Is(target error) bool { return target == ErrCorrupt }

// LayoutError says that a segment is sound, but holds something else than what
// was asked for: another kind, type, size, version or machine word.
type LayoutError struct {
	Field string // "version", "kind", "layout", "element size", "elements"
	Got   uint64
	Want  uint64
	Type  string // the type that the segment was made for, for people
}

// Error names the field, both values and the type that the segment holds.
func (e *LayoutError) Error() string {
	s := fmt.Sprintf("layout: %s is %#x, want %#x", e.Field, e.Got, e.Want)
	if e.Type != "" {
		s += ", the segment holds " + e.Type
	}
	return s
}

// PointerError says that a type cannot live in shared memory, because a part
// of it is a pointer or is bound to one process in another way.
type PointerError struct {
	Path string // "time.Time.loc"
	Why  string // "a pointer", "sync.Mutex works within one process only"
}

// Error names the path of the culprit.
func (e *PointerError) Error() string {
	return fmt.Sprintf("type cannot be shared between processes: %s is %s", e.Path, e.Why)
}

// HandleError says which object a handle meant and why this process could not
// get at it.
type HandleError struct {
	ID   ID
	Name string // empty for an anonymous object
	Err  error  // of all the ways that were tried
}

// Error names the object and the reason.
func (e *HandleError) Error() string {
	what := "anonymous object " + e.ID.String()
	if e.Name != "" {
		what = fmt.Sprintf("object %q (%s)", e.Name, e.ID)
	}
	return fmt.Sprintf("shm: handle of %s cannot be resolved: %v", what, e.Err)
}

// Unwrap returns the reason.
func (e *HandleError) Unwrap() error { return e.Err }

// wrap puts operation and name before err.
func wrap(op, name string, err error) error {
	if err == nil {
		return nil
	}
	if name == "" {
		return fmt.Errorf("shm: %s: %w", op, err)
	}
	return fmt.Errorf("shm: %s %q: %w", op, name, err)
}
