package house

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// rule says what the files of a folder, and of those below it that no longer
// rule names, may import.
type rule struct {
	under string   // "shm"; "shm/internal" is under it
	own   []string // packages of this module, and what is below them
	third []string // other modules
}

const (
	xsys   = "golang.org/x/sys"
	mmapgo = "github.com/edsrzf/mmap-go"
	xxhash = "github.com/cespare/xxhash/v2"
)

// library is the picture of the house for code that users link. The longest
// matching rule holds. Imports go one way:
//
//	shm  <-  futexlock  <-  mpqueue        shm  <-  procs
//	bench, procs/examples, shm/cmd/shmctl  ->  all
var library = []rule{
	{under: "shm", own: []string{"shm"}, third: []string{xsys, mmapgo, xxhash}},
	{under: "shm/fault", third: []string{xsys}},
	{under: "shm/cmd/shmctl", own: []string{"shm", "futexlock", "mpqueue"}},
	{under: "futexlock", own: []string{"shm", "futexlock"}, third: []string{xsys}},
	{under: "mpqueue", own: []string{"shm", "futexlock", "mpqueue"}, third: []string{xsys, xxhash}},
	{under: "procs", own: []string{"shm", "procs"}, third: []string{xsys, xxhash}},
	{under: "procs/examples", own: []string{"shm", "futexlock", "mpqueue", "procs"}},
	{under: "bench", own: []string{"shm", "futexlock", "mpqueue", "procs", "bench"}, third: []string{
		xsys, mmapgo, xxhash, "github.com/HdrHistogram/hdrhistogram-go", "gonum.org/v1/plot", "gonum.org/v1/gonum",
		"github.com/schollz/progressbar/v3", "github.com/vbauerster/mpb/v8", "github.com/cheggaaa/pb/v3", "golang.org/x/term",
	}},
}

// testsOnly are modules that tests may import as well.
var testsOnly = []string{
	"github.com/anishathalye/porcupine", "golang.org/x/net/nettest", "go.uber.org/goleak", "github.com/HdrHistogram/hdrhistogram-go", "gonum.org/v1/plot", xxhash, mmapgo, xsys,
}

// A source is a Go file of the repository.
type source struct {
	path string // from root, with slashes
	text []byte
	file *ast.File
	set  *token.FileSet
}

func (s *source) test() bool   { return strings.HasSuffix(s.path, "_test.go") }
func (s *source) dir() string  { return filepath.ToSlash(filepath.Dir(s.path)) }
func (s *source) name() string { return filepath.Base(s.path) }

// within reports whether path is dir or below it.
func within(path, dir string) bool { return path == dir || strings.HasPrefix(path, dir+"/") }

func parse(path string, text []byte) (*source, error) {
	s := &source{path: path, text: text, set: token.NewFileSet()}
	var err error
	s.file, err = parser.ParseFile(s.set, path, text, parser.ParseComments)
	return s, err
}

