package futexlock

import (
	"flag"
	"testing"

	"shmkit/procs/procstest/explore"
)

// The models of the locks are worlds that package explore walks. Where one leaves out
// the sweep of the dead a kill can lose a wake: it says that this is excused.

var deepFlag = flag.Bool("deep", false, "explore the larger worlds too (minutes, gigabytes)")

// deep leaves a world out of the default run.
func deep(t *testing.T) {
	t.Helper()
	if !*deepFlag {
		t.Skip("a larger world: run with -deep")
	}
}

// The kinds of moves.
type moveKind = explore.Kind

const (
	step     = explore.Step
	kill     = explore.Kill
	backstop = explore.Backstop // a sleeper's slice ends
)

// world is a state of all processes and of the memory that they share.
type world[S comparable] interface {
	comparable
	// moves yields every state that one move leads to.
	moves(yield func(label string, kind moveKind, next S))
	// wrong returns what must never be, or "".
	wrong() string
	// finished reports whether every living process has done its work.
	finished() bool
	// excused reports whether sleepers may need their backstop here.
	excused() bool
}

// walked is a world as package explore wants it.
type walked[S world[S]] struct{ s S }

func (w walked[S]) Moves(yield func(string, moveKind, walked[S])) {
	w.s.moves(func(label string, kind moveKind, next S) { yield(label, kind, walked[S]{next}) })
}
func (w walked[S]) Wrong() string  { return w.s.wrong() }
func (w walked[S]) Finished() bool { return w.s.finished() }
func (w walked[S]) Excused() bool  { return w.s.excused() }

// mustHold fails t if the world fails; mustFail if it does not: a mutant that
// survives means that the explorer is blind.
func mustHold[S world[S]](t *testing.T, start S, limit int) {
	t.Helper()
	explore.Hold(t, walked[S]{start}, limit)
}

func mustFail[S world[S]](t *testing.T, start S, limit int, want string) {
	t.Helper()
	explore.Fail(t, walked[S]{start}, limit, want)
}

// queue is a futex queue: numbers of sleepers, first come first.
type queue [3]int8

func (q *queue) push(i int) {
	for k := range q {
		if q[k] == 0 {
			q[k] = int8(i + 1)
			return
		}
	}
	panic("queue full")
}

// pop takes out the first sleeper; -1 if there is none.
func (q *queue) pop() int {
	i := int(q[0]) - 1
	if i >= 0 {
		q.remove(i)
	}
	return i
}

func (q *queue) remove(i int) {
	k := 0
	for ; k < len(q) && q[k] != int8(i+1); k++ {
	}
	for ; k < len(q); k++ {
		if k+1 < len(q) {
			q[k] = q[k+1]
		} else {
			q[k] = 0
		}
	}
}

// life is what the kernel knows of a process.
type life int8

const (
	alive life = iota
	dying      // killed; a thread of it may still be storing
	dead       // past its last store
)
