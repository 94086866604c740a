package shm

import (
	"errors"
	"os"
	"reflect"
	"runtime"
	"sync"
	"sync/atomic"

	"shmkit/shm/internal/sys"
)

// Exports are the segments whose handles were encoded during an Export. They
// stay open, whatever else this process closes, until Release.
type Exports struct {
	objects []*Segment // every object, to hold it
	segs    []*Segment // one for each segment among them
	after   []func()   // see AfterExport
}

// object names what a handle leads to.
type object struct {
	id    ID
	block uint32
}

// exports being collected.
var exports struct {
	sync.Mutex
	all map[*Exports]map[object]bool
}

// exported notes that a handle of s was encoded: for the exports that are being
// collected, and, unless one of them was what it was encoded for, as sent to
// somebody whom we do not know.
func exported(s *Segment) error {
	exports.Lock()
	defer exports.Unlock()
	if len(exports.all) == 0 || !insideExport() {
		if err := s.noteSent(); err != nil {
			return err
		}
	}
	what := object{s.core.hdr.id, s.block}
	for e, have := range exports.all {
		if have[what] {
			continue
		}
		again, err := s.again()
		if err != nil {
			return err
		}
		if !have[object{id: what.id}] {
			have[object{id: what.id}] = true
			e.segs = append(e.segs, again)
		}
		have[what] = true
		e.objects = append(e.objects, again)
	}
	return nil
}

func (s *Segment) noteSent() error {
	if s.block != 0 {
		if !s.core.arena.noteSent(s.block-1, s.gen) {
			return ErrClosed
		}
		return nil
	}
	s.core.sentAt.Store(s.core.wall.opens() + 1)
	return nil
}

// insideExport reports whether this goroutine is in the encode of an Export.
func insideExport() bool {
	pcs := make([]uintptr, 64)
	n := runtime.Callers(3, pcs)
	for ; n == len(pcs); n = runtime.Callers(3, pcs) {
		pcs = make([]uintptr, 2*len(pcs))
	}
	frames := runtime.CallersFrames(pcs[:n])
	for {
		f, more := frames.Next()
		if f.Function == exportName() {
			return true
		}
		if !more {
			return false
		}
	}
}

// exportName is the name of Export as the runtime gives it.
var exportName = sync.OnceValue(func() string {
	return runtime.FuncForPC(reflect.ValueOf(Export).Pointer()).Name()
})

// Export runs encode and collects every segment whose handle is encoded in this
// process meanwhile, by encode or by another goroutine: the latter costs a
// descriptor, no more. Package procs passes them on to the process it starts.
//
//go:noinline
func Export(encode func() error) (*Exports, error) {
	e := &Exports{}
	exports.Lock()
	if exports.all == nil {
		exports.all = map[*Exports]map[object]bool{}
	}
	exports.all[e] = map[object]bool{}
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
	for _, s := range e.objects {
		errs = append(errs, s.Close())
	}
	after := e.after
	e.objects, e.segs, e.after = nil, nil, nil
	for _, f := range after {
		f()
	}
	return errors.Join(errs...)
}

// AfterExport is for handles that have to know what became of them. Called where
// a handle is encoded, it has f called when that was for an Export and the Exports
// have been released: whom they were for has opened the handle by then, or never
// will. It reports false, and forgets f, if this goroutine is not in an Export. Of
// several that run at the same moment the last one counts.
func AfterExport(f func()) bool {
	exports.Lock()
	defer exports.Unlock()
	if len(exports.all) == 0 || !insideExport() {
		return false
	}
	var left atomic.Int32
	left.Store(int32(len(exports.all)))
	for e := range exports.all {
		e.after = append(e.after, func() {
			if left.Add(-1) == 0 {
				f()
			}
		})
	}
	return true
}
