package shm

import (
	"errors"
	"os"
	"sync"

	"shmkit/shm/internal/sys"
)

// Exports are the segments whose handles were encoded during an Export. They
// stay open, whatever else this process closes, until Release.
type Exports struct {
	segs []*Segment
}

// exports being collected.
var exports struct {
	sync.Mutex
	all map[*Exports]map[ID]bool
}

// exported notes that a handle of s was encoded.
func exported(s *Segment) {
	exports.Lock()
	defer exports.Unlock()
	for e, have := range exports.all {
		if have[s.core.hdr.id] {
			continue
		}
		again, err := s.core.again()
		if err != nil {
			continue // closed this moment: the caller of Marshal is told
		}
		have[s.core.hdr.id] = true
		e.segs = append(e.segs, again)
	}
}

// Export runs encode and collects every segment whose handle is encoded in this
// process meanwhile, by encode or by another goroutine: the latter costs a
// descriptor, no more. Package procs passes them on to the process it starts.
func Export(encode func() error) (*Exports, error) {
	e := &Exports{}
	exports.Lock()
	if exports.all == nil {
		exports.all = map[*Exports]map[ID]bool{}
	}
	exports.all[e] = map[ID]bool{}
	exports.Unlock()

	err := encode()

	exports.Lock()
	delete(exports.all, e)
	exports.Unlock()
	if err != nil {
		e.Release()
		return nil, err
	}
	return e, nil
}

// Files opens a new descriptor for each segment, fit to be inherited. The caller
// closes them.
func (e *Exports) Files() ([]*os.File, error) {
	var files []*os.File
	for _, s := range e.segs {
		f, err := sys.Reopen(s.core.file)
		if err != nil {
			for _, f := range files {
				f.Close()
			}
			return nil, wrap("export", s.Name(), err)
		}
		files = append(files, f)
	}
	return files, nil
}

// IDs returns the identities of the segments, in the order of Files.
func (e *Exports) IDs() []ID {
	var ids []ID
	for _, s := range e.segs {
		ids = append(ids, s.ID())
	}
	return ids
}

// Release lets the segments go.
func (e *Exports) Release() error {
	var errs []error
	for _, s := range e.segs {
		errs = append(errs, s.Close())
	}
	e.segs = nil
	return errors.Join(errs...)
}
