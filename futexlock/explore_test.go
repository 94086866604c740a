package futexlock

import (
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"
)

// The explorer walks every state that a small world of processes can reach:
// every interleaving of their atomic steps, with a kill possible before each.
// A world is a comparable value; it names its moves and says what is wrong with
// itself. The explorer then asks two questions of the whole graph:
//
//   - Is there a state where nobody can move without a backstop, yet somebody
//     sleeps? Then a wake was lost. A world says when that is excused: where it
//     leaves out the sweep of the dead, a kill can lose a wake.
//   - From every state, kills or not, can the living still all finish, by their
//     own moves and by backstops?

var deepFlag = flag.Bool("deep", false, "explore the larger worlds too (minutes, gigabytes)")

// deep leaves a world out of the default run.
func deep(t *testing.T) {
	t.Helper()
	if !*deepFlag {
		t.Skip("a larger world: run with -deep")
	}
}

// moveKind says who makes a move.
type moveKind int

const (
	step     moveKind = iota // a process or the kernel
	kill                     // kill -9
	backstop                 // a sleeper's slice ends
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

type edge struct {
	from, to int32
	kind     moveKind
}

// verdict is what the explorer found.
type verdict struct {
	states, edges int
	took          time.Duration
	failure       string // "" if all is well
	trace         []string
}

func (v verdict) String() string {
	s := fmt.Sprintf("%d states, %d moves, %v", v.states, v.edges, v.took.Round(time.Millisecond))
	if v.failure != "" {
		s += ": " + v.failure + "\n\t" + strings.Join(v.trace, "; ")
	}
	return s
}

// explore walks the world from start. It stops at the first failure.
func explore[S world[S]](start S, limit int) verdict {
	began := time.Now()
	index := map[S]int32{start: 0}
	states := []S{start}
	type origin struct {
		from  int32
		label string
	}
	from := []origin{{-1, "start"}}
	var edges []edge
	trace := func(i int32) []string {
		var lines []string
		for ; i >= 0; i = from[i].from {
			lines = append(lines, from[i].label)
		}
		for a, b := 0, len(lines)-1; a < b; a, b = a+1, b-1 {
			lines[a], lines[b] = lines[b], lines[a]
		}
		return lines
	}
	fail := func(i int32, text string) verdict {
		return verdict{len(states), len(edges), time.Since(began), text, trace(i)}
	}
	for i := int32(0); int(i) < len(states); i++ {
		s := states[i]
		if w := s.wrong(); w != "" {
			return fail(i, w)
		}
		steps := 0
		s.moves(func(label string, kind moveKind, next S) {
			if kind == step {
				steps++
			}
			j, ok := index[next]
			if !ok {
				j = int32(len(states))
				index[next] = j
				states = append(states, next)
				from = append(from, origin{i, label})
			}
			edges = append(edges, edge{i, j, kind})
		})
		if steps == 0 && !s.excused() && !s.finished() {
			return fail(i, "a lost wake: nobody can move, somebody sleeps")
		}
		if len(states) > limit {
			return fail(i, fmt.Sprintf("more than %d states", limit))
		}
	}
	// Backwards from the finished states, over everything but kills.
	back := make([][]int32, len(states))
	for _, e := range edges {
		if e.kind != kill {
			back[e.to] = append(back[e.to], e.from)
		}
	}
	good := make([]bool, len(states))
	var todo []int32
	for i, s := range states {
		if s.finished() {
			good[i] = true
			todo = append(todo, int32(i))
		}
	}
	for len(todo) > 0 {
		i := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, j := range back[i] {
			if !good[j] {
				good[j] = true
				todo = append(todo, j)
			}
		}
	}
	for i := range states {
		if !good[i] {
			return fail(int32(i), "from here the living can never all finish")
		}
	}
	return verdict{states: len(states), edges: len(edges), took: time.Since(began)}
}

// mustHold fails t if the world fails; mustFail if it does not: a mutant that
// survives means that the explorer is blind.
func mustHold[S world[S]](t *testing.T, start S, limit int) {
	t.Helper()
	v := explore(start, limit)
	if v.failure != "" {
		t.Fatal(v)
	}
	t.Log(v)
}

func mustFail[S world[S]](t *testing.T, start S, limit int, want string) {
	t.Helper()
	v := explore(start, limit)
	if !strings.Contains(v.failure, want) {
		t.Fatalf("the mutant was not caught with %q: %v", want, v)
	}
	t.Logf("caught after %d states: %s", v.states, v.failure)
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
