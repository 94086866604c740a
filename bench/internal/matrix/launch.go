package matrix

import (
	"context"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"shmkit/procs"
)

var nothing = procs.Register("bench.matrix.nothing", func(context.Context, struct{}) error { return nil })

// Nothing in the environment makes this program end first thing in main: the
// rival of a process that procs starts to do nothing.
const Nothing = "SHMKIT_BENCH_NOTHING"

// launchNotes say what each of launchKinds starts.
var launchNotes = map[string]string{
	"procs":            "this program; arguments, the context, the result, the list of who is attached",
	"os-exec":          "this program, which ends first thing in main",
	"py-process-fork":  "a copy of the running interpreter; no exec",
	"py-process-spawn": "a fresh interpreter, which imports multiprocessing",
}

// launchKinds are the ways to start a process and wait for its end.
var launchKinds = []string{"procs", "os-exec", "py-process-fork", "py-process-spawn"}

// launchRow measures how long a process takes from its start to its end is
// known, if it does nothing.
func launchRow(ctx context.Context, impl string, times int) (Row, error) {
	c := Case{Axis: "process", Impl: impl, Size: 8, Producers: 1, Batch: 1}
	if method, ok := strings.CutPrefix(impl, "py-process-"); ok {
		if pythonPath() == "" {
			return skipped(c, "no python3 on this machine"), nil
		}
		a, err := python(ctx, pythonArgs{What: "process", Count: times, Method: method})
		if err != nil {
			return Row{}, err
		}
		r := rowOf(c)
		r.Procs, r.Repeats, r.DeliveredOK, r.Note = "1", a.Messages, true, launchNotes[impl]
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
	if impl == "os-exec" {
		env := append(os.Environ(), Nothing+"=1")
		once = func() error {
			cmd := exec.CommandContext(ctx, exe)
			cmd.Env = env
			return cmd.Run()
		}
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
	r.Procs, r.Repeats, r.DeliveredOK, r.Note = "1", len(took), true, launchNotes[impl]
	r.P50, r.P99 = some(took[len(took)/2]), some(took[len(took)*99/100])
	r.NSPerMsg, r.Min, r.Max = r.P50, some(took[0]), some(took[len(took)-1])
	return r, nil
}
