package mpqueue

import (
	"strings"
	"testing"
)

// TestModelArena explores small arenas with kills.
func TestModelArena(t *testing.T) {
	for _, c := range []struct {
		when size
		m    arenaModel
	}{
		// Two classes that want the same chunk.
		{always, arenaModel{chunks: 1, puts: []uint8{0, 1}, slots: 1, kills: 1}},
		{always, arenaModel{chunks: 2, puts: []uint8{0, 1}, slots: 1, kills: 1, slabs: true}},
		{notShort, arenaModel{chunks: 1, puts: []uint8{0, 1}, slots: 1, kills: 2}},
		{onlyFull, arenaModel{chunks: 2, puts: []uint8{0, 1}, slots: 1, twice: true, cursors: true}},
		{onlyFull, arenaModel{chunks: 1, puts: []uint8{0, 1}, slots: 1, twice: true, kills: 1}},

		// Runs.
		{always, arenaModel{chunks: 2, puts: []uint8{0, 2}, slots: 1, full: 1, cancels: 1}},
		{always, arenaModel{chunks: 3, puts: []uint8{2, 2}, slots: 1}},
		{notShort, arenaModel{chunks: 2, puts: []uint8{0, 2}, slots: 1, kills: 1, run: true}},
		{notShort, arenaModel{chunks: 2, puts: []uint8{0, 2}, slots: 1, kills: 1}},
		{onlyFull, arenaModel{chunks: 2, puts: []uint8{0, 2}, slots: 1, kills: 2}},
		{onlyFull, arenaModel{chunks: 2, puts: []uint8{0, 2}, slots: 2, twice: true}},
		{onlyFull, arenaModel{chunks: 3, puts: []uint8{0, 2}, slots: 1, kills: 2}},

		// Leases that outlive their holders.
		{always, arenaModel{chunks: 1, puts: []uint8{0}, slots: 1, receives: true, kills: 2}},
		{notShort, arenaModel{chunks: 1, puts: []uint8{0, 1}, slots: 1, receives: true, kills: 1, full: 1, cancels: 1}},

		// Memory that is given back.
		{always, arenaModel{chunks: 1, puts: []uint8{0}, slots: 1, growing: true, single: true, kills: 2}},
		{always, arenaModel{chunks: 2, puts: []uint8{2}, slots: 1, growing: true, single: true, keep: 1, kills: 1}},
		{notShort, arenaModel{chunks: 1, puts: []uint8{0, 1}, slots: 1, growing: true, slabs: true}},
		{onlyFull, arenaModel{chunks: 2, puts: []uint8{2}, slots: 1, growing: true, keep: 1, kills: 1}},
		{onlyFull, arenaModel{chunks: 1, puts: []uint8{0, 1}, slots: 1, growing: true, kills: 1}},
		{onlyFull, arenaModel{chunks: 2, puts: []uint8{0, 2}, slots: 1, growing: true, keep: 1}},
	} {
		if c.when == always || c.when == notShort && !testing.Short() || *modelFull {
			v := exploreWorld[arenaWorld](&c.m)
			if v.failure != "" {
				t.Errorf("%+v: %v", c.m, v)
				continue
			}
			t.Logf("%+v: %v", c.m, v)
		}
	}
}

// TestModelArenaMutants plants bugs: each must be found.
func TestModelArenaMutants(t *testing.T) {
	small := arenaModel{chunks: 1, puts: []uint8{0, 1}, slots: 1}
	grows := small
	grows.growing, grows.slabs = true, true
	killed := small
	killed.kills = 1
	run := arenaModel{chunks: 2, puts: []uint8{0, 2}, slots: 1}
	runKilled := run
	runKilled.kills = 1
	for _, c := range []struct {
		mutant, want string
		m            arenaModel
	}{
		{"a claim is not looked at again", "", small},
		{"who gives a claim up wakes nobody", "a lost wake", arenaModel{chunks: 2, puts: []uint8{0, 1}, slots: 1, twice: true, cursors: true, slabs: true}},
		{"a block in use is retired", "", small},
		{"who finds a retired chunk changed wakes nobody", "a lost wake", grows},
		{"who gives chunks up wakes nobody", "a lost wake", arenaModel{chunks: 2, puts: []uint8{1, 2}, slots: 1, twice: true}},
		{"a run that begins in what is kept is kept", "has kept", arenaModel{chunks: 2, puts: []uint8{2}, slots: 1, keep: 1, growing: true}},
		{"bodies are not announced", "", runKilled},
		{"a block is freed before its slot", "", small},
		{"who frees a block wakes nobody", "a lost wake", small},
		{"a chunk is empty before its memory is given back", "", grows},
		{"who has given memory back wakes nobody", "a lost wake", grows},
		{"the sweep looks at the blocks of today only", "a block has leaked", killed},
		{"the sweep frees what has been put", "", killed},
		{"the sweep forgets bodies", "", runKilled},
		{"the sweep forgets that there is memory", "memory that nobody", killed},
		{"the sweep wakes nobody", "a lost wake", killed},
	} {
		t.Run(c.mutant, func(t *testing.T) {
			c.m.mutant = c.mutant
			v := exploreWorld[arenaWorld](&c.m)
			if v.failure == "" || !strings.Contains(v.failure, c.want) {
				t.Fatalf("not caught with %q: %v", c.want, v)
			}
			t.Logf("caught after %d states, by %d moves: %s", v.states, len(v.trace)-1, v.failure)
		})
	}
}
