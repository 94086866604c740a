package tree

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// A Reader reads the files of a plan chunk by chunk. It keeps one file open.
// It belongs to one goroutine; the zero Reader is ready for use.
type Reader struct {
	file  *os.File
	index int
}

// ReadChunk reads chunk number chunk of file number file into dst, which must
// have room for [ChunkSize] bytes, and returns how many bytes it read. A file
// that is no longer what it was when the plan was made is an error.
func (r *Reader) ReadChunk(p *Plan, file, chunk int, dst []byte) (int, error) {
	f := p.Files[file]
	if err := r.open(p, file); err != nil {
		return 0, err
	}
	offset := int64(chunk) * ChunkSize
	want := int(min(f.Size-offset, ChunkSize))
	if want == 0 {
		return 0, nil
	}
	n, err := r.file.ReadAt(dst[:want], offset)
	if n == want {
		return n, nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = fmt.Errorf("%s became shorter while it was read", r.file.Name())
	}
	return n, err
}

// open makes file the open one.
func (r *Reader) open(p *Plan, file int) error {
	if r.file != nil && r.index == file {
		return nil
	}
	r.Close()
	f, err := os.Open(filepath.Join(p.Root, p.Files[file].Path))
	if err != nil {
		return err
	}
	r.file, r.index = f, file
	return nil
}

// Close closes the open file, if any.
func (r *Reader) Close() {
	if r.file != nil {
		r.file.Close()
		r.file = nil
	}
}
