package shm

import (
	"flag"
	"testing"

	"shmkit/procs/procstest/explore"
)

// tableMutant is a planted bug.
type tableMutant uint8

const (
	soundTable     tableMutant = iota
	claimsFirst                // writes the status before it has the byte lock
	sameInc                    // does not raise the incarnation
	highLate                   // raises the highest slot after the claim
	blindNote                  // asks for the lock first, and notes what it finds as dead
	noQuiescence               // takes who is dying for dead
	freesFirst                 // frees the slot before the hooks
	clearsLate                 // clears the slot when it is free
	unelected                  // sweeps without the sweep lock
	asksSelf                   // asks the kernel for its own lock, which it never sees held
	noSweepMu                  // lets two threads of a process sweep
	nameless                   // visits without a name
	visitsUnlocked             // visits without the byte lock
	forgetsVisitor             // frees the visitor without sweeping it
	refusesEarly               // refuses when another is sweeping what is full
	leavesFirst                // detaches: dead first, then the hooks
	unlocksFirst               // detaches: gives up the byte lock first
	freesUnelected             // detaches: frees the slot though another sweeps it
)

func newTableWorld(m tableMutant, places, processes, kills int) tableWorld {
	w := tableWorld{places: uint8(places), kills: int8(kills), mut: m}
	for i := processes; i < heir; i++ {
		w.actors[i].pc = over
	}
	return w
}

// newMournedWorld returns a world with two slots that begins when process 0 is
// attached, the last one has died with the lock and nobody knows it, and the others
// come. If shares, process 0 has a second thread, which is actor 1.
func newMournedWorld(m tableMutant, kills int, shares bool) tableWorld {
	w := newTableWorld(m, 2, heir, kills)
	w.shares = shares
	w.high, w.word = 2, tokOf(2, 1)
	w.status[1], w.status[2] = cell{1, slotLive}, cell{1, slotLive}
	w.pid[1], w.pid[2], w.byteLock[1] = 1, int8(heir), 1
	w.actors[0] = actor{pc: sweepMutex, me: 1, self: tokOf(1, 1)}
	if !shares {
		w.actors[0].pc = sweepVisitor
	}
	w.actors[heir-1] = actor{life: gone}
	return w
}

// newAgainWorld returns a world of two processes that come again and again.
func newAgainWorld(m tableMutant, places, kills int) tableWorld {
	w := newTableWorld(m, places, 2, kills)
	w.actors[0].rounds, w.actors[1].rounds = 2, 1
	return w
}

var deepTable = flag.Bool("deep", false, "explore the larger worlds of a participant table too (minutes, gigabytes)")

const tableLimit = 20_000_000

func TestModelTable(t *testing.T) {
	hold := func(name string, w tableWorld) {
		t.Run(name, func(t *testing.T) { explore.Hold(t, w, tableLimit) })
	}
	hold("2 slots for 2", newTableWorld(soundTable, 2, 2, 2))
	hold("mourned by threads", newMournedWorld(soundTable, 2, true))
	if RaceEnabled { // one goroutine: there is nothing to find, and it takes ten times as long
		return
	}
	hold("1 slot for 3", newTableWorld(soundTable, 1, 3, 2))
	hold("1 slot, again", newAgainWorld(soundTable, 1, 1))
	w := newMournedWorld(soundTable, 2, true)
	w.bare = 1
	hold("without the hook", w)
	w = newTableWorld(soundTable, 1, 3, 1)
	w.poor = true
	hold("without a second mapping", w)
	if testing.Short() {
		return
	}
	hold("mourned", newMournedWorld(soundTable, 1, false))
	hold("2 slots for 3", newTableWorld(soundTable, 2, 3, 1))
	hold("2 slots, again", newAgainWorld(soundTable, 2, 1))
	if !*deepTable {
		return
	}
	hold("1 slot for 4", newTableWorld(soundTable, 1, 4, 1))
	hold("2 slots for 3, 2 kills", newTableWorld(soundTable, 2, 3, 2))
	hold("mourned, 2 kills", newMournedWorld(soundTable, 2, false))
}

func TestModelTableMutants(t *testing.T) {
	full := func(m tableMutant) tableWorld { return newTableWorld(m, 1, 3, 2) }
	again := func(m tableMutant) tableWorld { return newAgainWorld(m, 1, 0) }
	mourned := func(m tableMutant) tableWorld { return newMournedWorld(m, 1, false) }
	threads := func(m tableMutant) tableWorld { return newMournedWorld(m, 1, true) }
	for _, c := range []struct {
		name  string
		m     tableMutant
		world func(tableMutant) tableWorld
		want  string
	}{
		{"claims before it has the byte lock", claimsFirst, full, "its token is dead"},
		{"does not raise the incarnation", sameInc, full, "what was dead lives again"},
		{"raises the highest slot late", highLate, full, "refused"},
		{"notes whom it finds as dead", blindNote, full, "its token is dead"},
		{"takes the dying for dead", noQuiescence, full, "its token is dead"},
		{"frees the slot before the hooks", freesFirst, full, "the lock is left"},
		{"clears a free slot", clearsLate, full, "was wiped"},
		{"sweeps without the sweep lock", unelected, full, "was wiped"},
		{"asks the kernel about itself", asksSelf, threads, "its token is dead"},
		{"two threads sweep", noSweepMu, threads, "was wiped"},
		{"visits without a name", nameless, mourned, "another has the lock"},
		{"visits without a byte lock", visitsUnlocked, mourned, "its token is dead"},
		{"forgets the visitor before", forgetsVisitor, full, "the lock is left"},
		{"refuses when a slot is being swept", refusesEarly, full, "refused"},
		{"leaves before it has swept", leavesFirst, mourned, "another has the lock"},
		{"leaves its byte lock first", unlocksFirst, mourned, "have one slot"},
		{"frees what another sweeps", freesUnelected, again, "was wiped"},
	} {
		t.Run(c.name, func(t *testing.T) { explore.Fail(t, c.world(c.m), tableLimit, c.want) })
	}
}
