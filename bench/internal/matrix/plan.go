package matrix

import (
	"context"
	"fmt"
	"strings"
	"time"

	"shmkit/bench/internal/machine"
	"shmkit/bench/internal/rival"
)

// Options say how much of the matrix is to be measured.
type Options struct {
	Quick bool
	Only  string        // parts of names, separated by commas; "": everything
	Time  time.Duration // of one repeat, about; 0: as Quick says
	Trace machine.Tracepoint
	Limit string // the C program that measures the limits of the machine
}

// A Task is one thing to measure. It yields one row or more.
type Task struct {
	Name string // "size/impl=pipe/size=64/procs=1x1"
	Run  func(ctx context.Context) ([]Row, error)
}

// matches says whether the options want the task.
func (o Options) matches(name string) bool {
	if o.Only == "" {
		return true
	}
	for part := range strings.SplitSeq(o.Only, ",") {
		if part != "" && strings.Contains(name, part) {
			return true
		}
	}
	return false
}

// effort is the time that one case of throughput takes.
func (o Options) effort() Effort {
	e := Effort{Time: 400 * time.Millisecond, Repeats: 5, Trace: o.Trace}
	if o.Quick {
		e.Time, e.Repeats = 25*time.Millisecond, 3
	}
	if o.Time > 0 {
		e.Time = o.Time
	}
	return e
}

// Tasks lists what is to be measured. At each point of an axis all rivals
// come one after the other, so that their ratio is of one moment.
func Tasks(o Options) []Task {
	var tasks []Task
	for _, p := range points(o.Quick) {
		for _, k := range rival.All() {
			c := Base(k.Name)
			p(&c)
			c.fit()
			tasks = append(tasks, task(c, func(ctx context.Context) (Row, error) { return throughput(ctx, c, o.effort()) }))
		}
		for _, impl := range pythons {
			c := Base(impl)
			p(&c)
			c.fit()
			tasks = append(tasks, task(c, func(ctx context.Context) (Row, error) { return pythonThroughput(ctx, c, o.effort()) }))
		}
	}
	tasks = append(tasks, latencyTasks(o)...)
	tasks = append(tasks, Task{Name: "limit", Run: func(ctx context.Context) ([]Row, error) { return limits(ctx, o.Limit, o.effort()) }})
	tasks = append(tasks, lockTasks(o)...)
	tasks = append(tasks, crashTasks(o)...)
	tasks = append(tasks, growTasks(o)...)
	kept := tasks[:0]
	for _, t := range tasks {
		if o.matches(t.Name) {
			kept = append(kept, t)
		}
	}
	return kept
}

// task is a task of one row.
func task(c Case, f func(ctx context.Context) (Row, error)) Task {
	return Task{Name: c.String(), Run: func(ctx context.Context) ([]Row, error) {
		r, err := f(ctx)
		return []Row{r}, err
	}}
}

// points are the values of all axes, each a change to the base point.
func points(quick bool) []func(*Case) {
	all := []func(*Case){func(*Case) {}}
	add := func(axis string, change func(*Case)) {
		all = append(all, func(c *Case) { c.Axis = axis; change(c) })
	}
	sizes, shapes, batches := []int{8, 1 << 10, 64 << 10, 1 << 20, Mixed}, [][2]int{{2, 1}, {1, 2}, {2, 2}, {4, 4}, {8, 8}}, []int{8, 64}
	modes, capacities := []string{rival.Spin, rival.Block}, []int{16, 1 << 16}
	if quick {
		sizes, shapes, batches = []int{8, 64 << 10}, [][2]int{{2, 2}}, []int{64}
		modes, capacities = []string{rival.Spin}, []int{16}
	}
	for _, n := range sizes {
		add("size", func(c *Case) { c.Size = n })
	}
	for _, n := range shapes {
		add("procs", func(c *Case) { c.Producers, c.Consumers = n[0], n[1] })
	}
	for _, n := range batches {
		add("batch", func(c *Case) { c.Batch = n })
	}
	for _, m := range modes {
		add("mode", func(c *Case) { c.Mode = m })
	}
	for _, n := range capacities {
		add("capacity", func(c *Case) { c.Capacity = n })
	}
	for _, n := range []int{64, 64 << 10} {
		add("zerocopy", func(c *Case) { c.Size, c.ZeroCopy = n, true })
	}
	return all
}

