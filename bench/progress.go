package main

import (
	"fmt"
	"os"
	"strings"
	"sync"
)

// progress is the bar on a terminal's standard error. Where standard error is
// no terminal it writes nothing at all.
type progress struct {
	mu    sync.Mutex
	on    bool
	total int // messages of one run
	steps int // runs in all, as far as is known
	step  int // runs that are done
	what  string
}

func newProgress() *progress {
	info, err := os.Stderr.Stat()
	return &progress{on: err == nil && info.Mode()&os.ModeCharDevice != 0}
}

// begin announces the next step.
func (p *progress) begin(what string, total int) {
	p.mu.Lock()
	p.what, p.total = what, total
	p.mu.Unlock()
	p.set(0)
}

// done counts the step as done.
func (p *progress) done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.step++
}

// set draws how far the step is.
func (p *progress) set(messages int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.on {
		return
	}
	const width = 30
	part := 0.0
	if p.total > 0 {
		part = min(1, float64(messages)/float64(p.total))
	}
	whole := (float64(p.step) + part) / float64(max(p.steps, p.step+1))
	full := int(whole * width)
	fmt.Fprintf(os.Stderr, "\r\x1b[K%s%s %3.0f %%  %s", strings.Repeat("█", full), strings.Repeat("░", width-full), 100*whole, p.what)
}

// clear takes the bar away, before anything else is printed.
func (p *progress) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.on {
		fmt.Fprint(os.Stderr, "\r\x1b[K")
	}
}
