package procstest

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"

	"shmkit/procs"
)

// A RoleFunc is a function that a process of the test binary can be told to
// run. Make it with Role, in a package variable.
type RoleFunc[A any] struct {
	name string
	f    *procs.Function[A]
}

// roles are all roles of this binary, and which have been started.
var roles struct {
	sync.Mutex
	started map[string]bool
}

// Role registers f as a role. Call it in a package variable of the test: parent
// and child both execute it. A is any argument of a process, handles of shared
// objects included. The suite fails if it runs completely and nobody starts the
// role, unless its name begins with "bench".
func Role[A any](name string, f func(ctx context.Context, a A) error) *RoleFunc[A] {
	roles.Lock()
	defer roles.Unlock()
	if roles.started == nil {
		roles.started = make(map[string]bool)
	}
	roles.started[name] = false
	return &RoleFunc[A]{name: name, f: procs.Register(name, f)}
}

// Start starts a process that plays the role. The test fails at once if it
// cannot be started. When the test ends the process is killed and reaped; if it
// had ended by itself with an error that neither Wait nor Join was told, the
// test fails.
func (r *RoleFunc[A]) Start(t testing.TB, a A, opts ...Option) *Proc {
	t.Helper()
	roles.Lock()
	roles.started[r.name] = true
	roles.Unlock()

	var o options
	for _, option := range opts {
		option(&o)
	}
	with := []procs.Option{procs.Daemon()} // the test binary may be killed too
	if o.children {
		with[0] = procs.EndWithParent()
	}
	if len(o.faults) > 0 {
		with = append(with, procs.Env(faultKey+"="+strings.Join(o.faults, ",")))
	}
	p := &Proc{Process: r.f.Process(a, append(with, o.procs...)...), t: t, role: r.name}
	if err := p.Process.Start(); err != nil {
		t.Fatalf("procstest: %v", err)
	}
	t.Cleanup(p.cleanup)
	return p
}

// unstarted returns the roles that nobody has started.
func unstarted() []string {
	roles.Lock()
	defer roles.Unlock()
	var names []string
	for name, started := range roles.started {
		if !started && !strings.HasPrefix(name, "bench") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// faultKey is the environment variable by which a role learns its faults.
const faultKey = "SHMKIT_FAULT"

// An Option changes how a role is started.
type Option func(*options)

type options struct {
	faults   []string
	procs    []procs.Option
	children bool
}

// With passes options of package procs on to the process.
func With(opts ...procs.Option) Option {
	return func(o *options) { o.procs = append(o.procs, opts...) }
}

// MayStart lets the role start processes of its own. Roles are daemons
// otherwise, and a daemon may not have children.
func MayStart() Option {
	return func(o *options) { o.children = true }
}
