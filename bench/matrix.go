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
	"time"

	"shmkit/bench/internal/machine"
	"shmkit/bench/internal/matrix"
	"shmkit/bench/internal/results"
)

//go:embed testdata/limit.c
var limitSource string

const matrixUsage = `go run ./bench matrix measures every rival that is found on this machine, one axis at a time.

  -quick       two minutes instead of some 25
  -time T      how long one repeat shall take (default 400ms; 25ms with -quick)
  -within T    begin nothing any more after so long; the results say what is missing
  -only NAMES  only what has one of these in its name, separated by commas
  -list        print the names of what would be measured
  -json        print the rows as one JSON list
  -out DIR     the folder for the raw results (default bench/results for a full run, else none)
`

// matrixOptions are what the command line of the matrix says.
type matrixOptions struct {
	matrix.Options
	list, json, help bool
	within           time.Duration // 0: no limit
	out              string
	args             string // as given, without -out: a folder of one machine tells nobody anything
}

func parseMatrix(args []string) (matrixOptions, error) {
	var o matrixOptions
	f := flag.NewFlagSet("matrix", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.BoolVar(&o.Quick, "quick", false, "")
	f.DurationVar(&o.Time, "time", 0, "")
	f.DurationVar(&o.within, "within", 0, "")
	f.StringVar(&o.Only, "only", "", "")
	f.BoolVar(&o.list, "list", false, "")
	f.BoolVar(&o.json, "json", false, "")
	f.StringVar(&o.out, "out", "", "")
	if err := f.Parse(args); errors.Is(err, flag.ErrHelp) {
		o.help = true
		_, err := fmt.Fprint(os.Stdout, matrixUsage)
		return o, err
	} else if err != nil {
		return o, fmt.Errorf("matrix: %w (go run ./bench matrix -h lists the flags)", err)
	}
	o.args = "matrix"
	f.Visit(func(f *flag.Flag) {
		switch {
		case f.Name == "out":
		case f.Value.String() == "true":
			o.args += " -" + f.Name
		default:
			o.args += " -" + f.Name + " " + f.Value.String()
		}
	})
	if f.NArg() > 0 {
		return o, fmt.Errorf("matrix: unknown argument %q (go run ./bench matrix -h lists the flags)", f.Arg(0))
	}
	if o.Time < 0 || o.within < 0 {
		return o, errors.New("matrix: -time and -within are durations above zero, as 250ms or 20m")
	}
	if o.out == "" && !o.Quick && o.Only == "" {
		o.out = "bench/results"
		if _, err := os.Stat("bench"); err != nil {
			return o, errors.New("matrix: run it in the folder above bench, where its results go, or say -out DIR")
		}
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
	file := results.File{Args: o.args, Machine: machine.Describe(), Quick: o.Quick, Only: o.Only, RepeatSeconds: o.Time.Seconds()}
	begin, steal := time.Now(), machine.WatchSteal()
	for _, t := range tasks {
		if o.within > 0 && time.Since(begin) > o.within {
			file.Missing = append(file.Missing, t.Name)
			continue
		}
		bar.begin(t.Name, 1)
		rows, err := t.Run(ctx)
		if ctx.Err() != nil {
			return err
		}
		if err != nil { // The run has failed, but the other cases tell of others.
			bar.clear()
			fmt.Fprintf(os.Stderr, "%s: %v\n", t.Name, err)
			file.Failed = append(file.Failed, fmt.Sprintf("%s: %v", t.Name, err))
			rows = nil
		}
		bar.done()
		bar.clear()
		file.Rows = append(file.Rows, rows...)
		if !o.json {
			for _, r := range rows {
				fmt.Println(matrix.Line(r))
			}
		}
	}
	bar.clear()
	file.Steal, file.Seconds = steal.Percent(), time.Since(begin).Seconds()
	if err := o.publish(&file); err != nil {
		return err
	}
	if n := len(file.Failed); n > 0 {
		return fmt.Errorf("matrix: %d of %d cases failed, first %s", n, len(tasks), file.Failed[0])
	}
	return nil
}

// publish prints what is left to print and keeps the raw results.
func (o matrixOptions) publish(file *results.File) error {
	if o.json {
		b, err := json.MarshalIndent(file.Rows, "", "  ")
		if err != nil {
			return err
		}
		if _, err := fmt.Println(string(b)); err != nil {
			return err
		}
	} else {
		fmt.Printf("\n%s\n%d rows in %.0f s\n", file.Machine, len(file.Rows), file.Seconds)
		if n := len(file.Missing); n > 0 {
			fmt.Printf("not measured, for the time was up: %d of the cases, from %s on\n", n, file.Missing[0])
		}
		if noise := file.Noise(); noise != "" {
			fmt.Printf("warning: %s\n", noise)
		}
	}
	if o.out == "" {
		return nil
	}
	path, err := file.Save(o.out)
	if err != nil {
		return err
	}
	if !o.json {
		fmt.Printf("raw results: %s (go run ./bench report makes tables and plots of them)\n", path)
	}
	return nil
}
