package main

import (
	"fmt"
	"testing"
	"time"

	"shmkit/bench/internal/matrix"
	"shmkit/bench/internal/rival"
)

// The benchmarks of this file are for benchstat; the matrix is for people.
//
//	go test ./bench -run '^$' -bench Throughput -count 10 | tee new.txt
//	benchstat -col /impl new.txt
//
// ns/op is the time of one message between real processes, from the moment
// when all of them are ready; their start is not in it.

// reportRow replaces the benchmark's own time by that of the row.
func reportRow(b *testing.B, r matrix.Row, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
	if r.Skipped != "" {
		b.Skip(r.Skipped)
	}
	for _, m := range []struct {
		unit  string
		value *float64
	}{{"ns/op", r.NSPerMsg}, {"cpu-ns/op", r.CPUPerMsg}, {"p50-ns", r.P50}, {"p99-ns", r.P99}} {
		if m.value != nil {
			b.ReportMetric(*m.value, m.unit)
		}
	}
	if r.BytesPerS != nil {
		b.ReportMetric(*r.BytesPerS/1e6, "MB/s")
	}
}

func BenchmarkThroughput(b *testing.B) {
	// More sizes and numbers are the matrix's: six rounds of all that stands here end
	// within go test's ten minutes.
	for _, at := range []struct{ size, n int }{{64, 1}, {64, 2}} {
		for _, k := range rival.All() {
			c := matrix.Base(k.Name)
			c.Size, c.Producers, c.Consumers = at.size, at.n, at.n
			b.Run(fmt.Sprintf("impl=%s/size=%d/procs=%dx%d", k.Name, at.size, at.n, at.n), func(b *testing.B) {
				r, err := matrix.Once(b.Context(), c, b.N)
				reportRow(b, r, err)
			})
		}
	}
}

// BenchmarkPingPong measures the round trip of one message: ns/op is the
// median of one measurement of 50 ms, and b.N is how many of them are made.
func BenchmarkPingPong(b *testing.B) {
	for _, k := range rival.All() {
		c := matrix.Base(k.Name)
		c.Axis = "pingpong"
		b.Run(fmt.Sprintf("impl=%s/size=64/procs=1x1", k.Name), func(b *testing.B) {
			var r matrix.Row
			var err error
			for range b.N {
				if r, err = matrix.PingPong(b.Context(), c, 50*time.Millisecond); err != nil {
					break
				}
			}
			r.NSPerMsg = r.P50
			reportRow(b, r, err)
		})
	}
}

func BenchmarkLock(b *testing.B) {
	for _, n := range []int{1, 2} {
		for _, impl := range []string{"futexlock", "sync", "flock"} {
			b.Run(fmt.Sprintf("impl=%s/procs=%d", impl, n), func(b *testing.B) {
				r, err := matrix.Hold(b.Context(), impl, n, b.N)
				reportRow(b, r, err)
			})
		}
	}
}
