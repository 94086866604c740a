package mpqueue

import (
	"bytes"
	"context"
	"encoding/hex"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestRingLayoutFile holds the tables of LAYOUT.md against the struct and the
// constants.
func TestRingLayoutFile(t *testing.T) {
	file, err := os.ReadFile("LAYOUT.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := layoutRows(t, string(file), "ring control")
	typ := reflect.TypeFor[ringControl]()
	for i := range typ.NumField() {
		f := typ.Field(i)
		if f.Name == "_" {
			continue
		}
		got, ok := rows[f.Name]
		if want := [2]int{int(f.Offset), int(f.Type.Size())}; !ok || got != want {
			t.Errorf("ringControl.%s: offset, size = %v; LAYOUT.md says %v", f.Name, want, got)
		}
		delete(rows, f.Name)
	}
	for name := range rows {
		t.Errorf("ringControl.%s is in LAYOUT.md only", name)
	}
	for what, want := range map[string]bool{
		"| 0 | open |": ringOpen == 1<<0, "| 1 | closed |": ringClosed == 1<<1, "| 2 | fence |": ringFence == 1<<2,
		"| 30 | plain |": rolePlain == 1<<30, "| 31 | abandoned |": uint32(roleAbandoned) == 1<<31,
		"2 × position of the end + 1": endAt(21) == 43,
		"kind 129 (Ring)":             KindRing == 129,
		"130 (ByteRing)":              KindByteRing == 130,
		"capacity | creator | items at one time, 1 to 2^40": maxRing == 1<<40,
	} {
		if !want || !strings.Contains(string(file), what) {
			t.Errorf("LAYOUT.md and the code differ about %q", what)
		}
	}
}

// TestRingLayoutExample makes the ring of the example and compares its bytes.
func TestRingLayoutExample(t *testing.T) {
	file, err := os.ReadFile("LAYOUT.md")
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewRing[uint64](3)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for membarrierAllowed() && !canPublishPlain() {
		time.Sleep(time.Millisecond)
	}
	for _, v := range []uint64{0x1122334455667788, 0x99} {
		if err := r.Put(context.Background(), v); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.Get(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := r.CloseSend(); err != nil {
		t.Fatal(err)
	}
	_, example, _ := strings.Cut(string(file), "## Ring example")
	n := 0
	for line := range strings.Lines(example) {
		f := strings.Fields(line)
		if len(f) < 9 || len(f[0]) != 6 {
			continue
		}
		off, err := strconv.ParseInt(f[0], 16, 64)
		if err != nil {
			continue
		}
		want, err := hex.DecodeString(strings.Join(f[1:9], ""))
		if err != nil {
			t.Fatal(err)
		}
		n++
		if off == 128 && !canPublishPlain() {
			continue // this process may not call membarrier
		}
		if got := r.Segment().Data()[off : off+8]; !bytes.Equal(got, want) {
			t.Errorf("at %#x: % x, LAYOUT.md says % x", off, got, want)
		}
	}
	if n != 11 {
		t.Fatalf("%d lines in the example", n)
	}
}
