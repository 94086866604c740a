package matrix

import (
	"context"
	"fmt"
	"sync"
	"time"

	"shmkit/bench/internal/rival"
	"shmkit/bench/internal/stage"
	"shmkit/procs"
	"shmkit/shm"
)

// latency measures one journey, several times, length in all. Each percentile is
// the median of those of the repeats; the worst is that of all of them.
func latency(ctx context.Context, c Case, rate int, length time.Duration, repeats int) (Row, error) {
	k, err := find(c.Impl)
	if err != nil {
		return Row{}, err
	}
	if why := cannot(k, c); why != "" {
		return skipped(c, why), nil
	}
	if c.Mode == "" {
		c.Mode = defaultMode(k)
	}
	var parts []Row
	var reached []float64
	sum := newHistogram()
	for range repeats {
		h, n, err := travel(ctx, k, c, rate, length/time.Duration(repeats))
		if err != nil {
			return Row{}, err
		}
		var part Row
		h.put(&part)
		parts, reached = append(parts, part), append(reached, n)
		sum.Merge(h.Histogram)
	}
	r := rowOf(c)
	sum.put(&r)
	r.fold(parts)
	if rate > 0 {
		r.Rate, r.Reached = some(float64(rate)), some(median(reached))
		if *r.Reached < 0.95*float64(rate) {
			r.Note = "cannot keep up"
		}
	}
	return r, nil
}

// fold puts the medians of the percentiles of several repeats into the row, and
// how far they lie apart.
func (r *Row) fold(parts []Row) {
	of := func(get func(Row) *float64) (mid, least, most *float64) {
		var v []float64
		for _, p := range parts {
			v = append(v, *get(p))
		}
		return some(median(v)), some(v[0]), some(v[len(v)-1])
	}
	r.P50, r.P50Min, r.P50Max = of(func(p Row) *float64 { return p.P50 })
	r.P90, _, _ = of(func(p Row) *float64 { return p.P90 })
	r.P99, r.P99Min, r.P99Max = of(func(p Row) *float64 { return p.P99 })
	r.P999, _, _ = of(func(p Row) *float64 { return p.P999 })
	_, _, r.Worst = of(func(p Row) *float64 { return p.Worst })
	r.Repeats, r.DeliveredOK = len(parts), true
}

// travel measures once. reached is how many messages a second arrived, of an
// open loop.
func travel(ctx context.Context, k rival.Kind, c Case, rate int, length time.Duration) (h histogram, reached float64, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, length+endless, fmt.Errorf("%v: no end after %v", c, length+endless))
	defer cancel()
	j := journey{Case: c, Rate: rate, Time: length}
	if j.Board, err = shm.New[board](shm.WithOwnSegment()); err != nil {
		return h, 0, err
	}
	defer j.Board.Close()
	if j.Counts, err = newShared(); err != nil {
		return h, 0, err
	}
	defer j.Counts.Close()
	crew := stage.NewCrew(ctx)
	if k.InProcess {
		var group sync.WaitGroup
		crew.Start(oneroom.Process(j, procs.Name("oneroom"), procs.Daemon()), &group)
		j.open(crew, 1)
	} else if err := j.start(crew, k); err != nil {
		crew.Fail(err)
	}
	if err := crew.Wait(); err != nil {
		return h, 0, fmt.Errorf("%v: %w", c, err)
	}
	if d := j.Board.Value().Workers[1].Last.Load(); d > 0 {
		reached = float64(j.messages()-1) / time.Duration(d).Seconds()
	}
	return fetch(j.Counts), reached, nil
}

// start makes the channels and the two processes, and sees them through.
func (j journey) start(crew *stage.Crew, k rival.Kind) error {
	spec := j.Case.spec(newPattern(j.Case.Size).max)
	out, err := k.Make(spec)
	if err != nil {
		return err
	}
	defer out.Close()
	j.Out = out.Ends
	nearFiles, farFiles := out.SendFiles, out.ReceiveFiles
	j.Files[0] = len(nearFiles)
	if j.Rate == 0 {
		back, err := k.Make(spec)
		if err != nil {
			return err
		}
		defer back.Close()
		j.Back = back.Ends
		nearFiles = append(nearFiles[:len(nearFiles):len(nearFiles)], back.ReceiveFiles...)
		farFiles = append(farFiles[:len(farFiles):len(farFiles)], back.SendFiles...)
		j.Files[1] = len(back.ReceiveFiles)
	}
	var nearGroup, farGroup sync.WaitGroup
	crew.Start(far.Process(j, procs.Name("far"), procs.Daemon(), procs.ExtraFiles(farFiles...)), &farGroup)
	crew.Start(near.Process(j, procs.Name("near"), procs.Daemon(), procs.ExtraFiles(nearFiles...)), &nearGroup)
	j.open(crew, 2)
	nearGroup.Wait()
	crew.Fail(out.CloseSend(crew.Context()))
	farGroup.Wait()
	return nil
}

func (j journey) open(crew *stage.Crew, n int) {
	var cells []*stage.Cell
	for i := range n {
		cells = append(cells, &j.Board.Value().Workers[i].Cell)
	}
	if stage.Await(crew.Context(), cells...) {
		j.Board.Value().Gate.Set()
	}
}
