package matrix

import (
	"cmp"
	"context"
	"slices"
	"time"

	"shmkit/bench/internal/machine"
	"shmkit/bench/internal/rival"
)

// Effort says how much time a case may take.
type Effort struct {
	Time    time.Duration // of one repeat, about
	Repeats int
	Trace   machine.Tracepoint // to count system calls with, in a run of its own
}

// repeat runs once as often as the effort says, with that many messages.
func (e Effort) repeat(count int, once func(count int) (sample, error)) (samples []sample, err error) {
	for range e.Repeats {
		s, err := once(count)
		if err != nil {
			return nil, err
		}
		samples = append(samples, s)
	}
	return samples, nil
}

// mostMessages bounds one run: each message has a bit in memory.
const mostMessages = 32 << 20

// throughput measures one case. A case that its kind cannot carry is a row
// that says so; an error is a failure of the channel, or ctx's.
func throughput(ctx context.Context, c Case, e Effort) (Row, error) {
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
	once := func(count int) (sample, error) { return run(ctx, k, c, count, 0) }
	count, err := calibrate(firstCount, mostMessages/(c.Producers*c.Consumers), e.Time, once)
	if err != nil {
		return Row{}, err
	}
	row := rowOf(c)
	if e.Trace != 0 {
		s, err := run(ctx, k, c, max(1, count/4), e.Trace)
		if err != nil {
			return Row{}, err
		}
		if s.calls >= 0 {
			row.SyscallsPerMsg, row.SyscallsBy = some(float64(s.calls)/float64(s.messages)), "tracepoint"
		}
	}
	samples, err := e.repeat(count, once)
	if err != nil {
		return Row{}, err
	}
	row.fill(samples)
	if mid := samples[len(samples)/2]; row.SyscallsPerMsg == nil && k.ReadsWrites && mid.used.ReadCalls >= 0 && mid.used.WriteCalls >= 0 {
		row.SyscallsPerMsg, row.SyscallsBy = some(float64(mid.used.ReadCalls+mid.used.WriteCalls)/float64(mid.messages)), "io"
	}
	return row, nil
}

// fill puts the median of the samples into the row.
func (r *Row) fill(samples []sample) {
	slices.SortFunc(samples, func(a, b sample) int { return cmp.Compare(a.perMessage(), b.perMessage()) })
	mid := samples[len(samples)/2]
	r.NSPerMsg = some(mid.perMessage())
	r.Min, r.Max = some(samples[0].perMessage()), some(samples[len(samples)-1].perMessage())
	r.BytesPerS = some(float64(mid.bytes) / mid.time.Seconds())
	if mid.used.CPU >= 0 {
		r.CPUPerMsg = some(float64(mid.used.CPU) / float64(mid.messages))
	}
	r.Repeats, r.DeliveredOK = len(samples), true
}

// cannot says why the kind cannot run the case, or "".
func cannot(k rival.Kind, c Case) string {
	if c.Mode != "" && c.Mode != defaultMode(k) && !slices.Contains(k.Modes, c.Mode) {
		return "it has no such way to wait"
	}
	if c.Batch > 1 && !k.Batches {
		return "it has no batches"
	}
	if c.ZeroCopy && !k.ZeroCopy {
		return "it always copies"
	}
	if c.Axis == "capacity" && !k.Bounded {
		return "its room is in bytes"
	}
	return k.Skip(c.spec(newPattern(c.Size).max))
}

// defaultMode is how the kind waits if nobody asks.
func defaultMode(k rival.Kind) string {
	if len(k.Modes) > 0 {
		return k.Modes[0]
	}
	return rival.Block
}
