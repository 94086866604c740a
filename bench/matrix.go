package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"shmkit/bench/internal/machine"
	"shmkit/bench/internal/matrix"
)

//go:embed testdata/limit.c
var limitSource string

const matrixUsage = `go run ./bench matrix measures every rival that is found on this machine, one axis at a time.

  -quick       two minutes instead of forty
  -only NAMES  only what has one of these in its name, separated by commas
  -list        print the names of what would be measured
  -json        print the rows as one JSON list
  -out FILE    where the raw results go (default bench/results/; "" for none)
`

// matrixOptions are what the command line of the matrix says.
type matrixOptions struct {
	matrix.Options
	list, json, help bool
	out              string
}

func parseMatrix(args []string) (matrixOptions, error) {
	var o matrixOptions
	f := flag.NewFlagSet("matrix", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.BoolVar(&o.Quick, "quick", false, "")
	f.StringVar(&o.Only, "only", "", "")
	f.BoolVar(&o.list, "list", false, "")
	f.BoolVar(&o.json, "json", false, "")
	f.StringVar(&o.out, "out", "bench/results/", "")
	if err := f.Parse(args); errors.Is(err, flag.ErrHelp) {
		o.help = true
		_, err := fmt.Fprint(os.Stdout, matrixUsage)
		return o, err
	} else if err != nil {
		return o, fmt.Errorf("matrix: %w (go run ./bench matrix -h lists the flags)", err)
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("matrix: unknown argument %q (go run ./bench matrix -h lists the flags)", f.Arg(0))
	}
	return o, nil
}

// runMatrix measures and prints row by row.
func runMatrix(ctx context.Context, args []string) error {
	o, err := parseMatrix(args)
	if err != nil || o.help {
		return err
	}
	o.Trace, o.Limit = machine.FindTracepoint(), limitSource
	tasks := matrix.Tasks(o.Options)
	if len(tasks) == 0 {
		return fmt.Errorf("matrix: nothing has %q in its name (go run ./bench matrix -list prints the names)", o.Only)
	}
	if o.list {
		for _, t := range tasks {
			fmt.Println(t.Name)
		}
		return nil
	}
	bar := newProgress()
	bar.steps = len(tasks)
	defer bar.clear()
	var rows []matrix.Row
	for _, t := range tasks {
		bar.begin(t.Name, 1)
		r, err := t.Run(ctx)
		if err != nil {
			return err
		}
		bar.done()
		bar.clear()
		rows = append(rows, r...)
		if !o.json {
			for _, r := range r {
				fmt.Println(matrix.Line(r))
			}
		}
	}
	if o.json {
		b, err := json.MarshalIndent(rows, "", "  ")
		if err != nil {
			return err
		}
		_, err = fmt.Println(string(b))
		return err
	}
	return nil
}
