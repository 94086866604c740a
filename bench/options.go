package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"

	"shmkit/bench/internal/job"
)

// options are what the command line of the main job says.
type options struct {
	input     string // "": the source of the Go installation
	producers int
	consumers int
	chaos     bool
	seed      int64
	json      bool
	report    string
	help      bool // -h was given and answered
}

const usage = `go run ./bench sends every file of a folder through pipes and through shared memory.

  -input DIR      the folder (default: the source tree of the Go installation)
  -producers N    processes that send (default 2)
  -consumers N    processes that receive (default 2)
  -chaos          kill processes with -9 on the way
  -seed N         which processes, and when (default: drawn, and printed)
  -json           print one JSON object instead of the table
  -report FILE    where the page with the plots goes (default report.html; "" for none)

go run ./bench matrix measures every rival on this machine; go run ./bench report makes tables of its results.
Both tell their flags with -h.
`

// parseOptions reads the arguments. Its errors are one line each.
func parseOptions(args []string) (options, error) {
	var o options
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(io.Discard) // One line of our own instead of its page.
	f.StringVar(&o.input, "input", "", "")
	f.IntVar(&o.producers, "producers", 2, "")
	f.IntVar(&o.consumers, "consumers", 2, "")
	f.BoolVar(&o.chaos, "chaos", false, "")
	f.Int64Var(&o.seed, "seed", 0, "")
	f.BoolVar(&o.json, "json", false, "")
	f.StringVar(&o.report, "report", "report.html", "")
	if err := f.Parse(args); errors.Is(err, flag.ErrHelp) {
		o.help = true
		_, err := fmt.Fprint(os.Stdout, usage)
		return o, err
	} else if err != nil {
		return o, fmt.Errorf("%w (go run ./bench -h lists the flags)", err)
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("unknown argument %q (go run ./bench -h lists the flags)", f.Arg(0))
	}
	given := map[string]bool{}
	f.Visit(func(f *flag.Flag) { given[f.Name] = true })
	for name, n := range map[string]int{"producers": o.producers, "consumers": o.consumers} {
		if n < 1 || n > job.MaxWorkers {
			return o, fmt.Errorf("-%s %d: it must be 1 to %d", name, n, job.MaxWorkers)
		}
	}
	if given["input"] && o.input == "" {
		return o, errors.New("-input is empty: it must name a folder")
	}
	if given["seed"] && !o.chaos {
		return o, errors.New("-seed says which processes -chaos kills: give both")
	}
	if !given["seed"] {
		o.seed = int64(rand.Uint32())
	}
	return o, nil
}
