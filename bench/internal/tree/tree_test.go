package tree_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"shmkit/bench/internal/tree"
)

// sample makes a folder with files of awkward sizes, and with things that are
// no files.
func sample(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for name, size := range map[string]int{
		"empty":         0,
		"one":           1,
		"exact":         tree.ChunkSize,
		"more":          tree.ChunkSize + 1,
		"sub/large":     5*tree.ChunkSize + 17,
		"sub/a.b/small": 300,
	} {
		path := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, bytes.Repeat([]byte(name), size/len(name)+1)[:size], 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("nowhere", filepath.Join(root, "dangling")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("one", filepath.Join(root, "link")); err != nil {
		t.Fatal(err)
	}
	if err := makeFifo(filepath.Join(root, "fifo")); err != nil {
		t.Fatal(err)
	}
	return root
}

func TestPlan(t *testing.T) {
	p, err := tree.NewPlan(t.Context(), sample(t))
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Files) != 6 {
		t.Fatalf("%d files, want 6: %v", len(p.Files), p.Files)
	}
	if p.Chunks != 1+1+1+2+6+1 {
		t.Errorf("%d chunks, want 12", p.Chunks)
	}
	if want := int64(0 + 1 + tree.ChunkSize + tree.ChunkSize + 1 + 5*tree.ChunkSize + 17 + 300); p.Bytes != want {
		t.Errorf("%d bytes, want %d", p.Bytes, want)
	}
	n := 0
	for i, f := range p.Files {
		for c := range f.Chunks() {
			number, size, ok := p.Chunk(i, int64(c)*tree.ChunkSize)
			if !ok || number != n {
				t.Errorf("chunk %d of %s has number %d, %v; want %d", c, f.Path, number, ok, n)
			}
			if want := min(tree.ChunkSize, int(f.Size)-c*tree.ChunkSize); size != want {
				t.Errorf("chunk %d of %s has %d bytes, want %d", c, f.Path, size, want)
			}
			if p.FileOf(n) != i {
				t.Errorf("FileOf(%d) = %d, want %d", n, p.FileOf(n), i)
			}
			n++
		}
		if _, _, ok := p.Chunk(i, int64(f.Chunks())*tree.ChunkSize); ok {
			t.Errorf("%s has a chunk behind its end", f.Path)
		}
	}
	for _, bad := range []struct {
		file   int
		offset int64
	}{{-1, 0}, {len(p.Files), 0}, {0, 1}, {0, -tree.ChunkSize}} {
		if _, _, ok := p.Chunk(bad.file, bad.offset); ok {
			t.Errorf("Chunk(%d, %d) is a chunk", bad.file, bad.offset)
		}
	}
}

func TestPlanErrors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	only := t.TempDir() // Things, but no file.
	if err := makeFifo(filepath.Join(only, "fifo")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		root string
		want error
	}{
		{filepath.Join(t.TempDir(), "missing"), fs.ErrNotExist},
		{file, tree.ErrNotFolder},
		{t.TempDir(), tree.ErrEmpty},
		{only, tree.ErrEmpty},
	} {
		_, err := tree.NewPlan(t.Context(), c.root)
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.root) {
			t.Errorf("NewPlan(%s): %v, want %v and the path", c.root, err, c.want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := tree.NewPlan(ctx, sample(t)); !errors.Is(err, context.Canceled) {
		t.Errorf("NewPlan of a cancelled context: %v", err)
	}
}

func TestUnreadable(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may read every file, whatever its mode")
	}
	root := sample(t)
	path := filepath.Join(root, "one")
	if err := os.Chmod(path, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := tree.NewPlan(t.Context(), root); !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), path) {
		t.Errorf("NewPlan: %v, want the path and fs.ErrPermission", err)
	}
}

// TestShares holds that the shares of any number of producers are the whole
// plan, each chunk once, and that a successor begins where the record says.
func TestShares(t *testing.T) {
	p, err := tree.NewPlan(t.Context(), sample(t))
	if err != nil {
		t.Fatal(err)
	}
	for of := 1; of <= 8; of++ {
		seen := make([]int, p.Chunks)
		for index := range of {
			s := tree.Share{Index: index, Of: of}
			total := s.Chunks(p)
			for sent := range total {
				file, chunk, ok := s.Locate(p, sent)
				if !ok {
					t.Fatalf("share %d of %d: nothing after %d of %d", index, of, sent, total)
				}
				seen[p.Files[file].First+chunk]++
			}
			if _, _, ok := s.Locate(p, total); ok {
				t.Errorf("share %d of %d goes on after its %d chunks", index, of, total)
			}
		}
		for n, times := range seen {
			if times != 1 {
				t.Errorf("%d producers: chunk %d is sent %d times", of, n, times)
			}
		}
	}
}

// TestCompare plants the faults that a broken queue would make and wants each
// of them seen.
func TestCompare(t *testing.T) {
	p, err := tree.NewPlan(t.Context(), sample(t))
	if err != nil {
		t.Fatal(err)
	}
	want, err := tree.Walk(t.Context(), p, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := func() []uint64 { return append([]uint64(nil), want...) }
	if d := tree.Compare(p, want, got()); d != nil {
		t.Fatalf("equal tables differ: %v", d)
	}
	large := 0
	for i, f := range p.Files {
		if f.Chunks() == 6 {
			large = i
		}
	}
	first := p.Files[large].First
	for name, plant := range map[string]func(sums []uint64){
		"lost":    func(s []uint64) { s[first+2] = 0 },
		"flipped": func(s []uint64) { s[first+2] ^= 1 },
		"swapped": func(s []uint64) { s[first+2], s[first+5] = s[first+5], s[first+2] },
	} {
		sums := got()
		plant(sums)
		d := tree.Compare(p, want, sums)
		if len(d) != 1 || d[0].Path != p.Files[large].Path || d[0].Chunk != 2 {
			t.Errorf("%s: %v, want chunk 2 of %s", name, d, p.Files[large].Path)
		}
	}
}

func TestFileChanged(t *testing.T) {
	root := sample(t)
	p, err := tree.NewPlan(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(root, "more"), 5); err != nil {
		t.Fatal(err)
	}
	if _, err := tree.Walk(t.Context(), p, nil); err == nil || !strings.Contains(err.Error(), "more became shorter") {
		t.Errorf("Walk of a file that was cut: %v", err)
	}
}
