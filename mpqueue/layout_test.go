package mpqueue

import (
	"bytes"
	"context"
	"encoding/hex"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestLayoutFile holds the tables of LAYOUT.md against the structs: the one is
// for people, the other for the compiler, and neither may drift.
func TestLayoutFile(t *testing.T) {
	file, err := os.ReadFile("LAYOUT.md")
	if err != nil {
		t.Fatal(err)
	}
	for section, typ := range map[string]reflect.Type{
		"control": reflect.TypeFor[control](),
		"slot":    reflect.TypeFor[slot](),
		"block":   reflect.TypeFor[block](),
	} {
		compareLayout(t, string(file), section, typ)
	}
}

// compareLayout holds the first table of a section against a struct.
func compareLayout(t *testing.T, file, section string, typ reflect.Type) {
	t.Helper()
	rows := layoutRows(t, file, section)
	if len(rows) == 0 {
		t.Errorf("no table for %s", section)
	}
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

// layoutRows returns offset and size of each field that the first table of a
// section names.
func layoutRows(t *testing.T, file, section string) map[string][2]int {
	_, rest, ok := strings.Cut(file, "\n## "+section+"\n")
	if !ok {
		t.Fatalf("no section %q", section)
	}
	rows := map[string][2]int{}
	in := false
	for line := range strings.Lines(rest) {
		c := strings.Split(line, "|")
		if len(c) < 6 {
			if in {
				break
			}
			continue
		}
		in = true
		off, err1 := strconv.Atoi(strings.TrimSpace(c[1]))
		size, err2 := strconv.Atoi(strings.TrimSpace(c[2]))
		if err1 == nil && err2 == nil {
			rows[strings.TrimSpace(c[4])] = [2]int{off, size}
		}
	}
	return rows
}

// TestLayoutExample makes the queue of the example and compares its bytes.
func TestLayoutExample(t *testing.T) {
	file, err := os.ReadFile("LAYOUT.md")
	if err != nil {
		t.Fatal(err)
	}
	q, err := New[uint64](2)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	if err := q.Put(context.Background(), 0x1122334455667788); err != nil {
		t.Fatal(err)
	}
	if n := compareExample(t, string(file), "## Example", q.Segment().Data()); n == 0 {
		t.Fatal("no bytes in the example")
	}
}

// compareExample holds the lines "offset, eight bytes" below a heading, up to the
// next chapter, against the memory of what the example makes, but for those at the
// offsets in but. It returns how many lines there are.
func compareExample(t *testing.T, file, heading string, data []byte, but ...int64) (n int) {
	t.Helper()
	_, example, _ := strings.Cut(file, heading)
	example, _, _ = strings.Cut(example, "\n# ")
	for line := range strings.Lines(example) {
		f := strings.Fields(line)
		if len(f) < 9 || len(f[0]) < 4 || len(f[0]) > 6 {
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
		if got := data[off : off+8]; !slices.Contains(but, off) && !bytes.Equal(got, want) {
			t.Errorf("at %#x: % x, LAYOUT.md says % x", off, got, want)
		}
	}
	return n
}
