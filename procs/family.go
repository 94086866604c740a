package procs

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"
)

// family holds the children of this process that were started and have not
// ended, and those that ended badly and whom nobody has joined.
var family children

type children struct {
	mu     sync.Mutex
	alive  []*Process
	failed []*Process
	asked  bool // a signal asked this process to end: new children are asked too
	over   int  // not 0: the function has returned, or Shutdown runs
}

// refuses reports whether no child can be started any more, a daemon or another.
// What is started while end works through a list would not be on it; and if it
// were ended in its turn, whoever starts anew what has ended could go on like
// that for ever.
func (c *children) refuses(daemon bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.over > 0 && (daemon || c.asked)
}

// add takes in p. A child whose Start began before children like it were refused
// is ended like those before it.
func (c *children) add(p *Process) {
	c.mu.Lock()
	c.alive = append(c.alive, p)
	late := c.asked || c.over > 0 && p.set.daemon
	c.mu.Unlock()
	if late {
		go p.end(context.Background())
	}
}

// remove takes out p, which has ended.
func (c *children) remove(p *Process) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := slices.Index(c.alive, p); i >= 0 {
		c.alive = slices.Delete(c.alive, i, i+1)
	}
	if p.out.err != nil {
		// Kept only for the report at the end; one more of a thousand dead
		// workers that nobody joins says nothing new.
		if len(c.failed) < 100 {
			c.failed = append(c.failed, p)
		}
	}
}

// joined notes that somebody knows how p ended.
func (c *children) joined(p *Process) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := slices.Index(c.failed, p); i >= 0 {
		c.failed = slices.Delete(c.failed, i, i+1)
	}
}

func (c *children) list() []*Process {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.alive)
}

// ask notes that this process is asked to end: children started from now on
// are asked at once.
func (c *children) ask() {
	c.mu.Lock()
	c.asked = true
	c.mu.Unlock()
}

// finish notes that this process has come to its end. What it returns takes that
// back.
func (c *children) finish() (resume func()) {
	c.mu.Lock()
	c.over++
	c.mu.Unlock()
	return func() {
		c.mu.Lock()
		c.over--
		c.mu.Unlock()
	}
}

func (c *children) killAll() {
	for _, p := range c.list() {
		p.Kill()
	}
}

// patience is what a child gets on top of its grace before SIGKILL ends it. A
// daemon with the default grace is so gone within a second.
const patience = 300 * time.Millisecond

// end ends the daemons, or all children if all is set: SIGTERM, their grace
// and a little more, SIGKILL. It returns when they have ended, or ctx is done.
func (c *children) end(ctx context.Context, all bool) error {
	var wait sync.WaitGroup
	for _, p := range c.list() {
		if all || p.set.daemon {
			wait.Go(func() { p.end(ctx) })
		}
	}
	wait.Wait()
	return context.Cause(ctx)
}

// end is that of children, for one of them.
func (p *Process) end(ctx context.Context) {
	p.Terminate()
	timer := time.NewTimer(p.set.grace + patience)
	defer timer.Stop()
	select {
	case <-p.done:
		return
	case <-timer.C:
	case <-ctx.Done():
	}
	p.Kill()
	select {
	case <-p.done:
	case <-ctx.Done():
	}
}

// join waits for all children.
func (c *children) join(ctx context.Context) error {
	for {
		alive := c.list()
		if len(alive) == 0 {
			return nil
		}
		for _, p := range alive {
			select {
			case <-p.done:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
	}
}

// reportFailures tells standard error of the children that ended badly and
// whom nobody joined: an error that nobody looks at should not vanish. asked is
// whether a signal asked this process to end: a terminal sends it to the children
// as well, and may have been faster than this process.
func (c *children) reportFailures(asked bool) {
	c.mu.Lock()
	failed := c.failed
	c.failed = nil
	c.mu.Unlock()
	for _, p := range failed {
		if !p.endedOnRequest(asked) {
			fmt.Fprintf(os.Stderr, "procs: %v (nobody joined it)\n", p.out.err)
		}
	}
}

// Shutdown ends the daemons of this process (SIGTERM, their grace, SIGKILL)
// and waits for its other children to end. Main does it when its function has
// returned; a program that uses Init instead can call it at its end. When ctx
// is done it returns the cause: daemons that were still in their grace have
// been killed, other children may be alive. While it works no daemon can be
// started: see ErrEnding.
func Shutdown(ctx context.Context) error {
	defer family.finish()()
	if err := family.end(ctx, false); err != nil {
		return err
	}
	return family.join(ctx)
}
