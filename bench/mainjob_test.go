package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"shmkit/bench/internal/job"
	"shmkit/bench/internal/rival"
	"shmkit/bench/internal/tree"
)

// TestBroken plants a contender that breaks in one of its runs: the report has
// those that ran, names those that did not, and the command fails.
func TestBroken(t *testing.T) {
	plan, err := tree.NewPlan(t.Context(), folder(t, 10))
	if err != nil {
		t.Fatal(err)
	}
	defer func(f func(context.Context, rival.Kind, job.Config) (*job.Outcome, error)) { runJob = f }(runJob)
	for _, c := range []struct {
		broken string
		after  int // of its runs
		ran    []string
		calls  int
	}{
		{"pipequeue", 0, contenders[:1], 1},
		{"mpqueue", 0, contenders, 3},
		{"bufpipe", 1, contenders, 4}, // The second round begins with it.
	} {
		calls, seen := 0, 0
		runJob = func(_ context.Context, k rival.Kind, _ job.Config) (*job.Outcome, error) {
			calls++
			o := &job.Outcome{Impl: k.Name, Messages: plan.Chunks, Time: time.Second}
			if k.Name == c.broken {
				if seen++; seen > c.after {
					o.Broken, o.Detail = "hang", "planted"
				}
			}
			return o, nil
		}
		rep := &report{Input: plan.Root, Files: len(plan.Files), Messages: plan.Chunks}
		if err := runRounds(t.Context(), job.Config{Plan: plan}, 0, time.Now(), rep, newProgress()); err != nil {
			t.Fatal(err)
		}
		var ran []string
		for _, r := range rep.Results {
			ran = append(ran, r.Impl)
			if broken := r.Impl == c.broken; broken == r.ok() {
				t.Errorf("%s broken: %+v", c.broken, r)
			}
		}
		if calls != c.calls || !slices.Equal(ran, c.ran) || len(ran)+len(rep.NotRun) != len(contenders) {
			t.Errorf("%s broken: %d runs, want %d; %v ran, %v did not, want %v", c.broken, calls, c.calls, ran, rep.NotRun, c.ran)
		}
		page := filepath.Join(t.TempDir(), "page.html")
		err := publish(options{report: page}, rep)
		if err == nil || !strings.Contains(err.Error(), c.broken+": hang: planted") {
			t.Errorf("%s broken: the command says %v", c.broken, err)
		}
		html, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		raw, _ := json.Marshal(rep)
		for name, text := range map[string]string{"table": rep.text(), "page": string(html), "JSON": string(raw)} {
			for _, impl := range rep.NotRun {
				if !strings.Contains(strings.ToLower(strings.ReplaceAll(text, "_", " ")), "not run") || !strings.Contains(text, impl) {
					t.Errorf("the %s does not say that %s did not run:\n%s", name, impl, text)
				}
			}
		}
	}
}
