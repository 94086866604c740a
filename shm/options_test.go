package shm_test

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"

	"shmkit/shm"
)

func TestOptions(t *testing.T) {
	s, err := shm.CreateSegment("mode", 100, shm.WithMode(0o640), shm.WithParticipants(9), shm.WithKeep(), shm.WithHugePages(), shm.WithPrefault())
	if err != nil {
		t.Fatal(err)
	}
	defer shm.Remove("mode")
	fi, err := os.Stat(nameFile("mode"))
	if err != nil || fi.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v", fi.Mode(), err)
	}
	i := s.Info()
	if s.MaxParticipants() != 9 || !i.Keep || !i.Huge || !i.Attached || i.Payload != 100 || i.Kind != "shm.Segment" {
		t.Errorf("%+v", i)
	}
	t.Logf("huge pages: %q", i.Note)
	s.Close()
	if _, err := shm.CreateSegment("mode", 100); !errors.Is(err, fs.ErrExist) {
		t.Errorf("what is kept was replaced: %v", err)
	}
	if gone, err := shm.Collect(); err != nil || len(gone) != 0 {
		t.Errorf("gc took %v, %v", gone, err)
	}
	for _, n := range []int{0, -1, 2048} {
		func() {
			defer func() {
				if r := recover(); r == nil || !strings.HasPrefix(r.(string), "shm: ") {
					t.Errorf("WithParticipants(%d): %v", n, r)
				}
			}()
			shm.WithParticipants(n)
		}()
	}
	if _, err := shm.NewSegment(-1); !errors.Is(err, fs.ErrInvalid) {
		t.Error(err)
	}
	if _, err := shm.NewSlice[int64](-1); !errors.Is(err, fs.ErrInvalid) {
		t.Error(err)
	}
	if _, err := shm.NewSlice[int64](1 << 50 >> (64 - intSize)); err == nil && intSize == 64 {
		t.Error("a slice beyond all memory")
	}
}

const intSize = 32 << (^uint(0) >> 63)

func TestSliceNamed(t *testing.T) {
	a, err := shm.CreateSlice[int32]("slice", 1000)
	if err != nil {
		t.Fatal(err)
	}
	defer shm.Remove("slice")
	a.Data()[999] = 5
	b, err := shm.OpenSlice[int32]("slice")
	if err != nil || len(b.Data()) != 1000 || b.Data()[999] != 5 {
		t.Fatal(err)
	}
	text, err := b.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	var c shm.Slice[int32]
	if err := c.UnmarshalText(text); err != nil || &c.Data()[0] != &a.Data()[0] {
		t.Fatal(err)
	}
	for _, s := range []*shm.Slice[int32]{a, b, &c} {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("Close again: %v", err)
		}
	}
}

func TestFromFile(t *testing.T) {
	a, err := shm.Create[int64]("file")
	if err != nil {
		t.Fatal(err)
	}
	defer shm.Remove("file")
	defer a.Close()
	f, err := os.OpenFile(nameFile("file"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s, err := shm.FromFile(f)
	if err != nil || s.ID() != a.Segment().ID() || s.TypeName() != "int64" {
		t.Fatal(err)
	}
	text, err := s.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	var again shm.Segment
	if err := again.UnmarshalText(text); err != nil {
		t.Fatal(err)
	}
	again.Close()
	s.Close()
	if s.Self() != a.Segment().Self() || s.Current(s.Self().Slot()) != s.Self() || s.Current(0) != 0 || s.Current(9999) != 0 {
		t.Error("one process, two participants")
	}
}

// Peek looks and leaves no trace.
func TestPeek(t *testing.T) {
	leaveEstate(t, "peek")
	defer shm.Remove("peek")
	before, err := os.ReadFile(nameFile("peek"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := shm.Peek("peek")
	if err != nil {
		t.Fatal(err)
	}
	ps := s.Participants()
	if len(ps) != 1 || s.Alive(ps[0].Token) || s.Self() != 0 || s.Claims() != 1 || s.Sweeps() != 0 {
		t.Errorf("%+v", ps)
	}
	held := 0
	for _, it := range shm.Describe(s) {
		if strings.Contains(it.State, "locked by") {
			held++
		}
	}
	if held != 7 {
		t.Errorf("%d locks held, want 7", held)
	}
	if len(shm.Check(s)) == 0 {
		t.Error("Check does not see the dead one")
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	after, err := os.ReadFile(nameFile("peek"))
	if err != nil || string(after) != string(before) {
		t.Error("Peek has changed the segment")
	}
	if _, err := shm.Peek("nobody"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if _, err := shm.Stat("nobody"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	o, err := shm.New[int64](shm.WithOwnSegment())
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	p, err := shm.Peek(o.Segment().ID().String()[:12])
	if err != nil || p.ID() != o.Segment().ID() {
		t.Fatalf("by id: %v", err)
	}
	p.Close()
	if !o.Segment().Info().Attached || shm.Find(o.Value()) == nil {
		t.Error("Peek has taken the segment away")
	}
}
