package main

import (
	"context"
	"os"

	"shmkit/procs"
)

func main() { procs.Main(run) }

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
