package futexlock

import (
	"fmt"
	"sync/atomic"

	"shmkit/shm"
)

// Owner describes the process that holds a lock, for people: by the time it is
// printed the lock may have moved on.
type Owner struct {
	Token shm.Token // in the lock's segment
	PID   int       // as that process's pid namespace numbers it; 0 if it has left the table
	Name  string    // see shm.SetProcessName
	Dead  bool      // it died while it held the lock, and nobody has taken over yet
}

// String returns "cook-1 (pid 12)".
func (o Owner) String() string {
	s := o.Name
	if s == "" {
		s = "process " + o.Token.String()
	}
	if o.PID != 0 {
		s += fmt.Sprintf(" (pid %d)", o.PID)
	}
	if o.Dead {
		s += ", dead"
	}
	return s
}

// attached returns seg, which a lock was found in, and who this process is there.
// It stops the caller if that is none.
func attached(op string, seg *shm.Segment) (_ *shm.Segment, self uint32) {
	if seg == nil {
		stray(op)
	}
	return seg, uint32(seg.Self())
}

// entered is attached for a step that lets another goroutine of this process close
// the lock, and is followed by more: the caller ends the stay.
func entered(op string, seg *shm.Segment, stay *shm.Stay, word *atomic.Uint32) (_ *shm.Segment, self uint32) {
	if seg == nil || stay.Enter(seg, word) != nil {
		stray(op)
	}
	return seg, uint32(seg.Self())
}

func owner(seg *shm.Segment, t shm.Token) Owner {
	o := Owner{Token: t, Dead: seg.Dead(t)}
	if p, ok := seg.Participant(t); ok {
		o.PID, o.Name = p.PID, p.Name
	}
	return o
}

// people names the participant t for a message.
func people(seg *shm.Segment, t shm.Token) string {
	if t == seg.Self() {
		return "this process"
	}
	return owner(seg, t).String()
}
