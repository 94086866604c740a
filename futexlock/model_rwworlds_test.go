package futexlock

import (
	"testing"

	"shmkit/shm"
)

// rwCase is a world of model_rwmutex_test.go to begin with.
type rwCase struct {
	name     string
	scripts  [3]int8 // a bit a round: 1 write, 0 read
	rounds   [3]int8
	cancels  [3]int8
	kills    int8
	unswept  bool
	twins    bool
	oneCell  bool
	laneless bool
	open     [3]bool // the lanes that are open
	deep     bool
	large    bool // takes minutes under the race detector, which finds nothing in a model
}

func (c rwCase) world() rwWorld {
	w := newRWWorld(c.kills, c.scripts[:]...)
	w.unswept, w.twins, w.oneCell, w.laneless = c.unswept, c.twins, c.oneCell, c.laneless
	for i := range w.p {
		if w.p[i].rounds, w.p[i].cancels = c.rounds[i], c.cancels[i]; c.rounds[i] == 0 {
			w.p[i].pc = rwOver
		}
		if c.open[i] {
			w.openLane(i)
		}
	}
	return w
}

func TestModelRWMutex(t *testing.T) {
	one, all := [3]int8{1, 1, 1}, [3]bool{true, true, true}
	for _, c := range []rwCase{
		{name: "two readers, one writer", scripts: [3]int8{0, 0, 1}, rounds: [3]int8{1, 1, 2}, kills: 1, laneless: true, large: true},
		{name: "two writers, one reader", scripts: [3]int8{0, 1, 1}, rounds: one, kills: 1},
		{name: "a writer that never rests", scripts: [3]int8{0, 7, 1}, rounds: [3]int8{1, 3, 1}},
		{name: "giving up", scripts: [3]int8{0, 0, 1}, rounds: [3]int8{2, 1, 2}, cancels: [3]int8{0, 1, 1}, laneless: true, large: true},
		{name: "no sweep", scripts: [3]int8{0, 0, 1}, rounds: one, kills: 1, unswept: true},
		{name: "two kills", scripts: [3]int8{0, 1, 1}, rounds: one, kills: 2},
		{name: "giving up and a kill", scripts: [3]int8{0, 1, 1}, rounds: [3]int8{2, 1, 2}, cancels: [3]int8{0, 1, 1}, kills: 1, deep: true},
		{name: "open lanes", scripts: [3]int8{0, 0, 1}, rounds: one, kills: 1, open: all, large: true},
		{name: "open lanes, giving up", scripts: [3]int8{0, 1, 1}, rounds: [3]int8{2, 1, 1}, cancels: [3]int8{1, 1, 0}, open: all},
		{name: "one process reads twice", scripts: [3]int8{0, 0, 1}, rounds: one, kills: 1, twins: true, open: all, large: true},
		{name: "one process reads and writes", scripts: [3]int8{0, 1, 0}, rounds: one, kills: 1, twins: true, open: all, large: true},
		{name: "twins with time", scripts: [3]int8{0, 0, 1}, rounds: [3]int8{2, 1, 1}, twins: true, large: true},
		{name: "lanes, two rounds and a kill", scripts: [3]int8{0, 0, 1}, rounds: [3]int8{2, 1, 1}, kills: 1, deep: true},
		{name: "lanes, twins for long and a kill", scripts: [3]int8{0, 0, 1}, rounds: [3]int8{2, 2, 1}, kills: 1, twins: true, deep: true},
		{name: "lanes, two writers give up, and a kill", scripts: [3]int8{0, 1, 1}, rounds: [3]int8{2, 1, 1}, cancels: [3]int8{0, 1, 1}, kills: 1, open: all, deep: true},
		{name: "reading alone", scripts: [3]int8{0, 0, 1}, rounds: one, kills: 1, oneCell: true},
		{name: "reading alone beside a goroutine", scripts: [3]int8{0, 0, 0}, rounds: one, kills: 1, oneCell: true, twins: true, large: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.deep {
				deep(t)
			}
			if c.large && (shm.RaceEnabled || testing.Short()) {
				t.Skip("a large world: not with -short, and one goroutine is nothing for the race detector")
			}
			mustHold(t, c.world(), modelLimit)
		})
	}
}

func TestModelRWMutexMutants(t *testing.T) {
	readers := rwCase{scripts: [3]int8{0, 0, 3}, rounds: [3]int8{1, 1, 2}, cancels: [3]int8{0, 0, 1}}
	killed := readers
	killed.kills = 1
	writers := killed
	writers.scripts = [3]int8{0, 1, 3}
	lanes := rwCase{scripts: [3]int8{0, 0, 1}, rounds: [3]int8{1, 1, 1}, open: [3]bool{true, true, true}}
	dying := lanes
	dying.kills = 1
	twins := lanes
	twins.twins = true
	slow := twins
	slow.open = [3]bool{}
	alone := rwCase{scripts: [3]int8{0, 0, 1}, rounds: [3]int8{1, 1, 1}, oneCell: true}
	aloneDies := alone
	aloneDies.kills = 1
	beside := rwCase{scripts: [3]int8{0, 0, 0}, rounds: [3]int8{1, 1, 1}, oneCell: true, twins: true}
	dirty := rwCase{scripts: [3]int8{0, 1, 0}, rounds: [3]int8{2, 1, 1}, kills: 1}
	for _, c := range []struct {
		name string
		m    rwMutant
		in   rwCase
		want string
	}{
		{"no second look at the gate", rwNoSecondLook, readers, "are inside"},
		{"class not flipped", rwNoFlip, readers, ""},
		{"writer waits for those who wait for it", rwWaitsForAll, readers, ""},
		{"cell of the dying cleared", rwDrainsDying, killed, "are inside"},
		{"death of a writer not told", rwForgetsDirt, writers, "was told died=false"},
		{"place kept in the wrong class", rwKeepsPlace, readers, ""},
		{"lane opened before the second look", rwOpensEarly, slow, "are inside"},
		{"lanes waited for before the cells", rwLanesFirst, twins, ""},
		{"lanes shut once", rwShutsOnce, slow, ""},
		{"addition to a shut lane not taken back", rwStaysAdded, lanes, ""},
		{"taken from the cell before put back", rwTakesFirst, twins, ""},
		{"no wake after taking back", rwBackMute, lanes, "a lost wake"},
		{"no wake from the lane", rwLaneMute, lanes, "a lost wake"},
		{"lane of the dying cleared", rwLaneDying, dying, "are inside"},
		{"lane open after the death of a writer", rwDirtyLane, dirty, "was told died=false"},
		{"death of one that reads alone told", rwAloneDirty, aloneDies, "was told died=true"},
		{"reading alone, left by the cell", rwAloneByCell, beside, ""},
		{"cell of another taken in silence", rwTakesMute, aloneDies, "a lost wake"},
		{"reading alone without the gate", rwAloneOpen, alone, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if shm.RaceEnabled && (c.m == rwNoFlip || c.m == rwDirtyLane || c.m == rwWaitsForAll) {
				t.Skip("one goroutine: nothing for the race detector, which makes minutes of it")
			}
			w := c.in.world()
			w.mut = c.m
			mustFail(t, w, modelLimit, c.want)
		})
	}
}
