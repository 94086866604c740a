package mpqueue

import (
	"fmt"
	"strings"
	"testing"
)

// The model of the lease blocks: receivers that take one before they look for an item,
// drop it when there is none, give more of them memory when all are in use, and wait
// for a spare one when there are no more: there are more than items can be leased, but
// fewer than receivers may look at a time. The steps are those of arenalease.go.

type growWorld struct {
	mem     [3]uint8 // bit 0: of the header, bit 1: of the data
	leasing uint8
	block   [3]arenaBlock
	waited  uint8 // of spare
	items   uint8 // in the ring
	kills   uint8
	bad     uint8
	proc    [3]growProc
}

type growProc struct {
	pc, then    growStep
	n, k        uint8
	valid       uint8 // block k is as it was read
	block, item uint8 // plus 1: the spare one, and a leased one that came back
	looked      uint8
	armed       uint8
	asleep      uint8
	dead        uint8 // 1: and being swept, 2: swept
}

type growStep uint8

const (
	gCount growStep = iota
	gScan
	gClaim
	gHeaders
	gData
	gRaise
	gRaiseCAS
	gFetch
	gDrop
	gWork
	gTell
	gSignal
	gWake
	gWait
	gSleep
	gAsleep
	gIdle
	gSweep
	gSwept
	gSweepSignal
	gSweepWake
)

type growModel struct {
	leases, items, kills uint8
	mutant               string
}

func (m *growModel) start() growWorld { return growWorld{items: m.items} }
func (m *growModel) idle(*growWorld) bool {
	return false // who is killed has a sweep that wakes all
}
func (m *growModel) name(w, _ *growWorld, who int) string {
	return fmt.Sprintf("makes step %d, block %d", w.proc[who].pc, w.proc[who].k)
}
func (m *growModel) show(w *growWorld) string { return fmt.Sprintf("%+v", *w) }

func (w *growWorld) orphan() int {
	for k := range w.block {
		if w.block[k].state == bOrphan {
			return k
		}
	}
	return -1
}

func (m *growModel) finished(w *growWorld) bool {
	for i := range w.proc {
		if p := &w.proc[i]; p.dead == 1 || p.dead == 0 && p.pc != gIdle {
			return false
		}
	}
	return w.items == 0 && w.orphan() < 0
}

func (m *growModel) wrong(w *growWorld) string {
	if w.bad != 0 {
		return "a lease block without memory is used"
	}
	for k := range w.block[:m.leases] {
		if w.block[k].state != bFree && (m.finished(w) || k >= int(w.leasing)) {
			return "a lease block has leaked"
		}
	}
	return ""
}

func (w *growWorld) write(k, state, owner uint8) {
	if w.mem[k] != 3 {
		w.bad = 1
	}
	w.block[k] = arenaBlock{state, owner}
	for i := range w.proc {
		if p := &w.proc[i]; p.valid == k+1 {
			p.valid = 0
		}
	}
}

func (m *growModel) moves(w *growWorld, f func(kind moveKind, who int, n *growWorld)) {
	try := func(kind moveKind, i int, act func(n *growWorld, p *growProc)) {
		n := *w
		act(&n, &n.proc[i])
		f(kind, i, &n)
	}
	for i := range w.proc {
		p := &w.proc[i]
		if p.dead == 2 {
			continue
		}
		if w.kills < m.kills {
			try(kill, i, func(n *growWorld, p *growProc) { n.kills++; *p = growProc{dead: 1, pc: gSweep} })
		}
		switch {
		case p.pc == gAsleep:
			try(backstop, i, func(_ *growWorld, p *growProc) { p.rouse() })
		case p.pc == gIdle && w.items == 0 && w.orphan() < 0:
		default:
			try(step, i, func(n *growWorld, p *growProc) { m.act(n, p, uint8(i+1)) })
		}
	}
}

func (p *growProc) rouse() {
	if p.asleep != 0 {
		*p = growProc{pc: gWait}
	}
}

func (w *growWorld) signal() {
	w.waited = 0
	for i := range w.proc {
		w.proc[i].armed = 0
	}
}

func (w *growWorld) wake() {
	for i := range w.proc {
		w.proc[i].rouse()
	}
}

