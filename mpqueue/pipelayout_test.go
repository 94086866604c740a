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
		rows := layoutRows(t, string(file), section)
		for i := range typ.NumField() {
			f := typ.Field(i)
			if f.Name == "_" {
				continue
			}
			got, ok := rows[f.Name]
			if want := [2]int{int(f.Offset), int(f.Type.Size())}; !ok || got != want {
				t.Errorf("%s.%s: offset, size = %v; LAYOUT.md says %v", section, f.Name, want, got)
			}
			delete(rows, f.Name)
		}
		for name := range rows {
			t.Errorf("%s.%s is in LAYOUT.md only", section, name)
		}
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
	_, example, _ := strings.Cut(string(file), "## Pipe example")
	n := 0
	for line := range strings.Lines(example) {
		f := strings.Fields(line)
		if len(f) < 9 || len(f[0]) != 5 {
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
		if got := a.Segment().Data()[off : off+8]; !bytes.Equal(got, want) {
			t.Errorf("at %#x: % x, LAYOUT.md says % x", off, got, want)
		}
		n++
	}
	if n != 7 {
		t.Fatalf("%d lines in the example", n)
	}
}
