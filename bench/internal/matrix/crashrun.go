package matrix

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"shmkit/bench/internal/machine"
	"shmkit/bench/internal/rival"
	"shmkit/procs"
	"shmkit/shm"
)

// crashOnce kills the victim once and reports how long the survivor took, and
// what became of it: "recovers", "lost", "hang", "corrupt". If letGo is set this
// process, the parent of all, has nothing to do with the channel any more when
// the victim dies.
func crashOnce(ctx context.Context, k rival.Kind, scene string, letGo bool, patience time.Duration) (took time.Duration, outcome string, err error) {
	p := party{Impl: k.Name, Scene: scene}
	if p.Box, err = shm.New[crashBox](shm.WithOwnSegment()); err != nil {
		return 0, "", err
	}
	defer p.Box.Close()
	spec := rival.Spec{MaxMessage: 64, Varied: true, Capacity: 16, Producers: 2, Consumers: 2}
	if scene == "producer" && carriesBig(k) {
		spec.MaxMessage = bigMessage
	}
	ch, err := k.Make(spec)
	if err != nil {
		return 0, "", err
	}
	defer ch.Close()
	p.Ends = ch.Ends
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var all []*procs.Process
	defer func() {
		for _, proc := range all {
			proc.Kill()
			proc.Join(context.WithoutCancel(ctx)) // How it ended is the result, or no matter.
			proc.Close()
		}
	}()
	box := p.Box.Value()
	start := func(role string, files []*os.File) *procs.Process {
		p.Role, p.Files = role, len(files)
		proc := crashing.Process(p, procs.Name(role), procs.Daemon(), procs.ExtraFiles(files...))
		if err := proc.Start(); err != nil {
			stop(err)
			return proc
		}
		all = append(all, proc)
		return proc
	}
	var victim, survivor, successor *procs.Process
	var begin int64
	if scene == "producer" {
		// The victim is in the middle of its message, the next one waits behind
		// it or has its messages in the channel, and the survivor is ready.
		victim = start("victim", ch.SendFiles)
		await(ctx, func() bool { return box.Victim.Load() == 1 && standsStill(victim.PID()) })
		successor = start("successor", ch.SendFiles)
		survivor = start("survivor", ch.ReceiveFiles)
		await(ctx, func() bool { return ended(successor) || standsStill(successor.PID()) })
		await(ctx, func() bool { return box.Ready.Load() == 1 || ended(survivor) })
		if k.Name == "mpqueue" { // It can wait already: the victim is stopped, not blocked.
			box.Go.Store(1)
			await(ctx, func() bool { return standsStill(survivor.PID()) })
		}
		if letGo {
			ch.Close()
		}
		begin = machine.Now()
		victim.Kill()
		box.Go.Store(1)
	} else {
		box.Go.Store(1)
		victim = start("victim", ch.ReceiveFiles)
		successor = start("successor", ch.SendFiles)
		await(ctx, func() bool { return box.Victim.Load() == 2 })
		survivor = start("survivor", ch.ReceiveFiles)
		settle, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
		await(settle, func() bool { return box.Count.Load() >= after-1 && ended(successor) || ended(survivor) })
		cancel()
		if letGo {
			ch.Close()
		}
		begin = machine.Now()
		victim.Kill()
	}
	over, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	await(over, func() bool { return box.Count.Load() >= after || box.Wrong.Load() > 0 || ended(survivor) })
	end := machine.Now()
	got := box.Count.Load()
	switch {
	case ctx.Err() != nil:
		return 0, "", context.Cause(ctx)
	case got >= after && box.Wrong.Load() == 0 && scene == "producer":
		return time.Duration(max(0, box.First.Load()-begin)), "recovers", nil
	case got >= after && box.Wrong.Load() == 0:
		return time.Duration(end - begin), "recovers", nil
	case box.Wrong.Load() > 0 || ended(survivor):
		return 0, "corrupt frame", nil
	default:
		return 0, missing(scene, got, patience), nil
	}
}

