package matrix

import (
	"cmp"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"sync"
	"time"
)

//go:embed python.py
var pythonScript string

// pythons are the channels that python.py knows.
var pythons = []string{"py-queue", "py-simplequeue", "py-pipe"}

// pythonPath is python3, or "" if this machine has none.
var pythonPath = sync.OnceValue(func() string {
	path, err := exec.LookPath("python3")
	if err != nil {
		return ""
	}
	return path
})

// pythonArgs is what the script is asked to do.
type pythonArgs struct {
	What      string  `json:"what"`
	Size      int     `json:"size"`
	Producers int     `json:"producers"`
	Consumers int     `json:"consumers"`
	Count     int     `json:"count"`
	Capacity  int     `json:"capacity"`
	Latency   bool    `json:"latency,omitempty"`
	Seconds   float64 `json:"seconds"`
	Method    string  `json:"method,omitempty"` // to start a process
	Scene     string  `json:"scene,omitempty"`  // of a crash
}

// forked is the note of a row of python.py.
const forked = "start method fork"

// pythonAnswer is what it prints.
type pythonAnswer struct {
	Messages int     `json:"messages"`
	Wrong    int     `json:"wrong"`
	Seconds  float64 `json:"seconds"`
	CPU      float64 `json:"cpu"`
	P50      float64 `json:"p50"`
	P90      float64 `json:"p90"`
	P99      float64 `json:"p99"`
	P999     float64 `json:"p999"`
	Min      float64 `json:"min"`
	Max      float64 `json:"max"`
}

func python(ctx context.Context, a pythonArgs) (ans pythonAnswer, err error) {
	b, err := json.Marshal(a)
	if err != nil {
		return ans, err
	}
	out, err := tool(ctx, pythonPath(), "-c", pythonScript, string(b))
	if err != nil {
		return ans, fmt.Errorf("%s: %w", a.What, err)
	}
	if err := json.Unmarshal(out, &ans); err != nil {
		return ans, fmt.Errorf("%s: %w", a.What, err)
	}
	if ans.Wrong > 0 {
		return ans, fmt.Errorf("%s: %d messages came wrong, or out of order", a.What, ans.Wrong)
	}
	return ans, nil
}

// pythonCannot says why Python cannot run the case, or "".
func pythonCannot(c Case) string {
	switch {
	case pythonPath() == "":
		return "no python3 on this machine"
	case c.Size == Mixed:
		return "not written for it"
	case c.Batch > 1:
		return "it has no batches"
	case c.ZeroCopy:
		return "it always copies"
	case c.Mode != "" && c.Mode != "block":
		return "it has no such way to wait"
	case c.Axis == "capacity" && c.Impl != "py-queue":
		return "its room is in bytes"
	case c.Impl == "py-pipe" && (c.Producers > 1 || c.Consumers > 1):
		return "a Connection has no locks"
	case c.Impl == "py-queue" && c.Capacity > 32767:
		return "its semaphore counts to 32,767"
	default:
		return ""
	}
}

// pythonThroughput is throughput for a channel of Python.
func pythonThroughput(ctx context.Context, c Case, e Effort) (Row, error) {
	if why := pythonCannot(c); why != "" {
		return skipped(c, why), nil
	}
	c.Mode = "block"
	a := pythonArgs{What: c.Impl, Size: c.Size, Producers: c.Producers, Consumers: c.Consumers, Capacity: c.Capacity}
	once := func(count int) (sample, error) {
		a.Count = count
		ans, err := python(ctx, a)
		if err != nil {
			return sample{}, err
		}
		if want := a.Count * a.Producers; ans.Messages != want {
			return sample{}, fmt.Errorf("%v: %d messages arrived, not %d", c, ans.Messages, want)
		}
		s := sample{time: time.Duration(ans.Seconds * 1e9), messages: ans.Messages, bytes: int64(ans.Messages * c.Size)}
		s.used.CPU = int64(ans.CPU * 1e9)
		return s, nil
	}
	// One run finds the count: Python takes long to start, and its clock runs
	// from the moment when all processes are there.
	s, err := once(200)
	if err != nil {
		return Row{}, err
	}
	count := max(1, int(200*float64(e.Time)/float64(max(s.time, time.Microsecond))))
	samples, err := e.repeat(count, once)
	if err != nil {
		return Row{}, err
	}
	r := rowOf(c)
	r.fill(samples)
	r.Note = forked
	return r, nil
}

// pythonLatency is the ping-pong for a channel of Python.
func pythonLatency(ctx context.Context, c Case, length time.Duration, repeats int) (Row, error) {
	if why := pythonCannot(c); why != "" {
		return skipped(c, why), nil
	}
	c.Mode = "block"
	a := pythonArgs{What: c.Impl, Size: c.Size, Capacity: c.Capacity, Latency: true, Seconds: length.Seconds() / float64(repeats)}
	var parts []Row
	for range repeats {
		ans, err := python(ctx, a)
		if err != nil {
			return Row{}, err
		}
		parts = append(parts, Row{P50: some(ans.P50), P90: some(ans.P90), P99: some(ans.P99), P999: some(ans.P999), Worst: some(ans.Max)})
	}
	r := rowOf(c)
	r.fold(parts)
	r.Note = forked
	return r, nil
}

// median of some measured values, which it sorts.
func median[T cmp.Ordered](v []T) T {
	slices.Sort(v)
	return v[len(v)/2]
}
