package shm

import (
	"fmt"
	"testing"

	"shmkit/procs/procstest/explore"
)

// The world of a passage: a process that closes a block of an arena, and goroutines
// of it that are in stays there, or come too late. When Close is over the block is
// given to the next object at once. The order of the steps is that of passage.go,
// stay.go, Sleep, and quit.
//
// One of those who stay has noted the object while that was open, as who unlocks
// does; the others may come at any time.
type stayWorld struct {
	life   int8 // of the passage
	shut   bool
	inside int8
	empty  int8    // number of the channel that is to be told, from 1
	told   [4]bool // channels with something in them

	handles int8
	object  int8 // ghost: number of what lies in the block
	sleeps  [3]staySleeper
	closer  stayCloser
	g       [3]stayer
	mut     stayMutant
	fault   stayFault
}

// staySleeper is what Close knows of a goroutine that sleeps.
type staySleeper struct{ listed, cancelled, asleep bool }

type stayCloser struct {
	pc     stayPC
	rounds int8 // objects that it still closes
	k      int8 // sleeper that is being woken
	late   bool // a mutant: it has computed what it will store
	made   int8 // channels that it has made
	woken  [3]bool
}

type stayer struct {
	pc     stayPC
	then   stayPC // what comes after leave
	life   int8   // noted
	object int8   // ghost: that was noted, and is entered
	in     bool   // ghost: Enter has returned nil
	again  int8   // stays that follow
	sees   bool
	tells  int8 // channel
}

type stayPC int8

const (
	stayOver stayPC = iota
	stayHandles
	stayLife
	stayEnter
	stayInside
	staySleepEnter
	stayAdd
	stayRecheck
	stayFutex
	stayAsleep
	stayRemove
	stayLook
	stayLeave
	stayTell
	staySend
	closeHandle
	closeLook
	closeShut
	closeChan
	closeMark
	closeList
	closeCancel
	closeWake
	closeWait
	closeRead
	closeGive
	closeReopen
	closeOpen
)

var stayNames = [...]string{"over", "looks for handles", "notes the life", "enters", "is inside", "enters the sleep", "is listed", "looks whether it is shut", "goes to sleep", "wakes up",
	"is off the list", "looks whether it is closed", "leaves", "looks up the channel", "tells it", "Close", "Close: looks inside", "Close: shuts by a CAS", "Close: makes a channel", "Close: shuts",
	"Close: lists sleepers", "Close: cancels a sleep", "Close: wakes", "Close: looks whether all are out", "Close: is told", "Close: gives the block away, New", "New: reopens", "New: has a handle"}

type stayMutant int8

const (
	staySound      stayMutant = iota
	stayUnwaited              // Close does not wait
	stayShutBlind             // who finds nobody inside shuts by a store
	stayNoRecheck             // a sleeper does not look again when it is listed
	stayWakesFirst            // sleepers are woken before the passage is shut
	stayAnyLife               // Enter does not compare lives
	stayLooksFirst            // enter looks and then counts
	stayStores                // reopen stores what it computed
	stayTellsFirst            // who leaves tells it before it is out
	stayWaitsOnce             // Close believes what it is told
	stayLifeStays             // reopen does not raise the life
)

type stayFault int8

const (
	stayFine stayFault = iota
	stayMoved
	stayEntered
	stayCount
)

var stayFaults = [...]string{
	stayFine:    "",
	stayMoved:   "the block became another object's in a stay",
	stayEntered: "a stay began in another object",
	stayCount:   "the count is wrong",
}

func newStayWorld(stayers int, again int8) stayWorld {
	w := stayWorld{life: 1, handles: 1, object: 1, closer: stayCloser{pc: closeHandle, rounds: 2}}
	for i := range stayers {
		w.g[i] = stayer{pc: stayHandles, again: again}
	}
	w.g[0] = stayer{pc: stayEnter, life: 1, object: 1, again: 1}
	return w
}

func (w stayWorld) Excused() bool { return false }

func (w stayWorld) Finished() bool {
	for _, g := range w.g {
		if g.pc != stayOver {
			return false
		}
	}
	return w.closer.pc == stayOver
}

func (w stayWorld) Wrong() string {
	switch {
	case w.fault != stayFine:
		return stayFaults[w.fault]
	case w.inside < 0, w.Finished() && w.inside != 0:
		return stayFaults[stayCount]
	}
	return ""
}

func (w stayWorld) Moves(yield func(string, explore.Kind, stayWorld)) {
	for i, g := range w.g {
		n := w
		switch {
		case g.pc == stayOver:
			continue
		case g.pc == stayAsleep && w.sleeps[i].asleep:
			n.sleeps[i].asleep, n.g[i].pc = false, stayRemove
			yield(stayLabels[i][stayAsleep], explore.Backstop, n)
			continue
		case g.pc == stayFutex:
			// The word itself may change, or be woken.
			n.g[i].pc = stayRemove
			yield(stayLabels[i][stayRemove], explore.Step, n)
			n = w
		}
		n.step(i)
		yield(stayLabels[i][g.pc], explore.Step, n)
	}
	n := w
	if w.closer.pc != stayOver && n.stepCloser() {
		yield(stayNames[w.closer.pc], explore.Step, n)
	}
}

var stayLabels = func() (all [3][len(stayNames)]string) {
	for i := range all {
		for pc, name := range stayNames {
			all[i][pc] = fmt.Sprint(i, " ", name)
		}
	}
	return all
}()

const stayLimit = 2_000_000

func TestModelStay(t *testing.T) {
	explore.Hold(t, newStayWorld(1, 1), stayLimit)
	explore.Hold(t, newStayWorld(2, 0), stayLimit)
	if !testing.Short() {
		explore.Hold(t, newStayWorld(2, 1), stayLimit)
		explore.Hold(t, newStayWorld(3, 0), stayLimit)
	}
}

func TestModelStayMutants(t *testing.T) {
	for _, c := range []struct {
		name string
		mut  stayMutant
		want string
	}{
		{"Close does not wait", stayUnwaited, "became another"},
		{"shut by a store", stayShutBlind, "became another"},
		{"no look when it is listed", stayNoRecheck, "lost wake"},
		{"sleepers are woken before the mark", stayWakesFirst, "lost wake"},
		{"any life", stayAnyLife, "began in another"},
		{"a look, then the count", stayLooksFirst, "began in another"},
		{"reopened by a store", stayStores, "count is wrong"},
		{"told before it is out", stayTellsFirst, "lost wake"},
		{"what is told is believed", stayWaitsOnce, "became another"},
		{"a life stays", stayLifeStays, "began in another"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newStayWorld(2, 0)
			w.mut = c.mut
			explore.Fail(t, w, stayLimit, c.want)
		})
	}
}
