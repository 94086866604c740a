package fault

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Enabled reports whether any point is armed or recorded in this process. It
// is false except in processes that a test starts for a role. It is written by
// Arm, Call and Record only, before the goroutines that pass points are started, and
// may be read by all of them.
var Enabled bool

// An action is what happens to the process that passes an armed point.
type action uint8

const (
	kill action = iota // SIGKILL: gone before the next instruction
	stop               // SIGSTOP: stands still until somebody continues it
)

// A trap waits at one point for its n-th pass.
type trap struct {
	left int // passes to go; 0: sprung
	do   action
}

var points struct {
	sync.Mutex
	traps  map[string][]*trap
	calls  map[string]func()
	passed map[string]int
	known  map[string]bool
}

// Arm sets traps from spec: "name:n" kills this process at its n-th pass of
// the point, "name:n:stop" stops it there. Several traps are separated by
// commas. Arm sets Enabled. An empty spec arms nothing. The error names the
// part of spec that cannot be read; nothing is armed then.
//
// Arm must be called before the goroutines that pass the points start.
func Arm(spec string) error {
	armed := make(map[string][]*trap)
	for part := range strings.SplitSeq(spec, ",") {
		if part == "" {
			continue
		}
		fields := strings.Split(part, ":")
		if len(fields) < 2 || len(fields) > 3 || fields[0] == "" {
			return fmt.Errorf("fault: %q is not name:n or name:n:stop", part)
		}
		n, err := strconv.Atoi(fields[1])
		if err != nil || n < 1 {
			return fmt.Errorf("fault: %q: the number of the pass must be 1 or more", part)
		}
		do := kill
		if len(fields) == 3 {
			switch fields[2] {
			case "kill":
			case "stop":
				do = stop
			default:
				return fmt.Errorf("fault: %q: %q is neither kill nor stop", part, fields[2])
			}
		}
		armed[fields[0]] = append(armed[fields[0]], &trap{left: n, do: do})
	}
	if len(armed) == 0 {
		return nil
	}
	points.Lock()
	defer points.Unlock()
	if points.traps == nil {
		points.traps = make(map[string][]*trap)
	}
	for name, traps := range armed {
		points.traps[name] = append(points.traps[name], traps...)
	}
	Enabled = true
	return nil
}

// Call makes the next goroutine that passes the point call f there, once: for a test
// of what other goroutines of the process can do in that moment. As after Arm,
// the goroutines that pass points must not have started; or something must be armed
// already.
func Call(name string, f func()) {
	points.Lock()
	defer points.Unlock()
	if points.calls == nil {
		points.calls = make(map[string]func())
	}
	points.calls[name] = f
	if !Enabled {
		Enabled = true
	}
}

// Record sets Enabled without arming anything, so that Passed counts the
// points that a test's own process goes through.
func Record() { Enabled = true }

// Point is the place itself: it counts the pass, and springs the trap that
// waits for it. Callers test Enabled first. Any goroutine may call it.
func Point(name string) {
	points.Lock()
	if points.passed == nil {
		points.passed = make(map[string]int)
	}
	points.passed[name]++
	sprung, do := false, kill
	for _, t := range points.traps[name] {
		if t.left == 0 {
			continue
		}
		if t.left--; t.left == 0 {
			sprung, do = true, t.do
		}
	}
	call := points.calls[name]
	delete(points.calls, name)
	// The lock is free again before the process stops: a goroutine that is
	// continued later must not find it held by one that a kill left standing.
	points.Unlock()
	if call != nil {
		call()
	}
	if sprung {
		spring(do)
	}
}

// Declare makes names known to Names before anything has passed them. A
// package declares its points in a variable beside them, so that a test can
// walk through all of them.
//
// It returns the number of names, so that it can be the value of a package
// variable.
func Declare(names ...string) int {
	points.Lock()
	defer points.Unlock()
	if points.known == nil {
		points.known = make(map[string]bool)
	}
	for _, name := range names {
		points.known[name] = true
	}
	return len(names)
}

// Names returns every point that was declared or passed in this process,
// sorted.
func Names() []string {
	points.Lock()
	defer points.Unlock()
	var names []string
	for name := range points.known {
		names = append(names, name)
	}
	for name := range points.passed {
		if !points.known[name] {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Passed returns how often this process has passed the point since Enabled was
// set.
func Passed(name string) int {
	points.Lock()
	defer points.Unlock()
	return points.passed[name]
}
