package mpqueue

import (
	"strings"
	"testing"
)

func (m *pipeModel) idle(*pipeWorld) bool                 { return false }
func (m *pipeModel) name(w, _ *pipeWorld, who int) string { return pipeStepNames[w.proc[who].pc] }
func (m *pipeModel) show(w *pipeWorld) string             { return w.picture() }

// TestModelPipe explores small pipes with kills, contexts that end, and closes.
func TestModelPipe(t *testing.T) {
	for _, c := range []struct {
		when size
		m    pipeModel
	}{
		{always, pipeModel{capacity: 1, senders: 1, receivers: 1, messages: 2, kills: 1, cancels: 1}},
		{always, pipeModel{capacity: 2, senders: 1, receivers: 1, messages: 2, kills: 2, cancels: 1}},
		{always, pipeModel{capacity: 1, senders: 1, receivers: 1, messages: 2, quota: 1, kills: 1, cancels: 1}},
		{notShort, pipeModel{capacity: 2, senders: 1, receivers: 2, messages: 2, quota: 1, cancels: 1, stay: true}},
		{notShort, pipeModel{capacity: 1, senders: 1, receivers: 2, messages: 1, kills: 1}},
		{notShort, pipeModel{capacity: 1, senders: 2, receivers: 1, messages: 1, kills: 1}},
		{onlyFull, pipeModel{capacity: 1, senders: 1, receivers: 2, messages: 1, kills: 1, cancels: 1}},
		{onlyFull, pipeModel{capacity: 1, senders: 2, receivers: 1, messages: 1, kills: 1, cancels: 1}},
		{onlyFull, pipeModel{capacity: 2, senders: 1, receivers: 2, messages: 2, cancels: 1}},
	} {
		if c.when == always || c.when == notShort && !testing.Short() || *modelFull {
			v := exploreWorld[pipeWorld](&c.m)
			if v.failure != "" {
				t.Fatalf("%+v: %v", c.m, v)
			}
			t.Logf("capacity %d, %d to %d, %d messages each, %d kills, %d contexts end: %v", c.m.capacity, c.m.senders, c.m.receivers, c.m.messages, c.m.kills, c.m.cancels, v)
		}
	}
}

// TestModelPipeMutants plants bugs: each must be found.
func TestModelPipeMutants(t *testing.T) {
	one := pipeModel{capacity: 1, senders: 1, receivers: 1, messages: 2}
	two := pipeModel{capacity: 2, senders: 1, receivers: 2, messages: 2, quota: 1, stay: true}
	killed := one
	killed.kills = 1
	for _, c := range []struct {
		mutant, want string
		m            pipeModel
	}{
		{"no wake", "a lost wake", one},
		{"looked at too late", "a lost wake", one},
		{"no wake at the end", "a lost wake", one},
		{"no relay", "a lost wake", two},
		{"waited cleared by any sleeper", "a lost wake", two},
		{"who is gone is asked last", "EOF before", one},
		{"EOF without a look", "EOF before", one},
		{"published before it is written", "not written", one},
		{"freed before it is copied", "not written", one},
		{"the lock of the dead", "nobody can move", pipeModel{capacity: 1, senders: 2, receivers: 1, messages: 1, kills: 1}},
		{"the sweep wakes nobody", "a lost wake", killed},
	} {
		t.Run(c.mutant, func(t *testing.T) {
			c.m.mutant = c.mutant
			v := exploreWorld[pipeWorld](&c.m)
			if v.failure == "" || !strings.Contains(v.failure, c.want) {
				t.Fatalf("not caught with %q: %v", c.want, v)
			}
			t.Logf("caught after %d states, by %d moves: %s", v.states, len(v.trace)-1, v.failure)
		})
	}
}

// TestModelPipeParts explores messages of several parts in a pipe that holds fewer.
func TestModelPipeParts(t *testing.T) {
	for _, c := range []struct {
		when size
		m    partsModel
	}{
		{always, partsModel{capacity: 2, parts: 3, senders: 1, receivers: 1, messages: 2, kills: 2, cancels: 2}},
		{notShort, partsModel{capacity: 2, parts: 2, senders: 1, receivers: 2, messages: 1, kills: 1, cancels: 1}},
		{notShort, partsModel{capacity: 2, parts: 2, senders: 2, receivers: 1, messages: 1, kills: 1, cancels: 1}},
		{onlyFull, partsModel{capacity: 2, parts: 2, senders: 1, receivers: 2, messages: 2, kills: 1}},
		{onlyFull, partsModel{capacity: 2, parts: 2, senders: 2, receivers: 2, messages: 1, kills: 1}},
		{onlyFull, partsModel{capacity: 3, parts: 3, senders: 1, receivers: 2, messages: 1, kills: 2, cancels: 1}},
	} {
		if c.when == always || c.when == notShort && !testing.Short() || *modelFull {
			v := exploreWorld[partsWorld](&c.m)
			if v.failure != "" {
				t.Fatalf("%+v: %v", c.m, v)
			}
			t.Logf("%+v: %v", c.m, v)
		}
	}
}

// TestModelPipePartsMutants plants bugs: each must be found.
func TestModelPipePartsMutants(t *testing.T) {
	one := partsModel{capacity: 2, parts: 3, senders: 1, receivers: 1, messages: 2, kills: 1, cancels: 1}
	two := partsModel{capacity: 2, parts: 2, senders: 1, receivers: 2, messages: 1, kills: 1}
	for _, c := range []struct {
		mutant, want string
		m            partsModel
	}{
		{"no wake for the rest", "a lost wake", one},
		{"no room to give up", "no room", one},
		{"who is gone is asked last", "is called cut off", one},
		{"the rest is taken for a message", "parts of two", two},
		{"the turn of the dead", "a lost wake", two},
		{"the end of a turn wakes nobody", "a lost wake", partsModel{capacity: 2, parts: 2, senders: 1, receivers: 2, messages: 1, cancels: 1}},
	} {
		t.Run(c.mutant, func(t *testing.T) {
			c.m.mutant = c.mutant
			v := exploreWorld[partsWorld](&c.m)
			if v.failure == "" || !strings.Contains(v.failure, c.want) {
				t.Fatalf("not caught with %q: %v", c.want, v)
			}
			t.Logf("caught after %d states, by %d moves: %s", v.states, len(v.trace)-1, v.failure)
		})
	}
}
