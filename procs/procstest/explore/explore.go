// Package explore walks every state that a small world of processes can reach:
// every interleaving of their atomic steps, with a kill possible before each. It is
// for tests.
//
// A world is a comparable value; it names its moves and says what is wrong with
// itself. The walk then asks two questions of the whole graph:
//
//   - Is there a state where nobody can move without a backstop, yet somebody
//     waits? Then a wake was lost. A world says when that is excused.
//   - From every state, kills or not, can the living still all finish, by their
//     own moves and by backstops?
//
// A world that a planted bug has made wrong must fail: a mutant that survives means
// that the walk is blind.
package explore

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// Kind says who makes a move.
type Kind int8

// What Moves yields.
const (
	Step     Kind = iota // a process or the kernel
	Kill                 // kill -9
	Backstop             // a time has passed
)

// World is a state of all processes and of the memory that they share.
type World[S comparable] interface {
	comparable
	// Moves yields every state that one move leads to.
	Moves(yield func(label string, kind Kind, next S))
	// Wrong returns what must never be, or "".
	Wrong() string
	// Finished reports whether every living process has done its work.
	Finished() bool
	// Excused reports whether those who wait may need a backstop here.
	Excused() bool
}

type edge struct {
	from, to int32
	kind     Kind
}

// Verdict is what a walk found.
type Verdict struct {
	States, Moves int
	Took          time.Duration
	Failure       string   // "" if all is well
	Trace         []string // the moves that lead to it
}

// String describes v in a line, and a failure with its trace.
func (v Verdict) String() string {
	s := fmt.Sprintf("%d states, %d moves, %v", v.States, v.Moves, v.Took.Round(time.Millisecond))
	if v.Failure != "" {
		s += ": " + v.Failure + "\n\t" + strings.Join(v.Trace, "; ")
	}
	return s
}

// Walk walks the world from start. It stops at the first failure, which is one of
// the shortest; limit states are a failure as well.
func Walk[S World[S]](start S, limit int) Verdict {
	began := time.Now()
	index := map[S]int32{start: 0}
	states := []S{start}
	type origin struct {
		from  int32
		label string
	}
	from := []origin{{-1, "start"}}
	var edges []edge
	fail := func(i int32, text string) Verdict {
		var trace []string
		for ; i >= 0; i = from[i].from {
			trace = append(trace, from[i].label)
		}
		for a, b := 0, len(trace)-1; a < b; a, b = a+1, b-1 {
			trace[a], trace[b] = trace[b], trace[a]
		}
		return Verdict{len(states), len(edges), time.Since(began), text, trace}
	}
	for i := int32(0); int(i) < len(states); i++ {
		s := states[i]
		if w := s.Wrong(); w != "" {
			return fail(i, w)
		}
		steps := 0
		s.Moves(func(label string, kind Kind, next S) {
			if kind == Step {
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
		if steps == 0 && !s.Excused() && !s.Finished() {
			return fail(i, "a lost wake: nobody can move, somebody waits")
		}
		if len(states) > limit {
			return fail(i, fmt.Sprintf("more than %d states", limit))
		}
	}
	if i := stuck(states, edges); i >= 0 {
		return fail(i, "from here the living can never all finish")
	}
	return Verdict{States: len(states), Moves: len(edges), Took: time.Since(began)}
}

// stuck returns a state from which no finished one can be reached without a kill;
// -1 if there is none. It goes backwards from the finished ones.
func stuck[S World[S]](states []S, edges []edge) int32 {
	// The edges by where they lead: those to state i are back[first[i]:first[i+1]].
	first := make([]int32, len(states)+1)
	for _, e := range edges {
		if e.kind != Kill {
			first[e.to+1]++
		}
	}
	for i := range states {
		first[i+1] += first[i]
	}
	back := make([]int32, first[len(states)])
	next := append([]int32(nil), first...)
	for _, e := range edges {
		if e.kind != Kill {
			back[next[e.to]] = e.from
			next[e.to]++
		}
	}
	good := make([]bool, len(states))
	var todo []int32
	for i, s := range states {
		if s.Finished() {
			good[i] = true
			todo = append(todo, int32(i))
		}
	}
	for len(todo) > 0 {
		i := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, j := range back[first[i]:first[i+1]] {
			if !good[j] {
				good[j] = true
				todo = append(todo, j)
			}
		}
	}
	for i := range good {
		if !good[i] {
			return int32(i)
		}
	}
	return -1
}

// Hold fails t if the world fails within limit states.
func Hold[S World[S]](t testing.TB, start S, limit int) {
	t.Helper()
	v := Walk(start, limit)
	if v.Failure != "" {
		t.Fatal(v)
	}
	t.Log(v)
}

// Fail fails t unless the world, a mutant, fails with want.
func Fail[S World[S]](t testing.TB, start S, limit int, want string) {
	t.Helper()
	v := Walk(start, limit)
	if !strings.Contains(v.Failure, want) {
		t.Fatalf("the mutant was not caught with %q: %v", want, v)
	}
	t.Logf("caught after %d states: %s", v.States, v.Failure)
}
