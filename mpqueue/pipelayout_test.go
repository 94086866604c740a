package mpqueue

import (
	"context"
	"os"
	"reflect"
	"strings"
	"testing"
)

// TestPipeLayoutFile holds the tables of LAYOUT.md against the structs.
func TestPipeLayoutFile(t *testing.T) {
	file, err := os.ReadFile("LAYOUT.md")
	if err != nil {
		t.Fatal(err)
	}
	for section, typ := range map[string]reflect.Type{
		"pipe control": reflect.TypeFor[pipeControl](),
		"way":          reflect.TypeFor[wayControl](),
	} {
		compareLayout(t, string(file), section, typ)
	}
	text := string(file)
	for what, want := range map[string]bool{
		"| 0 | first |": partFirst == 1<<0, "| 1 | last |": partLast == 1<<1, "| 2 | cut |": partCut == 1<<2,
		"| 0 | gone |": holdGone == 1<<0, "| 31 | waited | who": turnWaited == 1<<31,
		"| 63..35 | from |":                       grant(1<<35).from() == 1,
		"| 34..33 | end |":                        grant(2<<33).end() == 1,
		"bytes of way 0  size                   ": pipeData == 4096,
		"segment of kind 131":                     KindPipe == 131,
	} {
		if !want || !strings.Contains(text, what) {
			t.Errorf("LAYOUT.md and the code differ about %q", what)
		}
	}
}

// TestPipeLayoutExample makes the pipe of the example and compares its bytes.
func TestPipeLayoutExample(t *testing.T) {
	file, err := os.ReadFile("LAYOUT.md")
	if err != nil {
		t.Fatal(err)
	}
	a, b, err := Pipe(WithPipeSize(4096))
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	defer b.Close()
	if err := a.SendBytes(context.Background(), []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if n := compareExample(t, string(file), "## Pipe example", a.Segment().Data()); n != 7 {
		t.Fatalf("%d lines in the example", n)
	}
}
