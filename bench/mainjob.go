package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"shmkit/bench/internal/job"
	"shmkit/bench/internal/machine"
	"shmkit/bench/internal/rival"
	"shmkit/bench/internal/tree"
)

// contenders are the channels of the main job, in the order of its table.
var contenders = []string{"pipequeue", "bufpipe", "mpqueue"}

const (
	// budget is the time after which no further round of runs is begun. The
	// whole job has to end within a minute.
	budget = 30 * time.Second
	// rounds is how often each channel is measured if the budget allows.
	rounds = 7
	// patience is how long nothing may move in a run that nobody disturbs.
	patience = 30 * time.Second
	// chaosPatience is the same for a run with kills: the pipes hang then, and
	// nobody shall wait long for that.
	chaosPatience = 5 * time.Second
)

// mainJob measures every contender on the same files and reports.
func mainJob(ctx context.Context, o options) error {
	begin := time.Now()
	if o.input == "" {
		src, err := goSource(ctx)
		if err != nil {
			return err
		}
		o.input = src
	}
	if o.report != "" { // Better now than after all the work.
		if _, err := os.Stat(filepath.Dir(o.report)); err != nil {
			return fmt.Errorf("-report %s: %w", o.report, err)
		}
	}
	bar := newProgress()
	defer bar.clear()
	steal := machine.WatchSteal()
	plan, err := tree.NewPlan(ctx, o.input)
	if err != nil {
		return err
	}
	rep := &report{
		Input: plan.Root, Files: len(plan.Files), Bytes: plan.Bytes, Messages: plan.Chunks, ChunkSize: tree.ChunkSize,
		Producers: o.producers, Consumers: o.consumers, Chaos: o.chaos, Machine: machine.Describe(),
	}
	tp := machine.FindTracepoint()
	want, err := walkAlone(ctx, plan, tp, rep, bar)
	if err != nil {
		return err
	}
	cfg := job.Config{
		Plan: plan, Want: want, Producers: o.producers, Consumers: o.consumers,
		Watchdog: patience, Progress: bar.set,
	}
	if o.chaos {
		rep.Seed = &o.seed
		err = runChaos(ctx, cfg, o.seed, rep, bar)
	} else {
		err = runRounds(ctx, cfg, tp, begin, rep, bar)
	}
	if err != nil {
		return err
	}
	rep.Steal = steal.Percent()
	bar.clear()
	return publish(o, rep)
}

// walkAlone reads the files in this process alone: once to fill the page cache
// for everybody, once for the time, once to count system calls.
func walkAlone(ctx context.Context, p *tree.Plan, tp machine.Tracepoint, rep *report, bar *progress) ([]uint64, error) {
	bar.begin("reading the files alone", p.Chunks)
	sums, err := tree.Walk(ctx, p, bar.set)
	if err != nil {
		return nil, err
	}
	begin := time.Now()
	again, err := tree.Walk(ctx, p, nil)
	if err != nil {
		return nil, err
	}
	rep.Alone.Seconds = time.Since(begin).Seconds()
	if d := tree.Compare(p, sums, again); len(d) > 0 {
		return nil, fmt.Errorf("%s changes while it is read (%v): choose a folder at rest", p.Root, d[0])
	}
	if c := tp.Count(); c != nil {
		_, err := tree.Walk(ctx, p, nil)
		n := c.Close()
		if err != nil {
			return nil, err
		}
		rep.Alone.SyscallsPerMessage = some(float64(n) / float64(p.Chunks))
	}
	rep.Alone.Digest = fmt.Sprintf("%016x", tree.Fold(tree.FileDigests(p, sums)))
	return sums, nil
}

// runJob sends the files once through one channel. Tests put a broken one in
// its place.
var runJob = job.Run

