package mpqueue

import (
	"fmt"

	"shmkit/shm"
	"shmkit/shm/fault"
)

// KindPipe is the kind of a segment that holds a pipe.
const KindPipe uint32 = 131

var _ = fault.Declare("mpqueue.pipe.swept")

func init() {
	shm.RegisterKind(shm.Kind{
		ID:    KindPipe,
		Name:  "mpqueue.Pipe",
		Sweep: func(s *shm.Segment, _, _, _ uint64, gone shm.Token) { sweepPipe(s, gone) },
		Check: func(s *shm.Segment, _, _, _ uint64) []error { return checkPipe(s) },
		Describe: func(s *shm.Segment, _ uint64) string {
			p, err := overPipe(s)
			if err != nil {
				return err.Error()
			}
			return p.describe()
		},
		Counters: func(s *shm.Segment, _ uint64) []shm.Counter { return pipeCounters(s) },
	})
}

// sweepPipe ends the grants and the turn of a participant that is gone, declares
// ends that it was the last to hold, and wakes everybody. Its cells count no more,
// as it is dead; its locks are the business of package futexlock; a message of which
// it had sent a part is cut off by the next one. Killed anywhere in here, it is run
// again from the start.
func sweepPipe(s *shm.Segment, gone shm.Token) {
	p, err := overPipe(s)
	if err != nil {
		return // nothing here can be trusted
	}
	for i := range p.ctl.grants {
		if g := grant(p.ctl.grants[i].Load()); g != 0 && g.from() == gone {
			p.ctl.grants[i].CompareAndSwap(uint64(g), 0)
		}
	}
	for _, w := range p.ways {
		if w != nil {
			w.endTurnOf(gone)
		}
	}
	if fault.Enabled {
		fault.Point("mpqueue.pipe.swept")
	}
	p.declare(0)
	p.declare(1)
	p.wakeAll()
}

// checkPipe reports what cannot be in a pipe at rest.
func checkPipe(s *shm.Segment) []error {
	p, err := overPipe(s)
	if err != nil {
		return []error{err}
	}
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("mpqueue: check: "+format+": %w", append(args, ErrCorrupt)...))
	}
	for d, w := range p.ways {
		if w == nil {
			continue
		}
		r, wr := w.ctl.read.Load(), w.ctl.write.Load()
		if wr-r > p.geo.size || p.ctl.mode.Load() == modeMessages && (wr|r)%8 != 0 {
			bad("way %d: positions %d and %d of %d bytes", d, r, wr, p.geo.size)
		}
		if t := w.turn(); t != 0 && s.Dead(t) {
			bad("way %d: the turn of participant %v, which is gone", d, t)
		}
	}
	for i := range p.ctl.grants {
		if g := grant(p.ctl.grants[i].Load()); g != 0 && (s.Dead(g.from()) || g.end() < 0 || g.end() > 1) {
			bad("grant %d: %#x, of a participant that is gone", i, uint64(g))
		}
	}
	for end := range 2 {
		if n, t := p.holders(end); n > 0 && p.gone(end) {
			bad("end %d is gone, and participant %v holds it", end, t)
		} else if n == 0 && !p.gone(end) {
			bad("nobody holds end %d, and it is not gone", end)
		}
	}
	return errs
}

func (p *pipeCore) describe() string {
	what := [...]string{"unused", "messages", "bytes"}[min(p.ctl.mode.Load(), 2)]
	for d, w := range p.ways {
		if w != nil {
			what += fmt.Sprintf(", %d to %d: %d of %d bytes", d, 1-d, min(w.ctl.write.Load()-w.ctl.read.Load(), p.geo.size), p.geo.size)
		}
	}
	for end := range 2 {
		n, t := p.holders(end)
		switch q, ok := p.seg.Participant(t); {
		case n == 0:
			what += fmt.Sprintf(", end %d gone", end)
		case n == 1 && ok:
			what += fmt.Sprintf(", end %d held by %s (pid %d)", end, q.Name, q.PID)
		default:
			what += fmt.Sprintf(", end %d held by several", end)
		}
	}
	return what
}

// pipeCounters returns how many bytes have gone each way, heads of messages
// included.
func pipeCounters(s *shm.Segment) (all []shm.Counter) {
	p, err := overPipe(s)
	if err != nil {
		return nil
	}
	for d, w := range p.ways {
		if w != nil {
			all = append(all,
				shm.Counter{Name: fmt.Sprintf("sent %d to %d", d, 1-d), Value: w.ctl.write.Load() - p.geo.first},
				shm.Counter{Name: fmt.Sprintf("received %d to %d", d, 1-d), Value: w.ctl.read.Load() - p.geo.first})
		}
	}
	return all
}
