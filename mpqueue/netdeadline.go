package mpqueue

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// deadline is a moment that may be moved while calls wait for it. The calls wait
// on a context, which ends when the moment has come; a deadline that is moved
// into the future before that moves their end too, afterwards it gives new calls
// a new context. The zero deadline is none.
type deadline struct {
	at    atomic.Int64 // since began; 0: never
	mu    sync.Mutex
	ctx   *timedContext
	end   context.CancelFunc
	timer *time.Timer
}

// context returns the context of calls that begin now.
func (d *deadline) context() context.Context {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fresh()
	return d.ctx
}

// fresh sees to it that there is a context that has not ended by an earlier
// deadline.
func (d *deadline) fresh() {
	if d.ctx == nil {
		ctx, end := context.WithCancel(context.Background())
		d.ctx, d.end = &timedContext{ctx, d}, end
	}
}

// set moves the deadline; the zero time is never.
func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil && !d.timer.Stop() {
		<-d.ctx.Done() // it is just ending the context, which must not be used again
	}
	d.timer = nil
	if d.ctx != nil && d.ctx.Err() != nil {
		d.ctx = nil
	}
	d.fresh()
	d.at.Store(0)
	if t.IsZero() {
		return
	}
	d.at.Store(max(int64(t.Sub(began)), 1))
	if left := time.Until(t); left > 0 {
		d.timer = time.AfterFunc(left, d.end)
	} else {
		d.end()
	}
}

// began is what the moments of deadlines are counted from.
var began = time.Now()

// timedContext is a context of a deadline, which knows what the clock says to it.
type timedContext struct {
	context.Context
	d *deadline
}

// ended returns why a call with ctx has to end, nil if it may go on. It asks the clock
// too: a context ends by a timer, and a timer may be late by 100 ms where all
// processors are busy, for instance with the message that this is about.
func ended(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	passed := false
	if t, ok := ctx.(*timedContext); ok {
		at := t.d.at.Load()
		passed = at != 0 && int64(time.Since(began)) >= at
	} else if at, ok := ctx.Deadline(); ok {
		passed = !time.Now().Before(at)
	}
	if passed {
		return context.DeadlineExceeded
	}
	return nil
}
