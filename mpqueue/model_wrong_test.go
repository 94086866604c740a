package mpqueue

// This file has what must hold in the model.

// wrongness is what a step found out of order.
type wrongness int8

const (
	fine wrongness = iota
	tornRead
	uncommitted
	twice
	tooOften
	disorder
	strangeBlock
	early
	late
	beyond
	miscounted
)

var wrongnesses = [...]string{
	fine:         "",
	tornRead:     "a message was read while it was written",
	uncommitted:  "a message was read that nobody had committed",
	twice:        "a message was delivered twice, unmarked",
	tooOften:     "a message was delivered again though nobody who held it has died",
	disorder:     "messages of one producer were overtaken",
	strangeBlock: "a slot refers to a block that is not queued",
	early:        "the end was reported, but a message can still come",
	late:         "a message was committed after the end was reported",
	beyond:       "more items than the capacity",
	miscounted:   "a message does not have the count of its deaths",
}

func (w *world) fail(f wrongness) {
	if w.fault == fine {
		w.fault = f
	}
}

// uncounted reports whether a has claimed a message whose last holder died, and has
// not counted that yet.
func (w *world) uncounted(a *actor) bool {
	if a.again == 0 || a.pc != getHint && a.pc != getCount {
		return false
	}
	return a.p >= 0 || w.blocks[a.blk-1].died != 0
}

// counted looks whether a message that is delivered has its count of deaths.
func (w *world) counted(n, tries int8) {
	if n > 0 && w.due[n-1] != tries {
		w.fail(miscounted)
	}
}

// finished reports whether every living process has done its work, and every
// dead one was swept.
func (m *model) finished(w *world) bool {
	for i := range m.count() {
		if a := &w.actors[i]; a.pc != atOver && (a.life != dead || m.mut != neverSwept) {
			return false
		}
	}
	return w.closer == 0 || w.closer == atOver
}

// wrong returns what must never be, or "".
func (m *model) wrong(w *world) string {
	if w.fault != fine || !m.finished(w) {
		return wrongnesses[w.fault]
	}
	var queued uint8
	referred := [len(w.blocks)]bool{}
	for k := range m.cap() {
		s := &w.slots[k]
		switch stateOf(s.word) {
		case writing, reading:
			return "a slot has leaked"
		case ready, orphan:
			queued |= bit(w.content(s))
			if s.block != 0 {
				referred[s.block-1] = true
			}
		}
	}
	for k := range w.blocks {
		b := &w.blocks[k]
		switch stateOf(b.word) {
		case bOrphan:
			queued |= bit(b.val)
		case bTaken, bLeased:
			return "a lease has leaked"
		case bOwned:
			if !referred[k] {
				return "a block has leaked"
			}
		}
	}
	for i := range m.count() {
		if w.actors[i].cell != 0 {
			return "a count of leases was left"
		}
	}
	switch {
	case w.committed&^w.settled&^queued != 0:
		return "a committed message is lost"
	case w.eof && queued != 0:
		return "a message was left, though a consumer saw the end"
	}
	return ""
}
