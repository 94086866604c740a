package main

import (
	"cmp"
	"slices"
	"time"

	"shmkit/bench/internal/job"
	"shmkit/bench/internal/machine"
	"shmkit/bench/internal/tree"
)

// report is all that one call of the main job found out; -json prints it.
type report struct {
	Input     string       `json:"input"`
	Files     int          `json:"files"`
	Bytes     int64        `json:"bytes"`
	Messages  int          `json:"messages"`
	ChunkSize int          `json:"chunk_size"`
	Producers int          `json:"producers"`
	Consumers int          `json:"consumers"`
	Chaos     bool         `json:"chaos"`
	Seed      *int64       `json:"seed,omitempty"` // with chaos
	Machine   machine.Info `json:"machine"`
	Steal     float64      `json:"steal_percent"` // -1: not known
	Alone     alone        `json:"alone"`
	Results   []result     `json:"results"`
	NotRun    []string     `json:"not_run,omitempty"` // contenders behind one that failed
}

// alone is the single-process walk: the reference, and the least that any
// queue can cost.
type alone struct {
	Seconds            float64  `json:"seconds"`
	SyscallsPerMessage *float64 `json:"syscalls_per_message"` // null: cannot be measured here
	Digest             string   `json:"digest"`               // of all the files' digests
}

// result is what became of one kind of channel. Numbers are medians over the
// repeats; null is what cannot be measured here.
type result struct {
	Impl         string  `json:"impl"`
	Seconds      float64 `json:"seconds"`
	MinSeconds   float64 `json:"min_seconds"`
	MaxSeconds   float64 `json:"max_seconds"`
	Repeats      int     `json:"repeats"`
	MessagesPerS float64 `json:"messages_per_s"`
	BytesPerS    float64 `json:"bytes_per_s"`
	CPUSeconds   float64 `json:"cpu_seconds"`
	DigestsOK    bool    `json:"digests_ok"`
	// SyscallsPerMessage counts those of the queue: all system calls of the
	// workers less those that read the files.
	SyscallsPerMessage *float64 `json:"syscalls_per_message"`
	SwitchesPerMessage *float64 `json:"switches_per_message"`
	PeakMemory         *int64   `json:"peak_memory_bytes"`

	Outcome     string      `json:"outcome"` // "complete", or what became of it
	Detail      string      `json:"detail,omitempty"`
	Delivered   int         `json:"delivered"`
	Lost        int         `json:"lost"`
	Repeated    int         `json:"repeated"`
	Redelivered int         `json:"redelivered"`
	Wrong       []string    `json:"wrong,omitempty"` // the first files whose digests differ
	Deaths      []job.Death `json:"deaths,omitempty"`
}

// ok says that nothing at all went wrong.
func (r result) ok() bool { return r.DigestsOK && r.Outcome == "complete" }

// summarize makes one result of the repeats of one kind. counted is the run
// that counted system calls, and reading what reading the files alone takes
// of them; either may be unknown.
func summarize(p *tree.Plan, runs []*job.Outcome, counted *job.Outcome, reading float64) result {
	slices.SortFunc(runs, func(a, b *job.Outcome) int { return cmp.Compare(a.Time, b.Time) })
	mid := runs[len(runs)/2]
	r := result{
		Impl: mid.Impl, Repeats: len(runs), Outcome: "complete", DigestsOK: true, Delivered: mid.Messages,
		Seconds: mid.Time.Seconds(), MinSeconds: runs[0].Time.Seconds(), MaxSeconds: runs[len(runs)-1].Time.Seconds(),
	}
	if s := mid.Time.Seconds(); s > 0 {
		r.MessagesPerS = float64(mid.Messages) / s
		r.BytesPerS = float64(p.Bytes) * float64(mid.Messages) / float64(p.Chunks) / s
	}
	if mid.Usage.CPU >= 0 {
		r.CPUSeconds = time.Duration(mid.Usage.CPU).Seconds()
	}
	if n := mid.Usage.Switches; n >= 0 && mid.Messages > 0 {
		r.SwitchesPerMessage = some(float64(n) / float64(mid.Messages))
	}
	if n := mid.Usage.Peak(); n >= 0 {
		r.PeakMemory = &n
	}
	if counted != nil && counted.Calls >= 0 && reading >= 0 && counted.Messages > 0 {
		r.SyscallsPerMessage = some(max(0, float64(counted.Calls)/float64(counted.Messages)-reading))
	}
	all := runs
	if counted != nil {
		all = append(slices.Clone(runs), counted)
	}
	for _, o := range all {
		r.Lost = max(r.Lost, o.Lost)
		r.Repeated = max(r.Repeated, o.Repeated)
		r.Redelivered = max(r.Redelivered, o.Redelivered)
		r.Deaths = append(r.Deaths, o.Deaths...)
		if len(o.Wrong) > 0 {
			r.DigestsOK = false
		}
		for _, d := range o.Wrong[:min(3, len(o.Wrong))] { // often the same in each run
			if d := d.String(); len(r.Wrong) < 3 && !slices.Contains(r.Wrong, d) {
				r.Wrong = append(r.Wrong, d)
			}
		}
		if o.Broken != "" && r.Outcome == "complete" {
			r.Outcome, r.Detail = o.Broken, o.Detail
		}
	}
	return r
}

func some(v float64) *float64 { return &v }
