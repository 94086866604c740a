package job

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"shmkit/bench/internal/machine"
	"shmkit/bench/internal/rival"
	"shmkit/bench/internal/stage"
	"shmkit/bench/internal/tree"
	"shmkit/shm"
)

// A run is one channel, its workers, and what they share.
type run struct {
	Config
	kind    rival.Kind
	channel *rival.Channel
	board   *shm.Object[board]
	table   *shm.Slice[entry]
	opened  int64 // when the gate was opened

	mu     sync.Mutex
	deaths []Death
}

// errHang is what the watchdog ends a run with.
var errHang = errors.New("hang")

// outcome says in a word or two what a broken run came to. Of a worker's error
// only the text comes over from its process.
func outcome(err error) string {
	switch {
	case errors.Is(err, errHang):
		return "hang"
	case strings.Contains(err.Error(), "corrupt"):
		return "corrupt"
	default:
		return "failed"
	}
}

// Run sends the plan once through a channel of the given kind. What becomes of
// the channel is in the Outcome; the error is for what is not its fault: ctx's
// error, or a file that changed meanwhile. However it ends, no process and no
// memory of it is left.
func Run(ctx context.Context, kind rival.Kind, cfg Config) (_ *Outcome, err error) {
	r := &run{Config: cfg, kind: kind}
	if r.board, err = shm.New[board](shm.WithOwnSegment()); err != nil {
		return nil, err
	}
	defer r.board.Close()
	if r.table, err = shm.NewSlice[entry](cfg.Plan.Chunks); err != nil {
		return nil, err
	}
	defer r.table.Close()
	r.channel, err = kind.Make(rival.Spec{
		MaxMessage: maxMessage, Varied: true, Capacity: capacity, Producers: cfg.Producers, Consumers: cfg.Consumers,
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", kind.Name, err)
	}
	defer r.channel.Close()
	broken := r.work(ctx)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return r.judge(broken)
}

// work starts the workers and sees them through. It returns when every one of
// them has ended.
func (r *run) work(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var producers, consumers sync.WaitGroup
	for i := range r.Consumers {
		p := r.place("consumer", i)
		consumers.Go(func() { r.fail(stop, p.keep(ctx)) })
	}
	for i := range r.Producers {
		p := r.place("producer", i)
		producers.Go(func() { r.fail(stop, p.keep(ctx)) })
	}
	watched := make(chan struct{})
	over, endWatch := context.WithCancel(ctx)
	go func() {
		defer close(watched)
		r.watch(over, stop)
	}()
	if stage.Await(ctx, r.cells()...) {
		r.opened = machine.Now()
		r.board.Value().Gate.Set()
	}
	producers.Wait()
	r.fail(stop, r.channel.CloseSend(ctx))
	consumers.Wait()
	endWatch()
	<-watched
	return context.Cause(ctx) // nil if nothing broke.
}

// fail ends the run if a worker failed: its fellows would wait for it.
func (r *run) fail(stop context.CancelCauseFunc, err error) {
	if err != nil && !errors.Is(err, context.Canceled) {
		stop(err)
	}
}

// cells lists the cells of all workers.
func (r *run) cells() (cells []*stage.Cell) {
	b := r.board.Value()
	for i := range r.Producers {
		cells = append(cells, &b.Producers[i].Cell)
	}
	for i := range r.Consumers {
		cells = append(cells, &b.Consumers[i].Cell)
	}
	return cells
}

// watch reports progress, and ends a run in which nothing moves any more.
func (r *run) watch(ctx context.Context, stop context.CancelCauseFunc) {
	last, since := -1, time.Now()
	for tick := time.Tick(50 * time.Millisecond); ; {
		select {
		case <-tick:
		case <-ctx.Done():
			return
		}
		sent, hashed := r.counts()
		if r.Progress != nil {
			r.Progress(hashed)
		}
		if now := sent + hashed; now != last {
			last, since = now, time.Now()
		} else if r.Watchdog > 0 && time.Since(since) > r.Watchdog {
			stop(fmt.Errorf("%w: nothing moved for %v after %d of %d messages", errHang, r.Watchdog, hashed, r.Plan.Chunks))
			return
		}
	}
}

// counts reports how many messages have been sent and dealt with.
func (r *run) counts() (sent, hashed int) {
	b := r.board.Value()
	for i := range r.Producers {
		sent += int(b.Producers[i].Sent.Load())
	}
	for i := range r.Consumers {
		hashed += int(b.Consumers[i].Hashed.Load())
	}
	return sent, hashed
}

// judge reads the table and the board when all workers are gone.
func (r *run) judge(broken error) (*Outcome, error) {
	o := &Outcome{Impl: r.kind.Name, Deaths: r.deaths}
	if broken != nil {
		o.Broken, o.Detail = outcome(broken), broken.Error()
	}
	got := make([]uint64, r.Plan.Chunks)
	for i := range r.table.Data() {
		e := &r.table.Data()[i]
		got[i] = e.Sum.Load()
		switch seen := int(e.Seen.Load()); seen {
		case 0:
			o.Lost++
		default:
			o.Messages++
			o.Repeated += seen - 1
		}
		o.Redelivered += int(e.Again.Load())
	}
	o.Wrong = tree.Compare(r.Plan, r.Want, got)
	o.Usage, o.Calls = stage.Sum(r.cells()...) // What a killed one used is not known.
	last := r.opened
	b := r.board.Value()
	for i := range r.Consumers {
		last = max(last, b.Consumers[i].Last.Load())
	}
	o.Time = time.Duration(last - r.opened)
	if o.Broken == "" && o.Lost > 0 {
		o.Broken, o.Detail = "lost", fmt.Sprintf("%d messages never arrived", o.Lost)
	}
	return o, nil
}
