package tree

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// ChunkSize is the largest number of bytes of a file that one message carries.
const ChunkSize = 32 << 10

// Errors of [NewPlan], for those who must tell them apart.
var (
	// ErrEmpty says that a folder holds no regular file.
	ErrEmpty = errors.New("no regular file in it")
	// ErrNotFolder says that the path is there, but is no folder.
	ErrNotFolder = errors.New("not a folder")
)

// A File is one regular file of a plan.
type File struct {
	Path  string // below Plan.Root, with the separators of this system
	Size  int64  // bytes, when the plan was made
	First int    // number of its first chunk
}

// Chunks reports how many chunks carry the file; an empty file has one.
func (f File) Chunks() int {
	return max(1, int((f.Size+ChunkSize-1)/ChunkSize))
}

// A Plan is the list of files to send. It is plain data and can be handed to
// another process. Goroutines may share it as long as nobody changes it.
type Plan struct {
	Root   string
	Files  []File
	Chunks int   // of all files together
	Bytes  int64 // of all files together
}

// NewPlan lists the regular files below root in the order of their paths.
// Symbolic links, FIFOs, sockets and devices are no files and are left out;
// root itself may be a link to a folder. A folder or file that this user may
// not read is an error that names it, found now and not half-way through a
// measurement. Other errors: fs.ErrNotExist, ErrNotFolder, ErrEmpty, and
// ctx's error.
func NewPlan(ctx context.Context, root string) (*Plan, error) {
	info, err := os.Stat(root)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("%s: %w", root, ErrNotFolder)
	}
	if root, err = filepath.EvalSymlinks(root); err != nil {
		return nil, err
	}
	if root, err = filepath.Abs(root); err != nil { // Children may have another working folder.
		return nil, err
	}
	p := &Plan{Root: root}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if !d.Type().IsRegular() {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if err := mayRead(path); err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		p.Files = append(p.Files, File{Path: rel, Size: info.Size()})
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(p.Files) == 0 {
		return nil, fmt.Errorf("%s: %w", root, ErrEmpty)
	}
	slices.SortFunc(p.Files, func(a, b File) int { return cmp.Compare(a.Path, b.Path) })
	p.number()
	return p, nil
}

// number gives the chunks their numbers and counts the bytes.
func (p *Plan) number() {
	p.Chunks, p.Bytes = 0, 0
	for i := range p.Files {
		p.Files[i].First = p.Chunks
		p.Chunks += p.Files[i].Chunks()
		p.Bytes += p.Files[i].Size
	}
}

// Chunk reports the number of the chunk of the given file that starts at
// offset, and how many bytes it has. It is false if the plan has no such
// chunk, as after a message was torn.
func (p *Plan) Chunk(file int, offset int64) (number, size int, ok bool) {
	if file < 0 || file >= len(p.Files) || offset < 0 || offset%ChunkSize != 0 {
		return 0, 0, false
	}
	f := p.Files[file]
	if offset > 0 && offset >= f.Size {
		return 0, 0, false
	}
	return f.First + int(offset/ChunkSize), int(min(f.Size-offset, ChunkSize)), true
}

// FileOf reports the file that chunk number n belongs to. It panics if the
// plan has no such chunk.
func (p *Plan) FileOf(n int) int {
	if n < 0 || n >= p.Chunks {
		panic(fmt.Sprintf("tree: chunk %d of a plan with %d", n, p.Chunks))
	}
	i, found := slices.BinarySearchFunc(p.Files, n, func(f File, n int) int { return cmp.Compare(f.First, n) })
	if !found {
		i--
	}
	return i
}

// mayRead opens and closes the file, so that a missing permission is found
// before anything is measured.
func mayRead(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return f.Close()
}
