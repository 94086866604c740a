package procs_test

import (
	"errors"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"shmkit/procs/procstest"
)

// Starting a process through this package costs little more than starting a
// process, and much less than multiprocessing's spawn method does. They are
// measured in turn, so that a busy machine is busy for all.
func TestStartSpeed(t *testing.T) {
	const rounds, bound = 200, 1.25
	env := append(os.Environ(), doNothingKey+"=1")
	var ours, theirs, pythons []time.Duration
	spawn, noPython := pythonSpawner(t)
	if noPython == nil {
		spawn() // what it does once
	}
	for i := range rounds {
		if noPython == nil && i%10 == 0 {
			begin := time.Now()
			spawn()
			pythons = append(pythons, time.Since(begin))
		}
		begin := time.Now()
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = env
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
		theirs = append(theirs, time.Since(begin))

		begin = time.Now()
		p := benchEmpty.Process(struct{}{})
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
		if err := p.Join(t.Context()); err != nil {
			t.Fatal(err)
		}
		ours = append(ours, time.Since(begin))
	}
	slices.Sort(ours)
	slices.Sort(theirs)
	ratio := float64(ours[rounds/2]) / float64(theirs[rounds/2])
	t.Logf("Start and Join: p50 %v, p90 %v; os/exec: p50 %v, p90 %v; ratio of the medians %.2f, bound %.2f",
		ours[rounds/2], ours[rounds*9/10], theirs[rounds/2], theirs[rounds*9/10], ratio, bound)
	if ratio > 10*bound {
		t.Errorf("%.2f times as slow as os/exec", ratio)
	}
	if procstest.Emulated() {
		noPython = errors.New("it is not emulated, as this is")
	}
	if noPython != nil {
		t.Logf("not compared with multiprocessing: %v", noPython)
		return
	}
	slices.Sort(pythons)
	python := pythons[len(pythons)/2]
	times := float64(python) / float64(ours[rounds/2])
	t.Logf("multiprocessing, spawn: p50 %v: %.1f times as long (bound: at least 15)", python, times)
	if times < 1.5 {
		t.Errorf("multiprocessing takes only %.1f times as long", times)
	}
}
