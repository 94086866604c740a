package machine

import (
	"time"

	"golang.org/x/sys/unix"
)

// base pairs one reading of CLOCK_MONOTONIC, which all processes share, with
// one of Go's clock, which is the same clock without a system call. A thread
// may lose its CPU between the two readings: of some pairs the closest counts.
var base = func() (b struct {
	at    time.Time
	since int64
}) {
	best := int64(1 << 62)
	for range 16 {
		before := monotonic()
		at := time.Now()
		after := monotonic()
		if d := after - before; d < best {
			best, b.at, b.since = d, at, before+d/2
		}
	}
	return b
}()

func monotonic() int64 {
	var t unix.Timespec
	unix.ClockGettime(unix.CLOCK_MONOTONIC, &t)
	return t.Nano()
}

// Now reports nanoseconds on a clock that all processes of this machine share
// and that nobody sets. It takes some 40 ns. Two processes agree to within
// the microsecond that it took them to pair the clocks.
func Now() int64 { return base.since + int64(time.Since(base.at)) }
