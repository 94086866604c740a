package matrix

import (
	"context"
	"time"
)

// Once runs a case a single time with count messages in all, rounded up to a
// whole number for each producer, and returns its row: what a Go benchmark
// does for each b.N. A case that its kind cannot carry has Skipped set.
func Once(ctx context.Context, c Case, count int) (Row, error) {
	k, err := find(c.Impl)
	if err != nil {
		return Row{}, err
	}
	c.fit()
	if why := cannot(k, c); why != "" {
		return skipped(c, why), nil
	}
	if c.Mode == "" {
		c.Mode = defaultMode(k)
	}
	s, err := run(ctx, k, c, max(1, (count+c.Producers-1)/c.Producers), 0)
	if err != nil {
		return Row{}, err
	}
	r := rowOf(c)
	r.fill([]sample{s})
	return r, nil
}

// PingPong sends a message there and back for the given time and returns the
// row with its percentiles.
func PingPong(ctx context.Context, c Case, length time.Duration) (Row, error) {
	return latency(ctx, c, 0, length, 1)
}

// Hold lets so many processes take a lock of the kind "futexlock", "flock" or
// "sync" (there: goroutines), count times in all, and returns the row.
func Hold(ctx context.Context, impl string, processes, count int) (Row, error) {
	s, err := holdOnce(ctx, crowd{impl: impl, processes: processes, goroutines: processes, count: max(1, (count+processes-1)/processes)})
	if err != nil {
		return Row{}, err
	}
	r := rowOf(Case{Axis: "lock", Impl: impl, Size: 8, Producers: processes})
	r.fill([]sample{s})
	return r, nil
}
