package futexlock

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every fault point that is declared is somewhere in the code, and the other way
// round: the torture arms what is declared, and would wait in vain for the rest.
func TestDeclaredPoints(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	name := regexp.MustCompile(`(fault\.Point\()?"(futexlock\.[a-z.]+)"`)
	declared, passed := map[string]bool{}, map[string]bool{}
	for _, f := range files {
		if strings.HasSuffix(f, "_test.go") {
			continue
		}
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range name.FindAllStringSubmatch(string(text), -1) {
			if m[1] != "" {
				passed[m[2]] = true
			} else {
				declared[m[2]] = true
			}
		}
	}
	for p := range declared {
		if !passed[p] {
			t.Errorf("%s is declared and nowhere passed", p)
		}
	}
	for p := range passed {
		if !declared[p] {
			t.Errorf("%s is passed and not declared", p)
		}
	}
	if len(declared) < 40 {
		t.Errorf("only %d points found", len(declared))
	}
}
