package main

import (
	"context"
	"os"

	"shmkit/bench/internal/matrix"
	"shmkit/procs"
)

func main() {
	if os.Getenv(matrix.Nothing) != "" {
		return // What is measured is how long this takes.
	}
	procs.Main(run)
}

// run does what the command line asks for. Its errors are one line each.
func run(ctx context.Context) error { return dispatch(ctx, os.Args[1:]) }

// dispatch runs the command that the first argument names: without one, the
// main job.
func dispatch(ctx context.Context, args []string) error {
	if len(args) > 0 {
		switch args[0] {
		case "matrix":
			return runMatrix(ctx, args[1:])
		case "report":
			return runTables(args[1:])
		}
	}
	o, err := parseOptions(args)
	if err != nil || o.help {
		return err
	}
	return mainJob(ctx, o)
}
