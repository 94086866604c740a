package mpqueue

import (
	"fmt"
	"testing"
)

// The model of the tasks of a process that opens and closes handles of a Joinable queue,
// by three goroutines: one Gets, one calls TaskDone, one does both. The steps are what is
// done under one lock each, of shm for the handles and of join.go for the lists.

// keptWorld is one state. It holds no pointers: its bytes are hashed.
type keptWorld struct {
	refs uint8 // handles of the segment
	life uint8 // how often the process has attached
	out  uint8 // what Get has returned in this life, and nobody is done with
	list [4]keptList
	at   [3]keptActor
	bad  uint8
}

type keptList struct{ life, handles, open, kept, left uint8 }

type keptActor struct {
	pc         keptStep
	life, list uint8
	again      uint8
}

type keptStep uint8

const (
	kpAttach keptStep = iota
	kpFind
	kpGet
	kpTaskDone
	kpClose
	kpLeave
	kpDone
)

var keptStepNames = []string{"opens the segment", "finds its tasks", "gets", "calls TaskDone", "closes the segment", "leaves its tasks", "is done"}

type keptModel struct{ mutant string }

func (m *keptModel) start() keptWorld {
	var w keptWorld
	for i := range w.at {
		w.at[i].again = 1 // each opens it twice
	}
	return w
}

func (m *keptModel) moves(w *keptWorld, f func(kind moveKind, who int, n *keptWorld)) {
	for i := range w.at {
		if w.at[i].pc != kpDone {
			n := *w
			m.act(&n, i, &n.at[i])
			f(step, i, &n)
		}
	}
}

func (m *keptModel) act(w *keptWorld, i int, a *keptActor) {
	t := &w.list[a.list]
	switch a.pc {
	case kpAttach:
		if w.refs++; w.refs == 1 {
			w.life++
		}
		a.life, a.pc = w.life, kpFind
	case kpFind:
		m.drop(w)
		a.list = uint8(len(w.list))
		for k := range w.list {
			if w.list[k].kept != 0 && w.list[k].life == a.life {
				a.list = uint8(k)
			}
		}
		for k := range w.list {
			if l := &w.list[k]; a.list == uint8(len(w.list)) && l.handles == 0 && l.kept == 0 {
				*l, a.list = keptList{life: a.life, kept: 1}, uint8(k)
			}
		}
		w.list[a.list].handles++
		if a.pc = kpGet; i == 1 {
			a.pc = kpTaskDone
		}
	case kpGet:
		w.out++
		t.open++
		if a.pc = kpTaskDone; i == 0 {
			m.next(a)
		}
	case kpTaskDone:
		switch {
		case w.out == 0: // there is nothing to call it for
		case t.open == 0:
			w.bad = 1
		default:
			w.out--
			t.open--
		}
		m.next(a)
	case kpClose:
		if w.refs--; w.refs == 0 {
			w.out = 0 // delivered to others
		}
		if a.pc = kpLeave; m.early() {
			m.over(a)
		}
	case kpLeave:
		m.drop(w)
		if t.handles--; t.handles == 0 {
			if t.left = 1; m.early() || m.mutant == "with the last handle of a queue" {
				*t = keptList{}
			}
		}
		m.drop(w)
		if a.pc = kpClose; !m.early() {
			m.over(a)
		}
	}
}

func (m *keptModel) early() bool { return m.mutant == "before the segment is closed" }

func (m *keptModel) next(a *keptActor) {
	if a.pc = kpClose; m.early() {
		a.pc = kpLeave
	}
}

func (m *keptModel) over(a *keptActor) {
	if a.again == 0 {
		*a = keptActor{pc: kpDone}
		return
	}
	*a = keptActor{again: a.again - 1}
}

// drop forgets the lists of lives that are over.
func (m *keptModel) drop(w *keptWorld) {
	for k := range w.list {
		switch l := &w.list[k]; {
		case l.left == 0:
		case l.handles > 0:
			l.left = 0
		case w.refs == 0 || w.life != l.life:
			*l = keptList{}
		}
	}
}

func (m *keptModel) finished(w *keptWorld) bool {
	for i := range w.at {
		if w.at[i].pc != kpDone {
			return false
		}
	}
	return true
}

func (m *keptModel) wrong(w *keptWorld) string {
	switch {
	case w.bad != 0:
		return "TaskDone does not find what Get has returned"
	case m.finished(w) && w.list != [4]keptList{}:
		return "a list is left"
	}
	return ""
}

func (m *keptModel) idle(*keptWorld) bool                 { return false }
func (m *keptModel) name(w, _ *keptWorld, who int) string { return keptStepNames[w.at[who].pc] }
func (m *keptModel) show(w *keptWorld) string             { return fmt.Sprintf("%+v", *w) }

// TestModelTasks explores handles, and plants the two ways to forget tasks too early.
func TestModelTasks(t *testing.T) {
	for _, mutant := range []string{"", "before the segment is closed", "with the last handle of a queue"} {
		v := exploreWorld[keptWorld](&keptModel{mutant})
		if (v.failure == "") != (mutant == "") {
			t.Fatalf("%q: %v", mutant, v)
		}
		t.Logf("%q: %d states: %s", mutant, v.states, v.failure)
	}
}
