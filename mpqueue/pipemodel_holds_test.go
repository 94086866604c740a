package mpqueue

import (
	"fmt"
	"strings"
	"testing"
)

// The model of who holds an end: a giver, which holds it, gives it away by a handle and
// lets go; a taker, which opens the handle and lets go later; another one, which opens
// the handle once more; and a watcher at the other end, which looks at all holders
// whenever it likes. Each step is one access to the words of pipehold.go and
// pipegrant.go; a kill is possible before each.

const (
	holdGiver   = 0
	holdTaker   = 1
	holdAgain   = 2 // opens the handle that the taker opened before
	holdWatcher = 3 // of the other end
	holdProcs   = 4
)

type holdWorld struct {
	word  uint8 // gone, changes modulo 128
	cell  [holdProcs]uint8
	grant uint8 // of the giver
	given uint8 // the handle is on its way
	proc  [holdProcs]holdProc
	kills uint8
}

type holdProc struct {
	pc       holdStep
	has      uint8 // it has the end, by its own account
	sees     uint8 // the word that its look began with
	at       uint8 // how far it has looked
	found    uint8
	then     holdStep
	dead     uint8 // 2: and swept
	refused  uint8
	redeemed uint8
}

type holdStep uint8

const (
	holdTop holdStep = iota
	holdGrant
	holdGranted
	holdCell
	holdAdd
	holdBack
	holdRedeem
	holdDrop
	holdDeclare
	holdLook
	holdCAS
	holdDone
)

var holdStepNames = map[holdStep]string{
	holdTop: "begins", holdGrant: "makes a grant", holdGranted: "changes the word", holdCell: "counts itself", holdAdd: "changes the word",
	holdBack: "takes itself off", holdRedeem: "ends the grant", holdDrop: "lets go", holdDeclare: "reads the word", holdLook: "looks at one",
	holdCAS: "declares the end gone", holdDone: "is done",
}

type holdModel struct {
	kills  uint8
	again  bool // the handle is opened twice
	mutant string
}

func (m *holdModel) start() holdWorld {
	var w holdWorld
	w.cell[holdGiver], w.proc[holdGiver].has, w.word = 1, 1, holdChange
	if !m.again {
		w.proc[holdAgain].pc = holdDone
	}
	return w
}

func (m *holdModel) moves(w *holdWorld, f func(kind moveKind, who int, n *holdWorld)) {
	try := func(kind moveKind, who int, act func(n *holdWorld)) {
		n := *w
		act(&n)
		f(kind, who, &n)
	}
	for i := range w.proc {
		p := &w.proc[i]
		switch {
		case p.dead == 1:
			// The sweep ends its grants, and then looks like anybody, in the place of
			// the dead; a sweeper that is killed is followed by another.
			try(step, -1, func(n *holdWorld) {
				q := &n.proc[i]
				if i == holdGiver {
					n.grant = 0
				}
				q.dead, q.pc = 2, holdDeclare
			})
			continue
		case p.pc == holdDone:
			continue
		case p.dead == 0 && w.kills < m.kills && i != holdWatcher:
			try(kill, i, func(n *holdWorld) {
				n.kills++
				n.proc[i] = holdProc{dead: 1, pc: holdDone}
			})
		}
		switch {
		case p.pc == holdTop && (i == holdTaker || i == holdAgain) && w.given == 0:
			if w.proc[holdGiver].dead != 0 { // nothing comes any more
				try(step, i, func(n *holdWorld) { n.proc[i].pc = holdDone })
			}
		case p.pc == holdTop && i == holdAgain && w.proc[holdTaker].redeemed == 0:
			if w.proc[holdTaker].dead != 0 || w.proc[holdTaker].refused != 0 {
				try(step, i, func(n *holdWorld) { n.proc[i].pc = holdDone })
			}
		case p.pc == holdTop && i == holdWatcher:
			try(backstop, i, func(n *holdWorld) { n.proc[i].pc = holdDeclare })
		default:
			try(step, i, func(n *holdWorld) { m.act(n, i) })
		}
	}
}

// holds reports whether a look finds process i, or the grant behind the last one.
func (w *holdWorld) holds(i int) bool {
	if i == holdWatcher {
		return w.grant != 0 && w.proc[holdGiver].dead == 0
	}
	return w.cell[i] != 0 && w.proc[i].dead == 0
}

