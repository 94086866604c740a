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

// The explorer walks every state of the model: every interleaving of accesses and
// of the draining of store buffers, with a kill before each step. It asks for
// each state whether something wrong has happened; where nobody can move without a
// backstop, whether those who sleep do so rightly; and of the whole, whether the
// living can end from everywhere.

func (w *ringWorld) hash() stateHash {
	b := unsafe.Slice((*byte)(unsafe.Pointer(w)), unsafe.Sizeof(*w))
	return stateHash{xxhash.Sum64(b), maphash.Bytes(hashSeed, b)}
}

func exploreRing(m *ringModel) verdict {
	began := time.Now()
	g := &graph{index: map[stateHash]int32{}}
	level, next := []ringWorld{m.start()}, []ringWorld(nil)
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
			done := m.finished(w)
			if done {
				g.finished = append(g.finished, i)
			}
			steps := 0
			m.moves(w, func(kind moveKind, _ int, n *ringWorld) {
				if kind == step {
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

// idle reports whether all who sleep do so rightly, or are to be woken by somebody
// who was killed before: then the backstop does it.
func (m *ringModel) idle(w *ringWorld) bool {
	if c := &w.proc[modelCloser]; c.dead != 0 || c.pc == doTop && m.closes && m.allContent(w) {
		return true
	}
	return m.allContent(w)
}

func (m *ringModel) allContent(w *ringWorld) bool {
	for i := range w.proc[:modelCloser] {
		if w.proc[i].asleep != 0 && !m.content(w, i) {
			return false
		}
	}
	return true
}

func (m *ringModel) trace(g *graph, i int32) []string {
	var way []int32
	for ; i > 0; i = g.parent[i] {
		way = append(way, i)
	}
	slices.Reverse(way)
	var lines []string
	w := m.start()
	for _, i := range way {
		var to ringWorld
		found := false
		m.moves(&w, func(kind moveKind, who int, n *ringWorld) {
			if found || g.index[n.hash()] != i {
				return
			}
			to, found = *n, true
			switch {
			case who < 0:
				lines = append(lines, "the sweep")
			case kind == kill:
				lines = append(lines, fmt.Sprintf("%d is killed", who))
			case n.proc[who].stores < w.proc[who].stores && n.proc[who].pc == w.proc[who].pc:
				lines = append(lines, fmt.Sprintf("%d: a store comes out of its buffer", who))
			default:
				lines = append(lines, fmt.Sprintf("%d %s", who, ringStepNames[w.proc[who].pc]))
			}
		})
		w = to
	}
	return append(lines, w.picture())
}

func ringMustHold(t *testing.T, m ringModel) {
	t.Helper()
	v := exploreRing(&m)
	if v.failure != "" {
		t.Fatal(v)
	}
	t.Logf("capacity %d, %d messages each, %d kills, closes %v: %v", m.capacity, m.messages, m.kills, m.closes, v)
}

// TestModelRing explores small rings with kills.
func TestModelRing(t *testing.T) {
	for _, c := range []struct {
		when size
		m    ringModel
	}{
		{always, ringModel{capacity: 1, messages: 1, kills: 1}},
		{always, ringModel{capacity: 1, messages: 2, closes: true}},
		{always, ringModel{capacity: 2, messages: 2, closes: true}},
		{notShort, ringModel{capacity: 1, messages: 1, kills: 1, closes: true, coarse: true, running: true}},
		{onlyFull, ringModel{capacity: 1, messages: 1, kills: 1, closes: true}},
		{onlyFull, ringModel{capacity: 1, messages: 2, kills: 1}},
		{onlyFull, ringModel{capacity: 2, messages: 2, kills: 1}},
		{onlyFull, ringModel{capacity: 1, messages: 1, kills: 2}},
	} {
		if c.when == always || c.when == notShort && !testing.Short() || *modelFull {
			ringMustHold(t, c.m)
		}
	}
}

// TestModelRingMutants plants bugs: each must be found.
func TestModelRingMutants(t *testing.T) {
	for _, c := range []struct {
		mutant, want string
		kills        uint8
	}{
		{"no fence before sleep", "a lost wake", 0},
		{"plain is never said", "before a committed item", 0},
		{"no fence before the end", "before a committed item", 0},
		{"the end decided at once", "before a committed item", 0},
		{"a put that was too late says nil", "before a committed item", 0},
		{"no look at the end", "ErrClosed", 0},
		{"take-over without the position", "", 1},
		{"take-over before the last store", "", 1},
		{"published before it is filled", "not filled", 0},
		{"who is lost is asked last", "lost was reported", 1},
	} {
		t.Run(c.mutant, func(t *testing.T) {
			v := exploreRing(&ringModel{capacity: 1, messages: 2 - c.kills, kills: c.kills, closes: c.kills == 0, mutant: c.mutant})
			if v.failure == "" || !strings.Contains(v.failure, c.want) {
				t.Fatalf("not caught with %q: %v", c.want, v)
			}
			t.Logf("caught after %d states, by %d moves: %s", v.states, len(v.trace)-1, v.failure)
		})
	}
}