func sources(t *testing.T) (all []*source) {
	t.Helper()
	theirs := ignored(t) // such as the reader's own copy of the README's program
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && filepath.Dir(path) == filepath.Clean(root) && theirs(d.Name()) {
			return filepath.SkipDir
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && path != root || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		s, err := parse(filepath.ToSlash(rel), text)
		if err != nil {
			return err
		}
		all = append(all, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 50 {
		t.Fatalf("only %d files found: is this the repository?", len(all))
	}
	return all
}

// A check says what is wrong with one file.
type check func(s *source) []string

// each runs a check over all files, and over a planted file in which it must
// find something.
func each(t *testing.T, c check, plants ...[2]string) {
	t.Helper()
	for _, s := range sources(t) {
		for _, wrong := range c(s) {
			t.Errorf("%s: %s", s.path, wrong)
		}
	}
	for _, p := range plants {
		s, err := parse(p[0], []byte(p[1]))
		if err != nil {
			t.Fatal(err)
		}
		if len(c(s)) == 0 {
			t.Errorf("a planted %s with %q is not noticed", p[0], p[1])
		}
	}
}

func ruleOf(dir string) *rule {
	var best *rule
	for i := range library {
		if r := &library[i]; within(dir, r.under) && (best == nil || len(r.under) > len(best.under)) {
			best = r
		}
	}
	return best
}

func imports(s *source) (wrong []string) {
	r := ruleOf(s.dir())
	if r == nil {
		return []string{"a package outside the house"}
	}
	for _, im := range s.file.Imports {
		path, _ := strconv.Unquote(im.Path.Value)
		own, mine := strings.CutPrefix(path, "shmkit/")
		switch {
		case path == "C":
			wrong = append(wrong, "cgo")
		case mine && (slices.ContainsFunc(r.own, func(p string) bool { return within(own, p) }) || within(own, s.dir())):
		case mine && s.test(): // black-box tests may play with every package
			if !strings.HasSuffix(s.file.Name.Name, "_test") && s.file.Name.Name != "main" && within("procs", own) && within(s.dir(), "shm") {
				wrong = append(wrong, "a test inside the package imports "+path)
			}
		case !mine && !strings.Contains(strings.SplitN(path, "/", 2)[0], "."): // standard library
		case slices.ContainsFunc(r.third, func(p string) bool { return within(path, p) }):
		case s.test() && slices.ContainsFunc(testsOnly, func(p string) bool { return within(path, p) }):
		default:
			wrong = append(wrong, "imports "+path)
		}
	}
	return wrong
}

func TestImports(t *testing.T) {
	each(t, imports,
		[2]string{"shm/x.go", `package shm; import _ "shmkit/futexlock"`},
		[2]string{"futexlock/x.go", `package futexlock; import _ "shmkit/mpqueue"`},
		[2]string{"procs/x.go", `package procs; import _ "shmkit/mpqueue"`},
		[2]string{"mpqueue/x.go", `package mpqueue; import _ "github.com/anishathalye/porcupine"`},
		[2]string{"shm/x.go", `package shm; import "C"`},
		[2]string{"util/x.go", `package util`})
}

// unsafeImport: unsafe only in files whose name says so, and in tests.
func unsafeImport(s *source) []string {
	if s.test() || strings.HasSuffix(s.name(), "_unsafe.go") || strings.HasSuffix(s.name(), "_linux.go") || regexp.MustCompile(`_unsafe(_\w+)?\.go$`).MatchString(s.name()) {
		return nil
	}
	for _, im := range s.file.Imports {
		if im.Path.Value == `"unsafe"` {
			return []string{"imports unsafe; its name should end in _unsafe.go"}
		}
	}
	return nil
}

func TestUnsafe(t *testing.T) {
	each(t, unsafeImport, [2]string{"shm/x.go", `package shm; import "unsafe"; var _ unsafe.Pointer`})
}

// systemCalls: raw ones only in *_linux.go, linkname nowhere.
func systemCalls(s *source) (wrong []string) {
	linux := strings.HasSuffix(s.name(), "_linux.go") || strings.HasSuffix(s.name(), "_linux_test.go")
	ast.Inspect(s.file, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok || linux {
			return true
		}
		if x, ok := sel.X.(*ast.Ident); ok && (x.Name == "unix" || x.Name == "syscall") && regexp.MustCompile(`^(Raw)?Syscall6?$`).MatchString(sel.Sel.Name) {
			wrong = append(wrong, fmt.Sprintf("line %d: raw system call outside *_linux.go", s.set.Position(n.Pos()).Line))
		}
		return true
	})
	for _, im := range s.file.Imports {
		if im.Path.Value == `"golang.org/x/sys/unix"` && !linux && !s.test() {
			wrong = append(wrong, "imports x/sys/unix outside *_linux.go")
		}
	}
	for _, g := range s.file.Comments {
		for _, c := range g.List {
			if strings.HasPrefix(c.Text, "//go:linkname") {
				wrong = append(wrong, "linkname")
			}
		}
	}
	return wrong
}

func TestSystemCalls(t *testing.T) {
	each(t, systemCalls,
		[2]string{"shm/x.go", "package shm; import \"syscall\"\nfunc f() { syscall.RawSyscall6(0, 0, 0, 0, 0, 0, 0) }"},
		[2]string{"shm/x.go", "package shm\n//go:linkname f runtime.f\nfunc f()"})
}

// size: a file is short enough to be read in one go.
func size(s *source) []string {
	if n := strings.Count(string(s.text), "\n"); n > 400 {
		return []string{fmt.Sprintf("%d lines, want at most 400", n)}
	}
	return nil
}

func TestSize(t *testing.T) {
	each(t, size, [2]string{"shm/x.go", "package shm\n" + strings.Repeat("\n", 500)})
}

// machine: nothing of the machine that it was written on. A path that begins at
// the root leads to what every Linux has, or is short and of a test.
func machine(s *source) (wrong []string) {
	for i, line := range strings.Split(string(s.text), "\n") {
		for _, m := range rooted.FindAllStringSubmatch(line, -1) {
			if !slices.Contains([]string{"proc", "sys", "dev", "bin", "tmp", "no"}, m[1]) {
				wrong = append(wrong, fmt.Sprintf("line %d: a path of one machine: %s", i+1, strings.TrimSpace(line)))
			}
		}
	}
	return wrong
}

// rooted is a string that begins with a folder at the root and another in it.
var rooted = regexp.MustCompile("[\"`'(= ]/([a-z]+)/[a-z]+/?[a-zA-Z.]*[\"`'/) ]")

func TestMachinePaths(t *testing.T) {
	each(t, machine, [2]string{"shm/x.go", "package shm\nconst x = \"" + "/home" + "/me/x\""})
}

// documented: every exported name has a comment that begins with it.
func documented(s *source) (wrong []string) {
	if s.test() || s.file.Name.Name == "main" {
		return nil
	}
	bad := func(name *ast.Ident, doc *ast.CommentGroup, group bool) {
		if !name.IsExported() {
			return
		}
		text := strings.TrimSpace(doc.Text())
		for _, article := range []string{"A ", "An ", "The "} {
			text = strings.TrimPrefix(text, article)
		}
		if text == "" || !group && !strings.HasPrefix(text, name.Name) {
			wrong = append(wrong, fmt.Sprintf("line %d: %s: its comment does not begin with its name", s.set.Position(name.Pos()).Line, name.Name))
		}
	}
	for _, d := range s.file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil || exportedReceiver(d.Recv) {
				bad(d.Name, d.Doc, false)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch sp := spec.(type) {
				case *ast.TypeSpec:
					bad(sp.Name, first(sp.Doc, d.Doc), false)
				case *ast.ValueSpec:
					for _, n := range sp.Names { // constants of a group may share a comment
						bad(n, first(sp.Doc, sp.Comment, d.Doc), len(d.Specs) > 1)
					}
				}
			}
		}
	}
	return wrong
}

