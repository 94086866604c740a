package mpqueue

import (
	"flag"
	"testing"
)

var modelFull = flag.Bool("model.full", false, "explore the large worlds of the model too (minutes, gigabytes)")

// The consumers of a world.
var (
	oneGets      = []bool{false}
	twoGet       = []bool{false, false}
	oneReceives  = []bool{true}
	twoReceive   = []bool{true, true}
	oneGetsOther = []bool{false, true}
)

// size says when a world is explored.
type size int

const (
	always   size = iota
	notShort      // not with -short
	onlyFull      // with -model.full
)

// TestModel explores worlds that together have everything that the queue does:
// P producers × C consumers × messages of each producer.
func TestModel(t *testing.T) {
	for _, c := range []struct {
		name     string
		when     size
		capacity uint64
		m        model
	}{
		// Claims, copies, CloseSend at any time, two kills, of sweepers too.
		{"get/2x2x1/capacity=1", notShort, 1, model{producers: 2, messages: 1, receives: twoGet, kills: 2}},
		{"get/2x2x1/two kills", onlyFull, 2, model{producers: 2, messages: 1, receives: twoGet, kills: 2}},
		{"get/1x2x3/capacity=1", notShort, 1, model{producers: 1, messages: 3, receives: twoGet, kills: 2}},
		{"get/1x2x3/capacity=2", notShort, 2, model{producers: 1, messages: 3, receives: twoGet, kills: 2, coarse: true}},
		{"get/2x2x1/capacity=2", always, 2, model{producers: 2, messages: 1, receives: twoGet, kills: 1}},
		{"get/lazy hints", always, 2, model{producers: 1, messages: 3, receives: twoGet, kills: 1, lazy: true, coarse: true}},
		{"get/2x2x2/capacity=1", onlyFull, 1, model{producers: 2, messages: 2, receives: twoGet, kills: 1}},
		{"get/2x2x2/capacity=2", onlyFull, 2, model{producers: 2, messages: 2, receives: twoGet, kills: 1}},

		// Messages in blocks of the arena.
		{"block/1x2x2/capacity=1", notShort, 1, model{producers: 1, messages: 2, receives: twoGet, kills: 1, blocks: 2}},
		{"block/1x2x2/two kills", onlyFull, 1, model{producers: 1, messages: 2, receives: twoGet, kills: 2, blocks: 2}},
		{"block/1x2x3/capacity=1", always, 1, model{producers: 1, messages: 3, receives: twoGet, kills: 1, blocks: 2, coarse: true}},
		{"block/2x2x1/capacity=2", always, 2, model{producers: 2, messages: 1, receives: twoGet, kills: 1, blocks: 2, coarse: true}},
		{"block/2x2x1/two kills", onlyFull, 2, model{producers: 2, messages: 1, receives: twoGet, kills: 2, blocks: 2}},

		// Leases, orphans, Requeue.
		{"lease/1x2x1/capacity=1", always, 1, model{producers: 1, messages: 1, receives: twoReceive, kills: 2, leases: 3, requeues: 1, coarse: true}},
		{"lease/1x2x2/capacity=1", notShort, 1, model{producers: 1, messages: 2, receives: twoReceive, kills: 1, leases: 3, coarse: true}},
		{"lease/1x2x2/two kills", onlyFull, 1, model{producers: 1, messages: 2, receives: twoReceive, kills: 2, leases: 3}},
		{"lease/1x2x2/capacity=2", always, 2, model{producers: 1, messages: 2, receives: twoReceive, kills: 1, leases: 4, coarse: true}},
		{"lease/1x2x3/capacity=2", notShort, 2, model{producers: 1, messages: 3, receives: twoReceive, leases: 4, coarse: true}},
		{"lease/1x2x3/a kill", onlyFull, 2, model{producers: 1, messages: 3, receives: twoReceive, kills: 1, leases: 4, coarse: true}},
		{"lease/Get too", notShort, 1, model{producers: 1, messages: 2, receives: oneGetsOther, kills: 1, requeues: 1, leases: 3, coarse: true}},
		{"lease/blocks", notShort, 1, model{producers: 1, messages: 2, receives: twoReceive, kills: 1, leases: 2, blocks: 2, coarse: true}},
		{"lease/blocks, Get too", onlyFull, 2, model{producers: 1, messages: 2, receives: oneGetsOther, kills: 1, leases: 2, blocks: 2, coarse: true}},
		{"lease/2x2x1/capacity=1", onlyFull, 1, model{producers: 2, messages: 1, receives: twoReceive, kills: 2, leases: 3}},
		{"lease/Requeue", onlyFull, 1, model{producers: 1, messages: 2, receives: twoReceive, kills: 2, leases: 3, requeues: 1}},

		// Sleep and wake: without backstops, so that a lost wake is a hang.
		{"sleep/2x2x1/capacity=1", notShort, 1, model{producers: 2, messages: 1, receives: twoGet, sleeps: true, coarse: true, closeLast: true}},
		{"sleep/2x2x1/capacity=2", notShort, 2, model{producers: 2, messages: 1, receives: twoGet, sleeps: true, coarse: true, closeLast: true}},
		{"sleep/1x2x3/capacity=1", notShort, 1, model{producers: 1, messages: 3, receives: twoGet, sleeps: true, coarse: true, closeLast: true}},
		{"sleep/close at any time", always, 1, model{producers: 1, messages: 1, receives: twoGet, sleeps: true, coarse: true, backstops: true}},
		{"sleep/backstops", always, 1, model{producers: 1, messages: 2, receives: twoGet, sleeps: true, coarse: true, closeLast: true, backstops: true}},
		{"sleep/kill of a consumer", notShort, 1, model{producers: 1, messages: 1, receives: twoGet, sleeps: true, coarse: true, closeLast: true, kills: 1}},
		{"sleep/kill of a producer", always, 1, model{producers: 2, messages: 1, receives: oneGets, sleeps: true, coarse: true, closeLast: true, kills: 1}},
		{"sleep/kill of a holder", always, 1, model{producers: 1, messages: 2, receives: oneReceives, sleeps: true, coarse: true, closeLast: true, kills: 1, leases: 2, requeues: 1}},
		{"sleep/kill of one holder of two", onlyFull, 1, model{producers: 1, messages: 1, receives: twoReceive, sleeps: true, coarse: true, closeLast: true, kills: 1, leases: 3}},
		{"sleep/cancel of a consumer", notShort, 1, model{producers: 1, messages: 2, receives: twoGet, sleeps: true, coarse: true, closeLast: true, cancels: 1}},
		{"sleep/cancel of a producer", always, 1, model{producers: 2, messages: 1, receives: oneGets, sleeps: true, coarse: true, closeLast: true, cancels: 1}},
		{"sleep/one item each", always, 2, model{producers: 2, messages: 1, receives: twoGet, gets: 1, sleeps: true, coarse: true, closeLast: true}},
		{"sleep/blocks", always, 1, model{producers: 2, messages: 1, receives: oneGets, sleeps: true, coarse: true, closeLast: true, blocks: 1}},
		{"sleep/2x2x2", onlyFull, 1, model{producers: 2, messages: 2, receives: twoGet, sleeps: true, coarse: true, closeLast: true}},
		{"sleep/kill, close at any time", onlyFull, 1, model{producers: 2, messages: 1, receives: oneGets, sleeps: true, coarse: true, kills: 1}},
	} {
		if c.when == notShort && testing.Short() || c.when == onlyFull && !*modelFull {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			mustHold(t, newModel(c.capacity, 0, c.m))
		})
	}
}

