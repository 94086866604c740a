package matrix

import (
	"context"
	"fmt"

	"shmkit/bench/internal/rival"
)

// growTasks show how the cost grows with one number, everything else alike.
func growTasks(o Options) []Task {
	pairs, capacities := []int{1, 2, 3, 4, 6, 8}, []int{2, 16, 128, 1 << 10, 1 << 13, 1 << 16, 1 << 20}
	queues, waiters, locks := []int{1, 4, 16, 64, 128}, []int{2, 8, 32, 128, 512, 2048}, []int{1, 10, 100, 1000, 10_000, 100_000}
	if o.Quick {
		pairs, capacities = []int{1, 2, 4}, []int{2, 128, 1 << 13}
		queues, waiters, locks = []int{1, 16}, []int{2, 128}, []int{1, 1000}
	}
	var tasks []Task
	add := func(axis, impl string, n int, f func(ctx context.Context, c Case) (Row, error)) {
		c := Base(impl)
		c.Axis = axis
		tasks = append(tasks, Task{Name: fmt.Sprintf("%s/impl=%s/n=%d", axis, impl, n), Run: func(ctx context.Context) ([]Row, error) {
			r, err := f(ctx, c)
			r.X = some(float64(n))
			return []Row{r}, err
		}})
	}
	for _, n := range pairs {
		for _, impl := range []string{"mpqueue", "mpqueue-fixed", "pipequeue", "bufpipe", "seqpacket", "channel", "channel-fixed"} {
			add("grow-procs", impl, n, func(ctx context.Context, c Case) (Row, error) {
				c.Producers, c.Consumers = n, n
				return throughput(ctx, c, o.effort())
			})
		}
	}
	for _, n := range capacities {
		for _, impl := range []string{"mpqueue", "mpqueue-fixed", "eventfd", "channel", "channel-fixed"} {
			add("grow-capacity", impl, n, func(ctx context.Context, c Case) (Row, error) {
				c.Capacity = n
				return throughput(ctx, c, o.effort())
			})
		}
	}
	for _, n := range queues {
		for _, impl := range []string{"mpqueue", "pipe", "seqpacket"} {
			add("grow-queues", impl, n, func(ctx context.Context, c Case) (Row, error) {
				k, err := find(impl)
				if err != nil {
					return Row{}, err
				}
				c.Capacity, c.Mode = 64, defaultMode(k)
				return growth(c, o.effort(), 20, func(count int) (sample, error) { return manyOnce(ctx, k, n, max(1, count/n)) })
			})
		}
	}
	for _, n := range waiters {
		for _, impl := range []string{"futexlock", "sync"} {
			add("grow-waiters", impl, n, func(ctx context.Context, c Case) (Row, error) {
				c.Size, c.Capacity, c.Mode = 8, 0, rival.Hybrid
				return growth(c, o.effort(), 2000, func(count int) (sample, error) {
					return holdOnce(ctx, crowd{impl: impl, goroutines: n, count: max(1, count/n)})
				})
			})
		}
	}
	for _, n := range locks {
		add("grow-locks", "futexlock", n, func(ctx context.Context, c Case) (Row, error) {
			c.Size, c.Capacity, c.Mode = 8, 0, rival.Hybrid
			return growth(c, o.effort(), 2000, func(count int) (sample, error) {
				return holdOnce(ctx, crowd{impl: "futexlock", processes: 2, count: count, locks: n})
			})
		})
	}
	return tasks
}

// growth finds the count that fills the time, and repeats.
func growth(c Case, e Effort, count int, once func(count int) (sample, error)) (Row, error) {
	count, err := calibrate(count, mostMessages, e.Time, once)
	if err != nil {
		return Row{}, err
	}
	samples, err := e.repeat(count, once)
	if err != nil {
		return Row{}, err
	}
	r := rowOf(c)
	r.fill(samples)
	if s := samples[0]; s.bytes == 0 {
		r.BytesPerS = nil
	}
	return r, nil
}
