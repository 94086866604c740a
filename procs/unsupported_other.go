//go:build !linux

package procs

import (
	"errors"
	"os"
	"os/signal"
	"sync/atomic"
)

// Children need memfds, pidfds and parent-death signals. Elsewhere a program
// compiles, Main runs its function, and Start says that there are none.

type child struct{ pid int }

func startChild(*Process) (*child, error) { return nil, errors.ErrUnsupported }

func (c *child) signal(force, group bool) error { return errors.ErrUnsupported }

func (p *Process) reap(*child) {}

func (p *Process) endedOnRequest(bool) bool { return false }

func (id *identity) handlesOpened() {}

func withhold(string) {}

func runChild(string) {}

type signals struct {
	in, ch chan os.Signal
	came   atomic.Bool
}

func newSignals() *signals {
	return &signals{in: make(chan os.Signal, 8), ch: make(chan os.Signal, 8)}
}

func (s *signals) take() {
	signal.Notify(s.in, os.Interrupt)
	go func() {
		defer close(s.ch)
		for sig := range s.in {
			s.came.Store(true)
			s.ch <- sig
		}
	}()
}

func (s *signals) got() bool { return s.came.Load() }

func (s *signals) stop() {
	signal.Stop(s.in)
	close(s.in)
}

func (s *signals) die() { os.Exit(130) }
