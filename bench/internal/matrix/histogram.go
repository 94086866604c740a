package matrix

import (
	"github.com/HdrHistogram/hdrhistogram-go"

	"shmkit/shm"
)

// A histogram counts latencies from 1 ns to 10 s with three digits.
type histogram struct{ *hdrhistogram.Histogram }

const (
	fastest = 1
	slowest = 10_000_000_000
	digits  = 3
)

func newHistogram() histogram { return histogram{hdrhistogram.New(fastest, slowest, digits)} }

// record counts one latency; what is out of range counts as the nearest that
// is in it.
func (h histogram) record(ns int64) { h.RecordValue(max(fastest, min(slowest, ns))) }

// newShared makes the memory in which a worker leaves a histogram.
func newShared() (*shm.Slice[int64], error) {
	return shm.NewSlice[int64](len(newHistogram().Export().Counts))
}

// leave copies the counts into shared memory.
func (h histogram) leave(to *shm.Slice[int64]) { copy(to.Data(), h.Export().Counts) }

// fetch reads what a worker has left.
func fetch(from *shm.Slice[int64]) histogram {
	return histogram{hdrhistogram.Import(&hdrhistogram.Snapshot{
		LowestTrackableValue: fastest, HighestTrackableValue: slowest, SignificantFigures: digits,
		Counts: append([]int64(nil), from.Data()...),
	})}
}

// put puts the percentiles into the row.
func (h histogram) put(r *Row) {
	at := func(percent float64) *float64 { return some(float64(h.ValueAtQuantile(percent))) }
	r.P50, r.P90, r.P99, r.P999, r.Worst = at(50), at(90), at(99), at(99.9), some(float64(h.Max()))
	for _, b := range h.CumulativeDistributionWithTicks(4) {
		if b.Quantile < 100 {
			r.Curve = append(r.Curve, Quantile{b.Quantile, float64(b.ValueAt)})
		}
	}
}
