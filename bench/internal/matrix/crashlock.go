package matrix

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"shmkit/bench/internal/machine"
	"shmkit/futexlock"
	"shmkit/procs"
	"shmkit/shm"
)

// heir is what a process is told that holds a lock until it is killed, or that
// waits to inherit it.
type heir struct {
	holding
	Box2   *shm.Object[crashBox]
	Victim bool
}

var inheriting = procs.Register("bench.matrix.heir", func(ctx context.Context, h heir) error { return h.play(ctx) })

func (h heir) play(ctx context.Context) error {
	lock, _, err := h.pair()
	if err != nil {
		return err
	}
	box := h.Box2.Value()
	if h.Victim {
		if err := lock(); err != nil {
			return err
		}
		box.Victim.Store(2)
		<-ctx.Done()
		return nil
	}
	box.Ready.Store(1)
	if err := lock(); err != nil && !errors.Is(err, futexlock.ErrOwnerDied) {
		return err
	}
	box.First.Store(machine.Now())
	box.Count.Store(1)
	return nil
}

// inheritOnce kills the holder of a lock while another process sleeps in front
// of it.
func inheritOnce(ctx context.Context, impl string, patience time.Duration) (took time.Duration, outcome string, err error) {
	name, letGo := strings.CutSuffix(impl, alone)
	h := heir{holding: holding{Impl: name}}
	if h.Box, err = shm.New[lockBox](shm.WithOwnSegment()); err != nil {
		return 0, "", err
	}
	defer h.Box.Close()
	if h.Box2, err = shm.New[crashBox](shm.WithOwnSegment()); err != nil {
		return 0, "", err
	}
	defer h.Box2.Close()
	f, err := os.CreateTemp("", "shmkit-bench")
	if err != nil {
		return 0, "", err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	h.Path = f.Name()
	box := h.Box2.Value()
	start := func(victim bool) (*procs.Process, error) {
		h.Victim = victim
		p := inheriting.Process(h, procs.Daemon())
		return p, p.Start()
	}
	end := func(p *procs.Process) {
		p.Kill()
		p.Join(context.WithoutCancel(ctx)) // That it was killed is no news.
		p.Close()
	}
	victim, err := start(true)
	if err != nil {
		return 0, "", err
	}
	defer end(victim)
	await(ctx, func() bool { return box.Victim.Load() == 2 || ended(victim) })
	next, err := start(false)
	if err != nil {
		return 0, "", err
	}
	defer end(next)
	await(ctx, func() bool { return box.Ready.Load() == 1 && standsStill(next.PID()) || ended(next) })
	if letGo {
		h.Box.Close()
	}
	begin := machine.Now()
	victim.Kill()
	over, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	await(over, func() bool { return box.Count.Load() == 1 || ended(next) })
	switch {
	case ctx.Err() != nil:
		return 0, "", context.Cause(ctx)
	case box.Count.Load() == 1:
		return time.Duration(box.First.Load() - begin), "recovers", nil
	default:
		return 0, fmt.Sprintf("hang after %v", patience), nil
	}
}

// heirRow repeats the death of a holder and sums up.
func heirRow(ctx context.Context, impl string, times int, patience time.Duration) (Row, error) {
	c := Case{Axis: "crash-holder", Impl: impl, Size: 8, Producers: 2, Batch: 1, Mode: "hybrid"}
	outcomes := map[string]int{}
	var took []float64
	if impl == "py-lock" {
		c.Mode = "block"
		if pythonPath() == "" {
			return skipped(c, "no python3 on this machine"), nil
		}
		a, err := python(ctx, pythonArgs{What: "crash", Seconds: patience.Seconds()})
		if err != nil {
			return Row{}, err
		}
		outcome := fmt.Sprintf("hang after %v", patience)
		if a.Messages == 1 {
			outcome, took = "recovers", []float64{a.Seconds * 1e9}
		}
		outcomes[outcome]++
		return crashed(c, outcomes, took), nil
	}
	for range times {
		d, outcome, err := inheritOnce(ctx, impl, patience)
		if err != nil {
			return Row{}, err
		}
		if outcomes[outcome]++; outcome == "recovers" {
			took = append(took, float64(d))
		} else if outcomes[outcome] >= 2 {
			break
		}
	}
	return crashed(c, outcomes, took), nil
}
