package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// exported returns the exported names that a package declares: as "Name" those
// of the package itself, and as ".Name" those of methods.
func exported(t *testing.T, folder string) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	files, err := filepath.Glob(filepath.Join(root, folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil {
					names[d.Name.Name] = true
				} else {
					names["."+d.Name.Name] = true
				}
			case *ast.GenDecl:
				for _, s := range d.Specs {
					switch s := s.(type) {
					case *ast.TypeSpec:
						names[s.Name.Name] = true
					case *ast.ValueSpec:
						for _, n := range s.Names {
							names[n.Name] = true
						}
					}
				}
			}
		}
	}
	return names
}

var (
	qualified = regexp.MustCompile(`\b(shm|futexlock|mpqueue|procs)\.([A-Z]\w*)`)
	method    = regexp.MustCompile(`(?:\b[a-z]|\))\.([A-Z]\w*)\(`)
)

// TestReadmeNames holds that everything the README names is there: each function,
// type, error and option by its package, each method in one of them.
func TestReadmeNames(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	methods, names := map[string]bool{}, map[string]map[string]bool{}
	for _, p := range []string{"shm", "futexlock", "mpqueue", "procs"} {
		names[p] = exported(t, p)
		for n := range names[p] {
			methods[n] = true
		}
	}
	all := qualified.FindAllStringSubmatch(string(text), -1)
	for _, m := range all {
		if !names[m[1]][m[2]] {
			t.Errorf("the README names %s, which is not there", m[0])
		}
	}
	calls := method.FindAllStringSubmatch(string(text), -1)
	for _, m := range calls {
		if !methods["."+m[1]] {
			t.Errorf("the README calls %s, which no type has", m[0])
		}
	}
	t.Logf("%d names and %d calls", len(all), len(calls))
	if len(all) < 40 || len(calls) < 40 {
		t.Error("these are not all")
	}
}