// fit lowers the capacity of large messages: no channel shall hold more than
// 64 MiB.
func (c *Case) fit() {
	if c.Size > 0 {
		c.Capacity = max(1, min(c.Capacity, 64<<20/c.Size))
	}
}

// latencyTasks are the ping-pong and the open loop, at fixed rates.
func latencyTasks(o Options) []Task {
	length, rates := 2*time.Second, []int{10_000, 100_000, 1_000_000}
	if o.Quick {
		length, rates = 100*time.Millisecond, []int{10_000, 100_000}
	}
	var tasks []Task
	add := func(c Case, rate int) {
		name := c.String()
		if rate > 0 {
			name += fmt.Sprintf("/rate=%d", rate)
		}
		tasks = append(tasks, Task{Name: name, Run: func(ctx context.Context) ([]Row, error) {
			r, err := latency(ctx, c, rate, length, o.effort().Repeats)
			return []Row{r}, err
		}})
	}
	for _, mode := range []string{"", rival.Spin} {
		for _, k := range rival.All() {
			if mode != "" && len(k.Modes) == 0 {
				continue
			}
			c := Base(k.Name)
			c.Axis, c.Mode = "pingpong", mode
			add(c, 0)
		}
	}
	for _, impl := range pythons {
		c := Base(impl)
		c.Axis = "pingpong"
		tasks = append(tasks, task(c, func(ctx context.Context) (Row, error) { return pythonLatency(ctx, c, length, o.effort().Repeats) }))
	}
	for _, rate := range rates {
		for _, k := range rival.All() {
			c := Base(k.Name)
			c.Axis = "openloop"
			add(c, rate)
		}
	}
	return tasks
}

// lockTasks are the locks under one, two and more holders, and the processes.
func lockTasks(o Options) []Task {
	holders, times := []int{1, 2, 4, 8}, 200
	if o.Quick {
		holders, times = []int{1, 2}, 40
	}
	var tasks []Task
	for _, n := range holders {
		for _, impl := range lockKinds {
			tasks = append(tasks, Task{
				Name: fmt.Sprintf("lock/impl=%s/procs=%d", impl, n),
				Run: func(ctx context.Context) ([]Row, error) {
					r, err := lockRow(ctx, impl, n, o.effort())
					return []Row{r}, err
				},
			})
		}
	}
	for _, impl := range launchKinds {
		times := times
		if impl == "py-process-spawn" { // Each takes as long as many others.
			times /= 4
		}
		tasks = append(tasks, Task{
			Name: "process/impl=" + impl,
			Run: func(ctx context.Context) ([]Row, error) {
				r, err := launchRow(ctx, impl, times)
				return []Row{r}, err
			},
		})
	}
	return tasks
}

// crashTasks kill a producer, a consumer, and the holder of a lock.
func crashTasks(o Options) []Task {
	times, patience := 50, 5*time.Second
	if o.Quick {
		times, patience = 5, time.Second
	}
	var tasks []Task
	impls := []string{}
	for _, k := range rival.All() {
		impls = append(impls, k.Name)
		if k.Name == "mpqueue" {
			impls = append(impls, k.Name+alone)
		}
	}
	for _, scene := range []string{"producer", "consumer"} {
		for _, impl := range append(impls, "py-queue") {
			tasks = append(tasks, Task{
				Name: fmt.Sprintf("crash-%s/impl=%s", scene, impl),
				Run: func(ctx context.Context) ([]Row, error) {
					r, err := crashRow(ctx, impl, scene, times, patience)
					return []Row{r}, err
				},
			})
		}
	}
	for _, impl := range []string{"futexlock", "futexlock" + alone, "flock", "py-lock"} {
		tasks = append(tasks, Task{
			Name: "crash-holder/impl=" + impl,
			Run: func(ctx context.Context) ([]Row, error) {
				r, err := heirRow(ctx, impl, times, patience)
				return []Row{r}, err
			},
		})
	}
	return tasks
}
