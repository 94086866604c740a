package mpqueue

import (
	"context"
	"sync"
	"time"
)

// deadline is a moment that may be moved while calls wait for it. The calls wait
// on a context, which ends when the moment has come; a deadline that is moved
// into the future before that moves their end too, afterwards it gives new calls
// a new context. The zero deadline is none.
type deadline struct {
	mu    sync.Mutex
	ctx   context.Context
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
		d.ctx, d.end = context.WithCancel(context.Background())
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
	if t.IsZero() {
		return
	}
	if left := time.Until(t); left > 0 {
		d.timer = time.AfterFunc(left, d.end)
	} else {
		d.end()
	}
}
