package tree

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/cespare/xxhash/v2"
)

// Sum returns the digest of the bytes of one chunk.
func Sum(chunk []byte) uint64 { return xxhash.Sum64(chunk) }

// Walk reads every chunk of the plan in this process alone and returns the
// digest of each, by chunk number. It calls progress, if not nil, with the
// number of chunks done so far. It ends early with ctx's error.
func Walk(ctx context.Context, p *Plan, progress func(done int)) ([]uint64, error) {
	sums := make([]uint64, p.Chunks)
	buf := make([]byte, ChunkSize)
	var r Reader
	defer r.Close()
	for i, f := range p.Files {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		for c := range f.Chunks() {
			n, err := r.ReadChunk(p, i, c, buf)
			if err != nil {
				return nil, err
			}
			sums[f.First+c] = Sum(buf[:n])
		}
		if progress != nil {
			progress(f.First + f.Chunks())
		}
	}
	return sums, nil
}

// Fold returns one digest for a file: the digest of the digests of its
// chunks, in the order of their offsets.
func Fold(sums []uint64) uint64 {
	d := xxhash.New()
	var b [8]byte
	for _, s := range sums {
		binary.LittleEndian.PutUint64(b[:], s)
		d.Write(b[:])
	}
	return d.Sum64()
}

// FileDigests folds the digests of the chunks into one digest a file.
func FileDigests(p *Plan, sums []uint64) []uint64 {
	digests := make([]uint64, len(p.Files))
	for i, f := range p.Files {
		digests[i] = Fold(sums[f.First : f.First+f.Chunks()])
	}
	return digests
}

// A Difference is a file whose digest is not that of the reference.
type Difference struct {
	Path   string
	Chunk  int // first chunk of the file that differs
	Chunks int // how many differ
}

// String tells the difference in one line.
func (d Difference) String() string {
	return fmt.Sprintf("%s: %d chunks differ, the first at offset %d", d.Path, d.Chunks, int64(d.Chunk)*ChunkSize)
}

// Compare folds both lists of chunk digests file by file and returns the
// files that differ, in the order of the plan.
func Compare(p *Plan, want, got []uint64) []Difference {
	var diffs []Difference
	a, b := FileDigests(p, want), FileDigests(p, got)
	for i, f := range p.Files {
		if a[i] == b[i] {
			continue
		}
		d := Difference{Path: f.Path, Chunk: -1}
		for c := range f.Chunks() {
			if want[f.First+c] != got[f.First+c] {
				if d.Chunks++; d.Chunk < 0 {
					d.Chunk = c
				}
			}
		}
		diffs = append(diffs, d)
	}
	return diffs
}
