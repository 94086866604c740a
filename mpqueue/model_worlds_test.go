package mpqueue

import (
	"fmt"
	"hash/maphash"
	"slices"
	"time"
	"unsafe"

	"github.com/cespare/xxhash/v2"
)

// modelled is a world that an explorer walks: its states are values without pointers.
type modelled[W any] interface {
	start() W
	moves(w *W, f func(kind moveKind, who int, n *W))
	wrong(w *W) string            // what must not be
	finished(w *W) bool           // the living have nothing left to do
	idle(w *W) bool               // who sleeps does so rightly
	name(w, n *W, who int) string // what process who does, that leads from w to n
	show(w *W) string
}

func hashOf[W any](w *W) stateHash {
	b := unsafe.Slice((*byte)(unsafe.Pointer(w)), unsafe.Sizeof(*w))
	return stateHash{xxhash.Sum64(b), maphash.Bytes(hashSeed, b)}
}

// exploreWorld walks every state: every interleaving of accesses, with a kill before
// each step. It asks for each state whether something wrong has happened; where nobody
// can move without a backstop, whether there is nothing left to do, or those who sleep
// do so rightly; and of the whole, whether the living can end from everywhere.
func exploreWorld[W any](m modelled[W]) verdict {
	began := time.Now()
	g := &graph{index: map[stateHash]int32{}}
	level, next := []W{m.start()}, []W(nil)
	g.index[hashOf(&level[0])] = 0
	g.parent = append(g.parent, -1)
	fail := func(i int32, text string) verdict {
		return verdict{len(g.parent), g.edges, time.Since(began), text, traceWorld(m, g, i)}
	}
	for first := 0; len(level) > 0; level, next = next, level[:0] {
		for k := range level {
			w, i := &level[k], int32(first+k)
			if text := m.wrong(w); text != "" {
				return fail(i, text)
			}
			done := m.finished(w)
			if done {
				g.finished = append(g.finished, i)
			}
			steps := 0
			m.moves(w, func(kind moveKind, _ int, n *W) {
				if kind == step {
					steps++
				}
				g.edges++
				h := hashOf(n)
				j, ok := g.index[h]
				if !ok {
					j = int32(len(g.parent))
					g.index[h] = j
					g.parent = append(g.parent, i)
					next = append(next, *n)
				}
				if kind != kill {
					g.from, g.to = append(g.from, i), append(g.to, j)
				}
			})
			if steps == 0 && !done && !m.idle(w) {
				return fail(i, "a lost wake: nobody can move, yet there is something to do")
			}
		}
		first += len(level)
	}
	if i := g.stuck(); i >= 0 {
		return fail(i, "stuck: from here the living can never all end")
	}
	return verdict{states: len(g.parent), edges: g.edges, took: time.Since(began)}
}

func traceWorld[W any](m modelled[W], g *graph, i int32) []string {
	var way []int32
	for ; i > 0; i = g.parent[i] {
		way = append(way, i)
	}
	slices.Reverse(way)
	var lines []string
	w := m.start()
	for _, i := range way {
		var to W
		found := false
		m.moves(&w, func(kind moveKind, who int, n *W) {
			if found || g.index[hashOf(n)] != i {
				return
			}
			to, found = *n, true
			switch {
			case who < 0:
				lines = append(lines, "the sweep")
			case kind == kill:
				lines = append(lines, fmt.Sprintf("%d is killed", who))
			case kind == outside:
				lines = append(lines, fmt.Sprintf("the context of %d ends", who))
			case kind == backstop:
				lines = append(lines, fmt.Sprintf("the slice of %d ends", who))
			default:
				lines = append(lines, fmt.Sprintf("%d %s", who, m.name(&w, n, who)))
			}
		})
		w = to
	}
	return append(lines, m.show(&w))
}
