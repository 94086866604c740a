package shm

import (
	"encoding/hex"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// section returns the part of LAYOUT.md under the heading that names the struct.
func section(t *testing.T, text, name string) string {
	t.Helper()
	_, rest, ok := strings.Cut(text, "(`"+name+"`")
	if !ok {
		t.Fatalf("LAYOUT.md has no section for %s", name)
	}
	end := strings.Index(rest, "\n#")
	if end < 0 {
		return rest
	}
	return rest[:end]
}

type placed struct {
	off, size uintptr
	name      string
}

// documented reads the rows "| offset | size | field |" of a table.
func documented(text string) (all []placed) {
	for _, m := range regexp.MustCompile(`(?m)^\| (\d+) \| (\d+) \| (\w+) \|`).FindAllStringSubmatch(text, -1) {
		off, _ := strconv.Atoi(m[1])
		size, _ := strconv.Atoi(m[2])
		all = append(all, placed{uintptr(off), uintptr(size), m[3]})
	}
	return all
}

func fields(t reflect.Type) (all []placed) {
	for f := range t.Fields() {
		if f.Name != "_" {
			all = append(all, placed{f.Offset, f.Type.Size(), f.Name})
		}
	}
	return all
}

func differences(text string, structs map[string]reflect.Type, cut func(string) string) (wrong []string) {
	for name, typ := range structs {
		want, got := documented(cut(name)), fields(typ)
		if len(want) != len(got) {
			wrong = append(wrong, fmt.Sprintf("%s: %d fields, LAYOUT.md has %d", name, len(got), len(want)))
			continue
		}
		for i := range got {
			if got[i] != want[i] {
				wrong = append(wrong, fmt.Sprintf("%s: field %d is %v, LAYOUT.md says %v", name, i, got[i], want[i]))
			}
		}
	}
	return wrong
}

var specified = map[string]reflect.Type{
	"header": reflect.TypeFor[header](), "wall": reflect.TypeFor[wall](), "lockEntry": reflect.TypeFor[lockEntry](),
	"slot": reflect.TypeFor[slot](), "desc": reflect.TypeFor[desc](), "descLock": reflect.TypeFor[descLock](),
}

func readLayout(t *testing.T) string {
	b, err := os.ReadFile("LAYOUT.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestLayoutTables(t *testing.T) {
	text := readLayout(t)
	for _, w := range differences(text, specified, func(name string) string { return section(t, text, name) }) {
		t.Error(w)
	}
	// The oracle fails where it should: one offset changed, one row gone.
	for _, plant := range [][2]string{{"| 40 | 8 | dataOff", "| 44 | 8 | dataOff"}, {"| 4 | 4 | highSlot", "| 4 | 4 | x"}} {
		damaged := strings.Replace(text, plant[0], plant[1], 1)
		if len(differences(damaged, specified, func(name string) string { return section(t, damaged, name) })) == 0 {
			t.Errorf("%q in place of %q is not noticed", plant[1], plant[0])
		}
	}
}

func TestLayoutConstants(t *testing.T) {
	text := readLayout(t)
	for what, want := range map[string]string{
		"header":   fmt.Sprintf("0      header       %d ", reflect.TypeFor[header]().Size()),
		"wall":     fmt.Sprintf("%d    wall          %d ", wallOffset, reflect.TypeFor[wall]().Size()),
		"lock map": fmt.Sprintf("%d   lock map    %d ", lockMapOffset, lockMapCap*reflect.TypeFor[lockEntry]().Size()),
		"slots":    fmt.Sprintf("%d   slots              the participant table: %d bytes", slotOffset, slotSize),
		"visitor":  fmt.Sprintf("%d   slot 0       %d ", slotOffset-slotSize, slotSize),
		"slot":     fmt.Sprintf("| %#x + slot | slot | exclusive, by the participant (0: the visitor)", lockBase),
		"sweep":    fmt.Sprintf("| %#x + slot | sweep |", sweepBase),
		"create":   fmt.Sprintf("| %#x | create |", int64(createByte)),
		"states":   fmt.Sprintf("state: %d free, %d claiming, %d live, %d dead", slotFree, slotClaiming, slotLive, slotDead),
		"token":    fmt.Sprintf("| %d..%d | slot, 1 to %d; 0: a visitor |", TokenBits-1, incBits, maxSlots),
		"inc":      fmt.Sprintf("| %d..0 | incarnation, 1 to %#x |", incBits-1, lastInc),
		"bells":    fmt.Sprintf("| %d | somebody may sleep", trailingZeros(liveWaited)),
		"died":     fmt.Sprintf("| %d | the anchor thread", trailingZeros(liveDied)),
		"version":  fmt.Sprintf("segment, version %d", version),
		"handle":   fmt.Sprintf("A handle on its way (%d bytes", refSize),
		"kinds":    fmt.Sprintf("%d bytes, %d one object, %d a slice, %d an arena", KindBytes, KindObject, KindSlice, KindArena),
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%s: LAYOUT.md does not say %q", what, want)
		}
	}
}

// Every line of the hex dump is what the recorded segment has there.
func TestLayoutDump(t *testing.T) {
	recorded, err := os.ReadFile("testdata/v1.shm")
	if err != nil {
		t.Fatal(err)
	}
	lines := regexp.MustCompile(`(?m)^([0-9a-f]{8})  ((?:[0-9a-f]{2} ){8}) ((?:[0-9a-f]{2} ){8})`).FindAllStringSubmatch(readLayout(t), -1)
	if len(lines) < 15 {
		t.Fatalf("%d lines in the hex dump", len(lines))
	}
	for _, m := range lines {
		off, _ := strconv.ParseUint(m[1], 16, 32)
		want, err := hex.DecodeString(strings.ReplaceAll(m[2]+m[3], " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		if got := recorded[off : off+16]; string(got) != string(want) {
			t.Errorf("%s: LAYOUT.md has % x, the segment % x", m[1], want, got)
		}
	}
}
