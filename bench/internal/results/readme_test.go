package results_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"shmkit/bench/internal/results"
)

// folder holds the raw results that the READMEs show.
const folder = "../../results"

func latest(t *testing.T) *results.File {
	t.Helper()
	path, err := results.Latest(folder)
	if err != nil {
		t.Fatal(err)
	}
	f, err := results.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestReadmes holds that the tables of the READMEs are those that the newest
// raw results make: go run ./bench report was run after the last change.
func TestReadmes(t *testing.T) {
	tables := latest(t).Tables()
	for _, name := range []string{"../../README.md", "../../../README.md"} {
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "README.md")
		if err := os.WriteFile(path, want, 0o600); err != nil {
			t.Fatal(err)
		}
		n, err := results.Fill(path, tables)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 || string(got) != string(want) {
			t.Errorf("%s is not what go run ./bench report makes of it (%d tables)", name, n)
		}
	}
}

// TestPlotFiles holds the same of the plots.
func TestPlotFiles(t *testing.T) {
	plots := latest(t).Plots()
	files, err := filepath.Glob(filepath.Join(folder, "plots", "*.svg"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".svg")
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if want, ok := plots[name]; !ok || want != string(b) {
			t.Errorf("%s.svg is not what go run ./bench report draws", name)
		}
		delete(plots, name)
	}
	if len(plots) > 0 {
		t.Errorf("go run ./bench report draws %v, and no file holds them", slices.Sorted(maps.Keys(plots)))
	}
}

// TestAllShown holds that a full run shows all it found out: each of its tables
// has a place in bench/README.md and each of its plots is linked there, also
// where another is faster.
func TestAllShown(t *testing.T) {
	f := latest(t)
	b, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for name := range f.Tables() {
		if !strings.Contains(string(b), "<!-- bench: "+name+" -->") {
			t.Errorf("bench/README.md has no place for the table %q", name)
		}
	}
	for name := range f.Plots() {
		if !strings.Contains(string(b), "(results/plots/"+name+".svg)") {
			t.Errorf("bench/README.md does not show the plot %q", name)
		}
	}
}