func (m *growModel) act(w *growWorld, p *growProc, self uint8) {
	want := min(max(2*p.n, 1), m.leases)
	switch p.pc {
	case gIdle:
		p.pc = gCount
	case gCount:
		p.n, p.k, p.pc = w.leasing, 0, gScan
		if p.n == 0 {
			p.pc = gHeaders
		}
	case gScan:
		if w.mem[p.k] != 3 {
			w.bad = 1
		}
		if p.valid, p.pc = p.k+1, gClaim; w.block[p.k].state != bFree {
			m.next(p)
		}
	case gClaim:
		if p.valid == 0 {
			m.next(p)
			break
		}
		w.write(p.k, bOwned, self)
		*p = growProc{pc: gFetch, block: p.k + 1}
	case gHeaders, gData:
		bit := uint8(p.pc-gHeaders) + 1
		if m.mutant == "the number before the memory" {
			w.leasing = max(w.leasing, want)
		}
		for k := p.n; k < want; k++ {
			w.mem[k] |= bit
		}
		p.pc++
	case gRaise:
		if p.k, p.pc = w.leasing, gRaiseCAS; p.k >= want && m.mutant != "the number is stored" {
			*p = growProc{pc: gCount, looked: p.looked, armed: p.armed}
		}
	case gRaiseCAS:
		if w.leasing != p.k && m.mutant != "the number is stored" {
			p.k, p.pc = 0, gRaise
			break
		}
		w.leasing = want
		*p = growProc{pc: gCount, looked: p.looked, armed: p.armed}
	case gFetch:
		b := p.block - 1
		switch o := w.orphan(); {
		case o >= 0:
			w.write(uint8(o), bLeased, self)
			p.item, p.pc = uint8(o+1), gDrop
		case w.items > 0:
			w.items--
			w.write(b, bLeased, self)
			p.item, p.block, p.pc = b+1, 0, gWork
		default:
			p.pc = gDrop
		}
	case gDrop:
		w.write(p.block-1, bFree, 0)
		p.block, p.pc, p.then = 0, gTell, gIdle
		if p.item != 0 {
			p.then = gWork
		}
		if m.mutant == "who drops a spare block wakes nobody" {
			p.pc, p.then = p.then, 0
		}
	case gWork:
		w.write(p.item-1, bFree, 0)
		*p = growProc{pc: gTell, then: gIdle}
	case gTell:
		if p.pc = gSignal; w.waited == 0 {
			p.pc, p.then = p.then, 0
		}
	case gSignal:
		w.signal()
		p.pc = gWake
	case gWake:
		w.wake()
		p.pc, p.then = p.then, 0
	case gWait:
		w.waited = 1
		*p = growProc{pc: gCount, looked: 1, armed: 1}
	case gSleep:
		if p.armed == 0 {
			*p = growProc{pc: gWait}
		} else {
			*p = growProc{pc: gAsleep, asleep: 1, armed: 1}
		}
	case gSweep:
		p.n, p.k, p.pc = w.leasing, 0, gSwept
	case gSwept:
		for ; p.k < p.n; p.k++ {
			if b := w.block[p.k]; b.owner == self {
				st := uint8(bFree)
				if b.state == bLeased {
					st = bOrphan
				}
				w.write(p.k, st, 0)
				return
			}
		}
		p.k, p.n, p.pc = 0, 0, gSweepSignal
	case gSweepSignal:
		w.signal()
		p.pc = gSweepWake
	case gSweepWake:
		w.wake()
		*p = growProc{dead: 2}
	}
}

// next goes on to the next block; after the last, more get memory, or it waits.
func (m *growModel) next(p *growProc) {
	p.valid, p.pc = 0, gScan
	if p.k++; p.k < p.n {
		return
	}
	p.k = 0
	switch {
	case p.n < m.leases:
		p.pc = gHeaders
	case p.looked != 0:
		p.pc = gSleep
	default:
		p.pc = gWait
	}
}

// TestModelLeases explores lease blocks that become more, and too few.
func TestModelLeases(t *testing.T) {
	for _, m := range []growModel{
		{leases: 3, items: 2, kills: 1},
		{leases: 2, items: 1, kills: 2},
	} {
		v := exploreWorld[growWorld](&m)
		if v.failure != "" {
			t.Fatalf("%+v: %v", m, v)
		}
		t.Logf("%+v: %v", m, v)
	}
	for _, c := range []struct {
		want string
		m    growModel
	}{
		{"without memory", growModel{leases: 3, items: 2, mutant: "the number before the memory"}},
		{"has leaked", growModel{leases: 3, items: 2, mutant: "the number is stored"}},
		{"a lost wake", growModel{leases: 2, mutant: "who drops a spare block wakes nobody"}},
	} {
		v := exploreWorld[growWorld](&c.m)
		if v.failure == "" || !strings.Contains(v.failure, c.want) {
			t.Fatalf("%s: not caught with %q: %v", c.m.mutant, c.want, v)
		}
		t.Logf("%s: caught after %d states, by %d moves: %s", c.m.mutant, v.states, len(v.trace)-1, v.failure)
	}
}