// ended says whether the process is no more.
func ended(p *procs.Process) bool {
	select {
	case <-p.Done():
		return true
	default:
		return false
	}
}

// await looks until ready says yes; false if ctx ended before.
func await(ctx context.Context, ready func() bool) bool {
	for tick := time.Tick(100 * time.Microsecond); !ready(); {
		select {
		case <-tick:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// crashRow repeats a crash and sums up.
func crashRow(ctx context.Context, impl, scene string, times int, patience time.Duration) (Row, error) {
	c := Case{Axis: "crash-" + scene, Impl: impl, Size: 64, Producers: 2, Consumers: 2, Batch: 1, Mode: rival.Block, Capacity: 16}
	if impl == "py-queue" {
		return pythonCrash(ctx, c, scene, patience)
	}
	name, letGo := strings.CutSuffix(impl, alone)
	k, err := find(name)
	if err != nil {
		return Row{}, err
	}
	c.Mode = defaultMode(k)
	if k.InProcess {
		return skipped(c, "one process: it dies as a whole"), nil
	}
	if why := k.Skip(rival.Spec{MaxMessage: 64, Varied: true, Capacity: 16, Producers: 2, Consumers: 2}); why != "" {
		return skipped(c, why), nil
	}
	var took []float64
	outcomes := map[string]int{}
	for range times {
		d, outcome, err := crashOnce(ctx, k, scene, letGo, patience)
		if err != nil {
			return Row{}, err
		}
		if outcomes[outcome]++; outcome == "recovers" {
			took = append(took, float64(d))
		} else if outcomes[outcome] >= 2 {
			break // It does not get better, and each hang costs the watchdog's time.
		}
	}
	r := crashed(c, outcomes, took)
	if scene == "producer" && k.Name != "mpqueue" && !carriesBig(k) {
		r.Note = "killed as it waited for room: no message was under way"
	}
	return r, nil
}

// carriesBig says whether a sender of the kind can be in the middle of a message.
func carriesBig(k rival.Kind) bool {
	return k.Skip(rival.Spec{MaxMessage: bigMessage, Capacity: 16, Producers: 2, Consumers: 2}) == ""
}

// pythonCrash is crashRow for Python's queue. Once says it all: it never
// recovers, and each hang costs the watchdog's time.
func pythonCrash(ctx context.Context, c Case, scene string, patience time.Duration) (Row, error) {
	if pythonPath() == "" {
		return skipped(c, "no python3 on this machine"), nil
	}
	a, err := python(ctx, pythonArgs{What: "crash-queue", Scene: scene, Capacity: c.Capacity, Seconds: patience.Seconds()})
	if err != nil {
		return Row{}, err
	}
	var took []float64
	outcome := missing(scene, int64(a.Messages), patience)
	if a.Messages == after {
		outcome, took = "recovers", []float64{a.Seconds * 1e9}
	}
	r := crashed(c, map[string]int{outcome: 1}, took)
	r.Note = forked
	return r, nil
}

// missing names what became of messages that did not arrive.
func missing(scene string, got int64, patience time.Duration) string {
	if scene == "consumer" {
		return fmt.Sprintf("lost %d of %d", after-got, after)
	}
	return fmt.Sprintf("hang, %d of %d after %v", got, after, patience)
}

// crashed makes a row of what became of some crashes.
func crashed(c Case, outcomes map[string]int, took []float64) Row {
	r := rowOf(c)
	r.DeliveredOK = len(outcomes) == 1 && outcomes["recovers"] > 0
	names := make([]string, 0, len(outcomes))
	for name, n := range outcomes {
		r.Repeats += n
		names = append(names, name)
	}
	slices.Sort(names)
	for i, name := range names {
		if i > 0 {
			r.Outcome += "; "
		}
		r.Outcome += name
	}
	if len(took) > 0 {
		slices.Sort(took)
		r.P50, r.P99, r.Worst = some(took[len(took)/2]), some(took[len(took)*99/100]), some(took[len(took)-1])
	}
	return r
}
