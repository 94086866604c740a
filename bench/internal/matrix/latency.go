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

// latency measures one journey.
func latency(ctx context.Context, c Case, rate int, length time.Duration) (_ Row, err error) {
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
	ctx, cancel := context.WithTimeoutCause(ctx, length+endless, fmt.Errorf("%v: no end after %v", c, length+endless))
	defer cancel()
	j := journey{Case: c, Rate: rate, Time: length}
	if j.Board, err = shm.New[board](shm.WithOwnSegment()); err != nil {
		return Row{}, err
	}
	defer j.Board.Close()
	if j.Counts, err = newShared(); err != nil {
		return Row{}, err
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
		return Row{}, fmt.Errorf("%v: %w", c, err)
	}
	r := rowOf(c)
	r.Repeats, r.DeliveredOK = 1, true
	fetch(j.Counts).put(&r)
	if rate > 0 {
		r.Rate = some(float64(rate))
		if d := j.Board.Value().Workers[1].Last.Load(); d > 0 {
			r.Reached = some(float64(j.messages()-1) / time.Duration(d).Seconds())
			if *r.Reached < 0.95*float64(rate) {
				r.Note = "cannot keep up"
			}
		}
	}
	return r, nil
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
