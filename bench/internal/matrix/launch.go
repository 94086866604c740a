package matrix

import (
	"context"
	"os"
	"os/exec"
	"slices"
	"time"

	"shmkit/procs"
)

var nothing = procs.Register("bench.matrix.nothing", func(context.Context, struct{}) error { return nil })

// launchKinds are the ways to start a process and wait for its end.
var launchKinds = []string{"procs", "os-exec", "py-process"}

// launchRow measures how long a process takes from its start to its end is
// known, if it does nothing.
func launchRow(ctx context.Context, impl string, times int) (Row, error) {
	c := Case{Axis: "process", Impl: impl, Size: 8, Producers: 1, Batch: 1}
	if impl == "py-process" {
		if pythonPath() == "" {
			return skipped(c, "no python3 on this machine"), nil
		}
		a, err := python(ctx, pythonArgs{What: "process", Count: times})
		if err != nil {
			return Row{}, err
		}
		r := rowOf(c)
		r.Procs, r.Repeats, r.DeliveredOK, r.Note = "1", a.Messages, true, "fork of a running interpreter"
		r.NSPerMsg, r.P50, r.P99, r.Min, r.Max = some(a.P50), some(a.P50), some(a.P99), some(a.Min), some(a.Max)
		return r, nil
	}
	exe, err := os.Executable()
	if err != nil {
		return Row{}, err
	}
	once := func() error {
		p := nothing.Process(struct{}{})
		defer p.Close()
		if err := p.Start(); err != nil {
			return err
		}
		return p.Join(ctx)
	}
	if impl == "os-exec" { // This program too, which says what its flags are and ends.
		once = func() error { return exec.CommandContext(ctx, exe, "-h").Run() }
	}
	var took []float64
	for range times {
		begin := time.Now()
		if err := once(); err != nil {
			return Row{}, err
		}
		took = append(took, float64(time.Since(begin)))
	}
	slices.Sort(took)
	r := rowOf(c)
	r.Procs, r.Repeats, r.DeliveredOK = "1", len(took), true
	r.P50, r.P99 = some(took[len(took)/2]), some(took[len(took)*99/100])
	r.NSPerMsg, r.Min, r.Max = r.P50, some(took[0]), some(took[len(took)-1])
	return r, nil
}
