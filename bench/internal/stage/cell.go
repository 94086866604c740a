package stage

import (
	"context"
	"structs"
	"sync/atomic"
	"time"

	"shmkit/bench/internal/machine"
	"shmkit/futexlock"
)

// Cell is what one worker leaves for the launcher, in shared memory. Only the
// worker writes it. It outlives its process: a successor goes on in the same
// cell.
//
//	word    meaning
//	ready   how many processes have come to the gate with this cell
//	ended   how many of them have done their part
//	calls   system calls between the gate and the end, or -1 if not counted
//	used    what machine.Usage says of the same time; valid when ended > 0
type Cell struct {
	_     structs.HostLayout
	ready atomic.Int64
	ended atomic.Int64
	calls atomic.Int64
	used  [6]atomic.Int64
}

// A Ledger is the open account of one worker between the gate and its end.
type Ledger struct {
	cell    *Cell
	before  machine.Usage
	counter *machine.SyscallCounter
}

// Begin waits at the gate, and opens the worker's account when it may go. With
// a tracepoint, system calls are counted as well. It returns ctx's error if
// the gate never opens.
func (c *Cell) Begin(ctx context.Context, gate *futexlock.Event, tp machine.Tracepoint) (*Ledger, error) {
	l := &Ledger{cell: c, counter: tp.Count()}
	c.ready.Add(1)
	if err := gate.Wait(ctx); err != nil {
		return nil, err
	}
	l.before = machine.Self()
	return l, nil
}

// End closes the account.
func (l *Ledger) End() {
	l.cell.calls.Store(l.counter.Close())
	u := machine.Self().Since(l.before)
	for i, v := range []int64{u.CPU, u.ReadCalls, u.WriteCalls, u.Switches, u.PeakPrivate, u.Shared} {
		l.cell.used[i].Store(v)
	}
	l.cell.ended.Add(1) // Publishes the rest; Used loads it first.
}

// Ready reports whether a process has come to the gate with this cell.
func (c *Cell) Ready() bool { return c.ready.Load() > 0 }

// Used returns what the last process that ended with this cell has used, and
// how many system calls it made; unknown if none has ended.
func (c *Cell) Used() (u machine.Usage, calls int64) {
	if c.ended.Load() == 0 {
		return machine.Unknown, -1
	}
	u = machine.Usage{
		CPU: c.used[0].Load(), ReadCalls: c.used[1].Load(), WriteCalls: c.used[2].Load(),
		Switches: c.used[3].Load(), PeakPrivate: c.used[4].Load(), Shared: c.used[5].Load(),
	}
	return u, c.calls.Load()
}

// Await waits until all of the cells are ready. It is false if ctx ended
// before.
func Await(ctx context.Context, cells ...*Cell) bool {
	for tick := time.Tick(500 * time.Microsecond); ; {
		there := 0
		for _, c := range cells {
			if c.Ready() {
				there++
			}
		}
		if there == len(cells) {
			return true
		}
		select {
		case <-tick:
		case <-ctx.Done():
			return false
		}
	}
}

// Sum adds up what all the cells have used.
func Sum(cells ...*Cell) (used machine.Usage, calls int64) {
	for _, c := range cells {
		u, n := c.Used()
		used = used.Plus(u)
		if n < 0 || calls < 0 {
			calls = -1
		} else {
			calls += n
		}
	}
	return used, calls
}