// runRounds measures every contender once a round, and begins each round with
// another one, so that no one always runs after the same one. A first round
// warms up and counts system calls; its times are not used.
func runRounds(ctx context.Context, cfg job.Config, tp machine.Tracepoint, begin time.Time, rep *report, bar *progress) error {
	timed, counted := make([][]*job.Outcome, len(contenders)), make([]*job.Outcome, len(contenders))
	bar.steps = 1 + (1+rounds)*len(contenders)
	bar.done()
measuring:
	for round := range 1 + rounds {
		roundBegin := time.Now()
		for n := range contenders {
			i := (round + n) % len(contenders)
			kind, err := rival.Find(contenders[i])
			if err != nil {
				return err
			}
			cfg.Count = 0
			what := fmt.Sprintf("%s, round %d of %d", kind.Name, round, rounds)
			if round == 0 {
				cfg.Count, what = tp, kind.Name+", warming up"
			}
			bar.begin(what, cfg.Plan.Chunks)
			out, err := runJob(ctx, kind, cfg)
			if err != nil {
				return err
			}
			if round == 0 {
				counted[i] = out
			} else {
				timed[i] = append(timed[i], out)
			}
			bar.done()
			if !out.OK() { // Whatever came now, the job has failed.
				break measuring
			}
		}
		took := time.Since(roundBegin)
		if round >= 1 && time.Since(begin)+took > budget {
			break
		}
	}
	for i := range contenders {
		if counted[i] == nil {
			rep.NotRun = append(rep.NotRun, contenders[i])
			continue
		}
		if len(timed[i]) == 0 {
			timed[i] = append(timed[i], counted[i])
		}
		reading := -1.0
		if n := rep.Alone.SyscallsPerMessage; n != nil {
			reading = *n
		}
		rep.Results = append(rep.Results, summarize(cfg.Plan, timed[i], counted[i], reading))
	}
	return nil
}

// runChaos sends the files once through each contender while the same
// producers and consumers of each are killed.
func runChaos(ctx context.Context, cfg job.Config, seed int64, rep *report, bar *progress) error {
	shares := make([]int, cfg.Producers)
	for i := range shares {
		shares[i] = tree.Share{Index: i, Of: cfg.Producers}.Chunks(cfg.Plan)
	}
	cfg.Dooms = job.NewDooms(seed, shares, cfg.Consumers)
	cfg.Watchdog = chaosPatience
	bar.steps = 1 + len(contenders)
	bar.done()
	for i := range contenders {
		kind, err := rival.Find(contenders[i])
		if err != nil {
			return err
		}
		bar.begin(kind.Name+" under kill -9", cfg.Plan.Chunks)
		cpu := machine.ChildrenCPU()
		out, err := job.Run(ctx, kind, cfg)
		if err != nil {
			return err
		}
		// The dead took the count of their own time with them.
		out.Usage.CPU = machine.ChildrenCPU() - cpu
		rep.Results = append(rep.Results, summarize(cfg.Plan, []*job.Outcome{out}, nil, -1))
		bar.done()
	}
	return nil
}

// publish prints the report and writes the page. It ends with an error if the
// queue of this module, or without chaos any channel, did not do its work.
func publish(o options, rep *report) error {
	if o.report != "" {
		if err := rep.writePage(o.report); err != nil {
			return err
		}
	}
	// One write: whoever reads only the beginning shall not see us die of it.
	text := rep.text()
	if o.json {
		b, err := json.MarshalIndent(rep, "", "  ")
		if err != nil {
			return err
		}
		text = string(b) + "\n"
	} else if o.report != "" {
		text += "\nplots: " + o.report + "\n"
	}
	if _, err := os.Stdout.WriteString(text); err != nil {
		return err
	}
	var failed []string
	for _, r := range rep.Results {
		if !r.ok() && (!rep.Chaos || r.Impl == "mpqueue") {
			what := r.Outcome
			if what == "complete" {
				what = "wrong digests"
			}
			if r.Detail != "" {
				what += ": " + r.Detail
			}
			failed = append(failed, r.Impl+": "+what)
		}
	}
	if len(failed) > 0 {
		return errors.New(strings.Join(failed, "; "))
	}
	return nil
}
