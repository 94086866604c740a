package mpqueue

import (
	"context"
	"os"
	"reflect"
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
	compareLayout(t, string(file), "ring control", reflect.TypeFor[ringControl]())
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
	for PlainPublishing() && !canPublishPlain() {
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
	var but []int64
	if !PlainPublishing() { // this process may not call membarrier, or every store of its build is a fence
		but = append(but, 128)
	}
	if n := compareExample(t, string(file), "## Ring example", r.Segment().Data(), but...); n != 11 {
		t.Fatalf("%d lines in the example", n)
	}
}