func first(groups ...*ast.CommentGroup) *ast.CommentGroup {
	for _, g := range groups {
		if g != nil {
			return g
		}
	}
	return nil
}

func exportedReceiver(r *ast.FieldList) bool {
	found := false
	ast.Inspect(r.List[0].Type, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && !found {
			found = true
			if !id.IsExported() {
				r = nil
			}
		}
		return !found
	})
	return r != nil
}

func TestDocumented(t *testing.T) {
	each(t, documented,
		[2]string{"shm/x.go", "package shm\nfunc Exported() {}"},
		[2]string{"shm/x.go", "package shm\n// This does something.\nfunc Exported() {}"},
		[2]string{"shm/x.go", "package shm\ntype T int\nfunc (t *T) Exported() {}"})
}

// The top level holds the packages and what tools need, nothing else.
func TestTopLevel(t *testing.T) {
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	tracked := ignored(t)
	for _, e := range entries {
		name := e.Name()
		switch {
		case strings.HasPrefix(name, "."), tracked(name):
		case slices.Contains([]string{"go.mod", "go.sum", "LICENSE", "README.md", "shm", "futexlock", "mpqueue", "procs", "bench"}, name):
		default:
			t.Errorf("%s does not belong at the top level", name)
		}
	}
}

// ignored reports what .gitignore leaves out: the products of runs.
func ignored(t *testing.T) func(name string) bool {
	b, err := os.ReadFile(filepath.Join(root, ".gitignore"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Fields(string(b))
	return func(name string) bool {
		return slices.ContainsFunc(lines, func(p string) bool {
			ok, _ := filepath.Match(strings.TrimPrefix(p, "/"), name)
			return ok
		})
	}
}

// Names that say nothing.
func TestNames(t *testing.T) {
	for _, s := range sources(t) {
		for _, part := range strings.Split(strings.TrimSuffix(s.path, ".go"), "/") {
			if slices.Contains([]string{"util", "utils", "common", "helper", "helpers", "manager", "misc", "base"}, part) {
				t.Errorf("%s: %q says nothing", s.path, part)
			}
		}
	}
}