// TestModelWraps begins where the lap of a slot word, and where the position
// itself, is about to begin at zero again.
func TestModelWraps(t *testing.T) {
	for name, first := range map[string]uint64{"lap": 2 * (1<<44 - 1), "position": 1<<64 - 2} {
		t.Run(name, func(t *testing.T) {
			mustHold(t, newModel(2, first, model{producers: 1, messages: 4, receives: twoGet, kills: 1, coarse: true}))
			mustHold(t, newModel(1, first, model{producers: 1, messages: 2, receives: twoReceive, kills: 1, leases: 3, coarse: true}))
		})
	}
}

// TestModelMutants plants a bug into the model, one at a time. The explorer must
// find each, or it is blind for what it is to find.
func TestModelMutants(t *testing.T) {
	for _, c := range []struct {
		name     string
		want     string
		capacity uint64
		m        model
	}{
		{"the head moves past a slot that is being read on the lap before", "stuck", 1,
			model{producers: 1, messages: 2, receives: twoGet, mut: headPastReading}},
		{"Get frees its block before the slot", "", 1,
			model{producers: 1, messages: 2, receives: oneGets, kills: 1, blocks: 1, mut: blockFreedFirst}},
		{"the sweep does not count its orphans", "stuck", 2,
			model{producers: 1, messages: 2, receives: twoGet, kills: 1, mut: orphanUncounted}},
		{"the sweep counts its orphans before it marks them", "stuck", 2,
			model{producers: 1, messages: 2, receives: twoGet, kills: 1, mut: orphanCountFirst}},
		{"close is checked before the claim only", "the end was reported", 1,
			model{producers: 1, messages: 1, receives: oneGets, mut: noSeal}},
		{"a lease is counted when its slot is free already", "more items", 1,
			model{producers: 1, messages: 2, receives: oneReceives, leases: 2, mut: leaseCountedLate}},
		{"the end looks at the count of leases only", "the end was reported", 2,
			model{producers: 1, messages: 1, receives: twoGet, kills: 1, mut: endByCount}},
		{"leases are counted before the ring", "more items", 2,
			model{producers: 1, messages: 3, receives: twoReceive, leases: 4, coarse: true, mut: leasesBeforeHead}},
		{"orphans do not count against the capacity", "more items", 1,
			model{producers: 1, messages: 2, receives: oneReceives, leases: 3, requeues: 1, mut: orphansUncapped}},
		{"who frees the last slot does not wake who waits for the end", "a lost wake", 2,
			model{producers: 1, messages: 1, receives: twoGet, sleeps: true, coarse: true, closeLast: true, mut: endWithoutWake}},
		{"a wake clears waited though others sleep", "a lost wake", 1,
			model{producers: 1, messages: 2, receives: twoGet, sleeps: true, coarse: true, closeLast: true, mut: waitedDropped}},
		{"pending is never cleared", "a lost wake", 1,
			model{producers: 1, messages: 2, receives: oneGets, sleeps: true, coarse: true, closeLast: true, mut: pendingKept}},
		{"who was woken wakes no other", "a lost wake", 2,
			model{producers: 2, messages: 1, receives: twoGet, gets: 1, sleeps: true, coarse: true, closeLast: true, mut: batonKept}},
		{"the sweep settles slots before blocks", "", 1,
			model{producers: 1, messages: 1, receives: twoReceive, kills: 1, leases: 3, coarse: true, mut: sweepSlotsFirst}},
		{"a block learns its slot after the commit", "", 1,
			model{producers: 1, messages: 2, receives: oneGets, kills: 1, blocks: 2, mut: positionLate}},
		{"the sweep counts a death, and may come to it twice", "count of its deaths", 1,
			model{producers: 1, messages: 1, receives: twoGet, kills: 2, mut: sweepCounts}},
		{"the sweep does not mark what the dead had leased", "count of its deaths", 1,
			model{producers: 1, messages: 1, receives: twoReceive, kills: 1, leases: 3, coarse: true, mut: deathUnmarked}},
		{"who counts a death leaves its mark", "count of its deaths", 1,
			model{producers: 1, messages: 1, receives: twoReceive, kills: 1, leases: 3, requeues: 1, coarse: true, mut: markKept}},
		{"nobody sweeps", "stuck", 1,
			model{producers: 1, messages: 2, receives: twoGet, kills: 1, mut: neverSwept}},
	} {
		t.Run(c.name, func(t *testing.T) {
			mustFail(t, newModel(c.capacity, 0, c.m), c.want)
		})
	}
}
