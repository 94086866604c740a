package job

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
)

// TestLayout holds LAYOUT.md against the structs, and that workers do not
// write on each other's cache lines.
func TestLayout(t *testing.T) {
	file, err := os.ReadFile("LAYOUT.md")
	if err != nil {
		t.Fatal(err)
	}
	for section, typ := range map[string]reflect.Type{"cell": reflect.TypeFor[cell](), "entry": reflect.TypeFor[entry]()} {
		_, text, ok := strings.Cut(string(file), "\n## "+section+"\n")
		if !ok {
			t.Fatalf("no section %q", section)
		}
		text, _, _ = strings.Cut(text, "\n## ")
		fields := 0
		for i := range typ.NumField() {
			f := typ.Field(i)
			if f.Name == "_" {
				continue
			}
			fields++
			kind := strings.ToLower(strings.TrimPrefix(f.Type.Name(), "Atomic"))
			if f.Type.Kind() == reflect.Struct && f.Type.PkgPath() != "sync/atomic" {
				kind = "struct"
			}
			if row := fmt.Sprintf("| %d | %d | %s | %s |", f.Offset, f.Type.Size(), kind, f.Name); !strings.Contains(text, row) {
				t.Errorf("%s: LAYOUT.md has no row %q", section, row)
			}
		}
		if rows := strings.Count(text, "\n| ") - 1; rows != fields {
			t.Errorf("%s: %d fields, and LAYOUT.md has %d", section, fields, rows)
		}
	}
	if n := reflect.TypeFor[cell]().Size(); n%128 != 0 {
		t.Errorf("a cell has %d bytes, no multiple of 128", n)
	}
}
