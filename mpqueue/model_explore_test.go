package mpqueue

import (
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/cespare/xxhash/v2"
)

// The explorer walks every state that a small world of processes can reach:
// every interleaving of their accesses to shared memory, with a kill possible
// before each of them. Then it asks two questions of the whole graph:
//
//   - Is there a state where nobody can move without a backstop, yet somebody
//     sleeps who has something to do? Then a wake was lost.
//   - From every state, whoever was killed on the way, can the living still all
//     finish, by their own moves, the sweep, CloseSend and backstops?
//
// A state is remembered by 128 bits of hash, not by its 300 bytes: two of ten
// million states are taken for one with a probability of 10^-25.

// moveKind says who makes a move.
type moveKind uint8

const (
	step     moveKind = iota // a process, the sweep, or CloseSend under way
	kill                     // kill -9
	backstop                 // a sleeper's slice ends
	outside                  // CloseSend begins, a context is cancelled
)

// move names an edge of the graph.
type move struct {
	kind   moveKind
	who    int8
	choice int8
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
		s += ": " + v.failure + "\n\t" + strings.Join(v.trace, "\n\t")
	}
	return s
}

type stateHash [2]uint64

var hashSeed = maphash.MakeSeed()

func (w *world) hash() stateHash {
	b := unsafe.Slice((*byte)(unsafe.Pointer(w)), unsafe.Sizeof(*w))
	return stateHash{xxhash.Sum64(b), maphash.Bytes(hashSeed, b)}
}

// graph is what is kept of the states that were found.
type graph struct {
	index    map[stateHash]int32
	parent   []int32
	from, to []int32 // edges, without kills
	finished []int32
	edges    int
}

// explore walks m's world. It stops at the first failure.
func explore(m *model) verdict {
	began := time.Now()
	g := &graph{index: map[stateHash]int32{}}
	level, next := []world{m.start()}, []world(nil)
	g.index[level[0].hash()] = 0
	g.parent = append(g.parent, -1)
	fail := func(i int32, text string) verdict {
		return verdict{len(g.parent), g.edges, time.Since(began), text, m.trace(g, i)}
	}
	for first := 0; len(level) > 0; level, next = next, level[:0] {
		for k := range level {
			w, i := &level[k], int32(first+k)
			if text := m.wrong(w); text != "" {
				return fail(i, text)
			}
			if m.finished(w) {
				g.finished = append(g.finished, i)
			}
			steps := 0
			m.moves(w, func(by move, n *world) {
				if by.kind == step {
					steps++
				}
				g.edges++
				h := n.hash()
				j, ok := g.index[h]
				if !ok {
					j = int32(len(g.parent))
					g.index[h] = j
					g.parent = append(g.parent, i)
					next = append(next, *n)
				}
				if by.kind != kill {
					g.from, g.to = append(g.from, i), append(g.to, j)
				}
			})
			if steps == 0 && !m.finished(w) && !m.idle(w) {
				return fail(i, "a lost wake: nobody can move, yet there is something to do")
			}
		}
		first += len(level)
	}
	if i := g.stuck(); i >= 0 {
		return fail(i, "stuck: from here the living can never all finish")
	}
	return verdict{states: len(g.parent), edges: g.edges, took: time.Since(began)}
}

// stuck returns a state from which no finished one can be reached, or -1.
func (g *graph) stuck() int32 {
	// The edges backwards, sorted by where they lead.
	start := make([]int32, len(g.parent)+1)
	for _, t := range g.to {
		start[t+1]++
	}
	for i := range g.parent {
		start[i+1] += start[i]
	}
	back, at := make([]int32, len(g.to)), slices.Clone(start)
	for k, t := range g.to {
		back[at[t]] = g.from[k]
		at[t]++
	}
	good := make([]bool, len(g.parent))
	todo := slices.Clone(g.finished)
	for _, i := range todo {
		good[i] = true
	}
	for len(todo) > 0 {
		i := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, j := range back[start[i]:start[i+1]] {
			if !good[j] {
				good[j] = true
				todo = append(todo, j)
			}
		}
	}
	return int32(slices.Index(good, false))
}

// trace walks the way to state i once more and describes it.
func (m *model) trace(g *graph, i int32) []string {
	var way []int32
	for ; i > 0; i = g.parent[i] {
		way = append(way, i)
	}
	slices.Reverse(way)
	lines := []string{}
	w := m.start()
	for _, i := range way {
		var to world
		found := false
		m.moves(&w, func(by move, n *world) {
			if !found && g.index[n.hash()] == i {
				lines = append(lines, m.describe(&w, by))
				to, found = *n, true
			}
		})
		w = to
	}
	return append(lines, m.picture(&w))
}

// mustHold fails t if the world fails; mustFail if it does not: a planted bug
// that nobody sees means that the explorer is blind.
func mustHold(t *testing.T, m *model) {
	t.Helper()
	v := explore(m)
	if v.failure != "" {
		t.Fatal(v)
	}
	t.Log(v)
}

func mustFail(t *testing.T, m *model, want string) {
	t.Helper()
	v := explore(m)
	if v.failure == "" || !strings.Contains(v.failure, want) {
		t.Fatalf("the mutant was not caught with %q: %v", want, v)
	}
	t.Logf("caught after %d states, by %d moves: %s", v.states, len(v.trace)-1, v.failure)
}
