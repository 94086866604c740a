package futexlock

import (
	"fmt"
	"reflect"

	"shmkit/shm"
)

// The numbers of the lock types in the lock maps of segments. They never
// change their meaning.
const (
	kindMutex          = 64
	kindRecursiveMutex = 65
	kindRWMutex        = 66
	kindSemaphore      = 67
	kindCond           = 68
	kindEvent          = 69
	kindBarrier        = 70
	kindOnce           = 71
	kindWaitGroup      = 72
)

// sweptLock is what shm needs of a lock type, so that it can look after the
// locks inside users' structs.
type sweptLock[T any] interface {
	*T
	// sweep gives back what the participant dead held and wakes whom it
	// concerns. dead has stopped for good. It never waits, and it may be
	// killed anywhere and run again.
	sweep(s *shm.Segment, dead uint32)
	// check returns what cannot be, "" if all is well.
	check(s *shm.Segment) string
	State() string
}

// register makes the lock type T known to shm.
func register[T any, P sweptLock[T]](id uint32) {
	t := reflect.TypeFor[T]()
	name := t.String()
	shm.RegisterKind(shm.Kind{
		ID:   id,
		Name: name,
		Type: t,
		Sweep: func(s *shm.Segment, off, stride, count uint64, dead shm.Token) {
			each(s, off, stride, count, func(p *T) { P(p).sweep(s, uint32(dead)) })
		},
		Check: func(s *shm.Segment, off, stride, count uint64) (errs []error) {
			i := 0
			each(s, off, stride, count, func(p *T) {
				if wrong := P(p).check(s); wrong != "" {
					errs = append(errs, fmt.Errorf("%s at offset %d: %s", name, off+uint64(i)*stride, wrong))
				}
				i++
			})
			return errs
		},
		Describe: func(s *shm.Segment, off uint64) (text string) {
			each(s, off, 0, 1, func(p *T) { text = P(p).State() })
			return text
		},
	})
}

// checkHolder returns what is wrong with a token that a word holds: its slot
// has been swept, so the sweep forgot this word, or there never was such a
// participant.
func checkHolder(s *shm.Segment, t uint32) string {
	if t == 0 {
		return ""
	}
	p, ok := s.Participant(shm.Token(t))
	switch {
	case !ok:
		return fmt.Sprintf("held by participant %v, which is not in the table", shm.Token(t))
	case p.State == "free":
		return fmt.Sprintf("held by participant %v (pid %d), which is dead and was swept", shm.Token(t), p.PID)
	}
	return ""
}
