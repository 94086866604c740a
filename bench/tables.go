package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"shmkit/bench/internal/results"
)

const tablesUsage = `go run ./bench report makes tables and plots of the raw results of a full run of the matrix.

  -results PATH  a file of results, or their folder: its newest (default bench/results)

It fills the marked places of bench/README.md and README.md and writes the plots into the folder plots beside the file.
`

// documents are those that show results, seen from the folder above bench.
var documents = []string{filepath.Join("bench", "README.md"), "README.md"}

// runTables is the command "report".
func runTables(args []string) error {
	f := flag.NewFlagSet("report", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	path := f.String("results", filepath.Join("bench", "results"), "")
	if err := f.Parse(args); errors.Is(err, flag.ErrHelp) {
		_, err := fmt.Print(tablesUsage)
		return err
	} else if err != nil {
		return fmt.Errorf("report: %w (go run ./bench report -h lists the flags)", err)
	}
	if f.NArg() > 0 {
		return fmt.Errorf("report: unknown argument %q (go run ./bench report -h lists the flags)", f.Arg(0))
	}
	info, err := os.Stat(*path)
	if err != nil {
		return fmt.Errorf("report: %w (go run ./bench matrix makes results)", err)
	}
	if info.IsDir() {
		if *path, err = results.Latest(*path); err != nil {
			return fmt.Errorf("report: %w (go run ./bench matrix makes some)", err)
		}
	}
	file, err := results.Load(*path)
	if err != nil {
		return err
	}
	fmt.Printf("%s: %d rows, %s\n", *path, len(file.Rows), file.Machine)
	tables := file.Tables()
	for _, doc := range documents {
		if _, err := os.Stat(doc); err != nil {
			continue // Seen from another folder.
		}
		n, err := results.Fill(doc, tables)
		if errors.Is(err, results.ErrNoMarks) {
			continue
		}
		if err != nil {
			return err
		}
		fmt.Printf("%s: %s\n", doc, count(n, "table"))
	}
	dir := filepath.Join(filepath.Dir(*path), "plots")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	plots := file.Plots()
	for _, name := range slices.Sorted(maps.Keys(plots)) {
		if err := os.WriteFile(filepath.Join(dir, name+".svg"), []byte(plots[name]), 0o644); err != nil {
			return err
		}
	}
	fmt.Printf("%s: %s\n", dir, count(len(plots), "plot"))
	return nil
}
