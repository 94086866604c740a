package shm_test

import (
	"bytes"
	"context"
	"os"
	"testing"
	"time"

	"shmkit/shm"
)

// FuzzOpen opens damaged segments: edits of a sound one, given as triples of
// two bytes of offset and one of content. The header's checksum is made right
// again, so that damage of the header goes deeper than its check. Nothing may
// panic, fault or hang.
func FuzzOpen(f *testing.F) {
	good, err := os.ReadFile(golden)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte{0, 12, 3})                                     // kind
	f.Add([]byte{0, 92, 1, 0, 40, 0, 0, 41, 0x20})              // slots
	f.Add([]byte{2, 0, 64, 4, 0, 64, 4, 8, 255, 4, 24, 255})    // lock map
	f.Add([]byte{16, 12, 2, 16, 11, 0x80, 16, 0, 1, 32, 3, 64}) // slot, lock
	f.Add([]byte{0, 12, 4, 0, 64, 64, 0, 72, 1, 0, 49, 1})      // arena
	f.Add([]byte{48, 48, 4, 48, 64, 1, 48, 12, 63})             // kind of a lock, and no room for one
	f.Fuzz(func(t *testing.T, edits []byte) {
		b := bytes.Clone(good)
		for ; len(edits) >= 3; edits = edits[3:] {
			b[(int(edits[0])<<8|int(edits[1]))%len(b)] = edits[2]
		}
		b = seal(b)
		if err := os.WriteFile(nameFile("fuzz"), b, 0o600); err != nil {
			t.Fatal(err)
		}
		defer os.Remove(nameFile("fuzz"))
		begin := time.Now()
		if o, err := shm.Open[account]("fuzz"); err == nil {
			v := o.Value()
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			if err := v.Mu.LockContext(ctx); err == nil {
				v.Mu.Unlock()
			}
			cancel()
			poke(o.Segment())
			o.Close()
		}
		if s, err := shm.OpenSegment("fuzz"); err == nil {
			poke(s)
			s.Close()
		}
		shm.List()
		if d := time.Since(begin); d > 5*time.Second {
			t.Errorf("it took %v", d)
		}
	})
}

// poke asks a segment everything.
func poke(s *shm.Segment) {
	shm.Check(s)
	s.Sweep()
	for _, p := range s.Participants() {
		s.Dead(p.Token)
		s.Dying(p.Token)
		s.Confirm(p.Token)
		s.Participant(p.Token)
	}
	shm.At[uint64](s, 0)
	shm.SliceAt[uint32](s, 0, s.Elems())
	shm.Describe(s)
}
