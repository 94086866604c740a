package matrix

import (
	"testing"
	"time"
)

// TestCalibrate gives runs that cost something once, and something a message:
// the messages must fill the time.
func TestCalibrate(t *testing.T) {
	const want = 25 * time.Millisecond
	for _, c := range []struct {
		name   string
		fixed  func(run int) time.Duration
		per    time.Duration
		limit  int
		lo, hi float64 // of want, that the messages take
	}{
		{"nothing once", func(int) time.Duration { return 0 }, 100, 1 << 30, 0.9, 1.1},
		{"more than the time once", func(int) time.Duration { return 47 * time.Millisecond }, 120, 1 << 30, 0.9, 2.1},
		{"a hiccup at first", func(run int) time.Duration { return max(0, time.Duration(1-run)) * 90 * time.Millisecond }, 120, 1 << 30, 0.9, 2.1},
		{"a hiccup later", func(run int) time.Duration {
			if run == 2 {
				return 60 * time.Millisecond
			}
			return time.Millisecond
		}, 2000, 1 << 30, 0.04, 2.1},
		{"slow messages", func(int) time.Duration { return time.Millisecond }, 5 * time.Millisecond, 1 << 30, 0.8, 2.1},
		{"a limit", func(int) time.Duration { return 0 }, 10, 1000, 0, 0.1},
	} {
		runs, longest := 0, time.Duration(0)
		n, err := calibrate(firstCount, c.limit, want, func(count int) (sample, error) {
			s := sample{messages: count, time: c.fixed(runs) + c.per*time.Duration(count)}
			runs, longest = runs+1, max(longest, s.time)
			return s, nil
		})
		got := float64(c.per) * float64(n) / float64(want)
		t.Logf("%s: %d messages, %.2f of the time, after %d runs of %v at most", c.name, n, got, runs, longest)
		if err != nil || got < c.lo || got > c.hi || n > c.limit || longest > 20*want {
			t.Errorf("%s: %d messages, %.2f of the time, the longest run %v, %v", c.name, n, got, longest, err)
		}
	}
}
