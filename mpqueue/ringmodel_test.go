package mpqueue

import (
	"strings"
	"testing"
)

// The ring's steps are accesses, and also the draining of store buffers.

// idle reports whether all who sleep do so rightly, or are to be woken by somebody
// who was killed before: then the backstop does it.
func (m *ringModel) idle(w *ringWorld) bool {
	return w.proc[modelCloser].dead != 0 || m.allContent(w)
}

func (m *ringModel) allContent(w *ringWorld) bool {
	for i := range w.proc[:modelCloser] {
		if w.proc[i].asleep != 0 && !m.content(w, i) {
			return false
		}
	}
	return true
}

func (m *ringModel) name(w, n *ringWorld, who int) string {
	if n.proc[who].stores < w.proc[who].stores && n.proc[who].pc == w.proc[who].pc {
		return "has a store come out of its buffer"
	}
	return ringStepNames[w.proc[who].pc]
}

func (m *ringModel) show(w *ringWorld) string { return w.picture() }

func ringMustHold(t *testing.T, m ringModel) {
	t.Helper()
	v := exploreWorld[ringWorld](&m)
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
		{notShort, ringModel{capacity: 1, messages: 2, closes: true}},
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
			v := exploreWorld[ringWorld](&ringModel{capacity: 1, messages: 2 - c.kills, kills: c.kills, closes: c.kills == 0, mutant: c.mutant})
			if v.failure == "" || !strings.Contains(v.failure, c.want) {
				t.Fatalf("not caught with %q: %v", c.want, v)
			}
			t.Logf("caught after %d states, by %d moves: %s", v.states, len(v.trace)-1, v.failure)
		})
	}
}
