package stage

import (
	"context"
	"errors"
	"os"
	"sync"

	"shmkit/procs"
)

// A Crew is the processes of one measurement. If one of them fails, or the
// context ends, all are killed: the others would wait for it.
type Crew struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	all    sync.WaitGroup
}

// NewCrew begins a crew without processes.
func NewCrew(ctx context.Context) *Crew {
	c := &Crew{}
	c.ctx, c.cancel = context.WithCancelCause(ctx)
	return c
}

// Context ends when the crew is to end.
func (c *Crew) Context() context.Context { return c.ctx }

// Fail ends the crew. Only the first error counts; nil does nothing.
func (c *Crew) Fail(err error) {
	if err != nil {
		c.cancel(err)
	}
}

// Start starts a process and, in the background, sees it to its end; then it
// calls group.Done. A process that cannot start fails the crew.
func (c *Crew) Start(p *procs.Process, group *sync.WaitGroup) {
	if c.ctx.Err() != nil {
		return
	}
	if err := p.Start(); err != nil {
		c.Fail(err)
		return
	}
	group.Add(1)
	c.all.Add(1)
	// A worker that waits in a pipe would not hear of a cancelled context.
	stop := context.AfterFunc(c.ctx, func() { p.Kill() })
	go func() {
		defer c.all.Done()
		defer group.Done()
		defer p.Close()
		defer stop()
		if err := p.Join(context.WithoutCancel(c.ctx)); err != nil && c.ctx.Err() == nil {
			c.Fail(err)
		}
	}()
}

// Wait waits until every process has ended and returns what went wrong, or
// nil.
func (c *Crew) Wait() error {
	c.all.Wait()
	err := context.Cause(c.ctx)
	c.cancel(errDone)
	return err
}

// errDone is the cause of a context whose crew has ended well.
var errDone = errors.New("stage: done")

// Inherited returns, in a worker, the n files that the launcher gave it with
// procs.ExtraFiles, which get the numbers from 3 on.
func Inherited(n int) []*os.File {
	files := make([]*os.File, n)
	for i := range files {
		files[i] = os.NewFile(uintptr(3+i), "inherited")
	}
	return files
}