func (m *holdModel) act(w *holdWorld, i int) {
	p := &w.proc[i]
	change := uint8(holdChange)
	if m.mutant == "holds change nothing" {
		change = 0
	}
	switch p.pc {
	case holdTop:
		switch {
		case i == holdGiver && m.mutant == "let go before it is given":
			p.pc, p.then = holdDrop, holdGrant
		case i == holdGiver:
			p.pc = holdGrant
		default:
			p.pc = holdCell
			if m.mutant == "the grant ends before the hold" {
				w.grant = 0
			}
		}
	case holdGrant:
		w.grant, p.pc = 1, holdGranted
	case holdGranted:
		w.word += change
		w.given, p.pc = 1, holdDrop
		if m.mutant == "let go before it is given" {
			p.pc = holdDone
		}
	case holdCell:
		w.cell[i], p.pc = 1, holdAdd
	case holdAdd:
		w.word += change
		if p.pc, p.has = holdRedeem, 1; w.word&holdGone != 0 && m.mutant != "a hold that does not ask" {
			p.pc, p.has = holdBack, 0
		}
	case holdBack:
		w.cell[i], p.refused, p.pc = 0, 1, holdDone
	case holdRedeem:
		w.grant, p.redeemed, p.pc = 0, 1, holdDrop
		if i == holdAgain {
			w.grant = 0
		}
	case holdDrop:
		w.cell[i], p.has, p.pc = 0, 0, holdDeclare
		if m.mutant == "no look at the drop" {
			p.pc = holdDone
		}
	case holdDeclare:
		p.sees, p.at, p.found, p.pc = w.word, 0, 0, holdLook
		if w.word&holdGone != 0 {
			m.declared(i, p)
		}
	case holdLook:
		if w.holds(int(p.at)) {
			p.found = 1
		}
		last := uint8(holdWatcher)
		if m.mutant == "grants are not looked at" {
			last--
		}
		if p.at++; p.found != 0 {
			m.declared(i, p)
		} else if p.at > last {
			p.pc = holdCAS
		}
	case holdCAS:
		if w.word != p.sees && m.mutant != "declared in any case" {
			p.pc = holdDeclare
			break
		}
		w.word |= holdGone
		m.declared(i, p)
	}
}

// declared is the end of a look.
func (m *holdModel) declared(i int, p *holdProc) {
	p.sees, p.at, p.found = 0, 0, 0
	switch {
	case i == holdWatcher:
		p.pc = holdTop
	case p.then != 0:
		p.pc, p.then = p.then, 0
	default:
		p.pc = holdDone
	}
}

func (m *holdModel) wrong(w *holdWorld) string {
	if w.word&holdGone == 0 {
		return ""
	}
	for i := range w.proc {
		if p := &w.proc[i]; p.has != 0 && p.dead == 0 {
			return "an end was given up that somebody holds"
		}
	}
	// A handle that was given by one who lives is good until it is opened.
	if g, t := &w.proc[holdGiver], &w.proc[holdTaker]; w.given != 0 && w.grant != 0 && g.dead == 0 && t.dead == 0 {
		return "an end was given up whose handle is on its way"
	}
	if w.proc[holdTaker].refused != 0 && w.proc[holdGiver].dead == 0 {
		return "an end was given up whose handle is on its way"
	}
	return ""
}

// finished reports whether all are through, and the end is gone if nobody has it. A
// handle that its taker did not live to open keeps the end as long as its giver lives.
func (m *holdModel) finished(w *holdWorld) bool {
	for i := range w.proc {
		p := &w.proc[i]
		if p.dead == 1 || p.pc != holdDone && i != holdWatcher {
			return false
		}
	}
	return w.word&holdGone != 0 || w.grant != 0 && w.proc[holdGiver].dead == 0
}

func (m *holdModel) idle(*holdWorld) bool { return false }

func (m *holdModel) name(w, _ *holdWorld, who int) string { return holdStepNames[w.proc[who].pc] }

func (m *holdModel) show(w *holdWorld) string {
	return fmt.Sprintf("word %#x cells %v grant %d given %d %+v", w.word, w.cell, w.grant, w.given, w.proc)
}

// TestModelPipeHolds explores an end that is handed over, with kills.
func TestModelPipeHolds(t *testing.T) {
	for _, m := range []holdModel{{}, {kills: 1}, {kills: 2}, {kills: 1, again: true}} {
		v := exploreWorld[holdWorld](&m)
		if v.failure != "" {
			t.Fatalf("%+v: %v", m, v)
		}
		t.Logf("%d kills, opened again %v: %v", m.kills, m.again, v)
	}
}

// TestModelPipeHoldsMutants plants bugs: each must be found.
func TestModelPipeHoldsMutants(t *testing.T) {
	for mutant, want := range map[string]string{
		"holds change nothing":           "given up",
		"declared in any case":           "given up",
		"let go before it is given":      "given up",
		"the grant ends before the hold": "given up",
		"grants are not looked at":       "given up",
		"a hold that does not ask":       "somebody holds",
		"no look at the drop":            "a lost wake",
	} {
		t.Run(mutant, func(t *testing.T) {
			m := holdModel{mutant: mutant, again: mutant == "a hold that does not ask"}
			v := exploreWorld[holdWorld](&m)
			if v.failure == "" || !strings.Contains(v.failure, want) {
				t.Fatalf("not caught with %q: %v", want, v)
			}
			t.Logf("caught after %d states, by %d moves: %s", v.states, len(v.trace)-1, v.failure)
		})
	}
}
