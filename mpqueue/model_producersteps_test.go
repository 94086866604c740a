package mpqueue

// act is the next step of goroutine i, or, with a the sweep of it, of process i's.
func (m *endModel) act(w *endWorld, i int, a *endActor) {
	switch a.pc {
	case edTop:
		if m.mutant == "looked at before it is counted" {
			if a.looked++; a.looked == 1 {
				if w.closed != 0 || w.producers&3 != 0 {
					a.pc = edDone
				}
				return
			}
		}
		if m.mutant != "counted after it is said" {
			w.cell[endProcess[i]]++
		}
		a.pc = edSay
	case edSay:
		a.pc = edLookClosed
		switch ended := w.producers & 3; {
		case m.mutant == "the end is decided by a look" || m.mutant == "looked at before it is counted":
			w.producers = 1 << 2
		case ended != 0:
			a.how, a.pc, a.after = ended, edClose, edTakeBack
		default:
			w.producers += 1 << 2
		}
	case edLookClosed:
		if m.mutant == "counted after it is said" {
			w.cell[endProcess[i]]++
		}
		if a.pc = edTakeBack; w.closed == 0 || m.mutant == "looked at before it is counted" {
			w.held[endProcess[i]]++
			w.registered = 1
			if a.pc = edPutLook; m.bare {
				a.pc = edLeave
			}
		}
	case edTakeBack:
		w.cell[endProcess[i]]--
		a.pc = edDone
	case edPutLook:
		if a.pc = edPut; w.closed != 0 {
			a.pc = edLeave
		}
	case edPut:
		if a.pc = edLeave; w.sealed == 0 {
			w.items++
			a.pc, a.then = edSignal, edLeave
		}
	case edLeave:
		p := endProcess[i]
		w.held[p]--
		w.proc[p].inOrder++
		w.begins(closedInOrder)
		a.how, a.after, a.pc = closedInOrder, edLeft, edAlone
		if m.mutant != "who goes looks first" {
			w.cell[p]--
		}
	case edLeft:
		p := endProcess[i]
		if m.mutant == "who goes looks first" {
			w.cell[p]--
		}
		w.proc[p].inOrder--
		w.ends(closedInOrder)
		*a = endActor{pc: edDone}
	default:
		m.endStep(w, i, a)
	}
}

// endStep is a step of closeIfAlone, close, a signal, the sweep or who closes a handle.
func (m *endModel) endStep(w *endWorld, i int, a *endActor) {
	switch a.pc {
	case edAlone:
		switch ended := w.producers & 3; {
		case w.producers == 0:
			a.pc = a.after
		case ended != 0 && m.mutant == "nobody helps who was killed":
			a.pc = a.after
		case ended != 0:
			a.by, a.pc = ended, edClose
		default:
			a.val, a.by, a.at, a.pc = w.producers, a.how, 0, edCells
		}
	case edCells:
		switch c := w.cell[a.at]; {
		case c == 0 || m.mutant == "who goes looks first" && a.after == edLeft && int(a.at) == endProcess[i] && c == 1:
		case c == endDied && m.mutant != "the dead count until they are swept":
			if a.how == 0 {
				a.by = closedByDeath
			}
		default:
			a.val, a.by, a.at, a.pc = 0, 0, 0, a.after
			return
		}
		if a.at++; a.at == endProcs {
			if a.at, a.pc = 0, edDecide; a.by == 0 {
				a.by = closedInOrder
			}
		}
	case edDecide:
		if m.mutant != "the end is decided by a look" && m.mutant != "looked at before it is counted" {
			if w.producers != a.val {
				a.val, a.by, a.pc = 0, 0, edAlone
				break
			}
			w.producers |= a.by
		}
		if w.open[a.by] == 0 && w.last[a.by] == 0 {
			w.fail(endWrongHow)
		}
		a.val, a.pc = 0, edClose
	case edClose:
		if w.closed == 0 {
			w.closed = a.by
		}
		a.by, a.then, a.pc = 0, a.after, edAll
		if m.mutant == "closed without a wake" {
			a.pc = a.after
		}

	case edAll:
		w.signalled()
		a.pc = edWakeAll
	case edWakeAll:
		w.wake(endActors)
		a.pc = a.then
	case edSignal:
		a.val, a.pc = w.word, a.then
		if a.val&(waited|pending) == waited {
			a.pc = edPending
		}
	case edPending:
		if w.word != a.val {
			a.pc = edSignal
			break
		}
		a.val = (a.val+modelSequence)%32 | pending
		w.word, a.pc = a.val, edWakeOne
	case edWakeOne:
		if a.pc = edBack; w.wake(1) > 0 {
			a.pc = a.then
		}
	case edBack:
		if a.pc = a.then; w.word == a.val {
			w.signalled()
			a.pc = edWakeAll
		}

	case edSweepCell:
		if a.after = edSweepCount; m.mutant == "no change before the dead is cleared" {
			a.after = edSweepClear
		}
		switch {
		case w.cell[i] != 0:
			a.pc = edSweepMark
		case m.mutant == "the sweep of who was none does not look":
			a.pc = edSweepClear
		default:
			a.how, a.pc = 0, edAlone
		}
	case edSweepMark:
		w.cell[i] = endDied
		if m.mutant == "the sweep clears the cell first" {
			w.cell[i] = 0
		}
		a.how, a.pc = closedByDeath, edAlone
	case edSweepCount, edSweepCountAgain:
		if w.producers != 0 {
			w.producers += 1 << 2
		}
		if a.then, a.pc = edSwept, edAll; a.at == 0 {
			a.pc = edSweepClear
		}
		a.at = 0
	case edSweepClear:
		w.cell[i] = 0
		a.at, a.pc = 1, edSweepCountAgain
		if m.mutant == "no change after the dead is cleared" {
			a.at, a.then, a.pc = 0, edSwept, edAll
		}
	case edSwept:
		p := &w.proc[i]
		if p.died != 0 {
			w.ends(closedByDeath)
		}
		for range p.inOrder {
			w.ends(closedInOrder)
		}
		*p = endProc{dead: 2}

	case edGone:
		w.gone, a.pc = 1, edLife
	case edLife:
		w.life, a.pc = 1, edStir
	case edStir:
		if a.pc = edDone; w.word&waited != 0 && m.mutant != "a handle closed without a wake" {
			a.pc, a.then = edAll, edDone
		}
	default:
		m.receive(w, i, a)
	}
}

// receive is a step of a receiver.
func (m *endModel) receive(w *endWorld, i int, a *endActor) {
	over := func(how uint8, next endStep) { // the call ends
		a.how, a.pc = how, next
		if a.leads != 0 {
			a.pc = edMore
		}
	}
	const item, end, shut = 0, 1, 2
	switch a.pc {
	case edGet:
		switch {
		case i == endReceiver+1 && w.gone != 0:
			over(shut, edDone)
		case w.items != 0:
			w.items--
			over(item, edGet)
		case w.sealed != 0:
			over(end, edEnd)
		default:
			a.pc = edGetClosed
		}
	case edGetClosed:
		switch {
		case w.closed != 0:
			if a.pc = edSeal; m.mutant == "the end without a seal" {
				over(end, edEnd)
			}
		case a.leads == 0:
			a.pc = edLead
		case a.looked == 0:
			a.pc = edSet
		default:
			a.pc = edSleep
		}
	case edSeal:
		if w.items == 0 {
			w.sealed = 1
		}
		a.pc = edGet
	case edLead:
		if w.gate != 0 || i == endReceiver+1 && w.life != 0 {
			over(shut, edMore)
			break
		}
		w.gate, a.leads, a.pc = uint8(i+1), 1, edSet
	case edSet:
		w.word |= waited
		a.val, a.looked, a.pc = w.word, 1, edGet
		if m.mutant == "no look after waited" {
			a.pc = edSleep
		}
	case edSleep:
		if a.pc = edAwake; w.word == a.val {
			a.pc, a.asleep = edAsleep, 1
		}
	case edAwake:
		w.word &^= pending
		a.val, a.looked, a.pc = 0, 0, edSet
	case edMore:
		a.val, a.pc, a.then = 0, edUnlead, edUnlead
		if w.items != 0 || w.sealed != 0 {
			a.pc = edSignal
		}
	case edUnlead:
		if a.leads != 0 {
			w.gate = 0
		}
		how := a.how
		*a = endActor{pc: edGet}
		switch how {
		case end:
			a.pc = edEnd
		case shut:
			a.pc = edDone
		}
	case edEnd:
		if w.items != 0 {
			w.fail(endLostItem)
		}
		*a = endActor{pc: edDone}
	}
}

func (w *endWorld) fail(b endBad) {
	if w.bad == 0 {
		w.bad = b
	}
}

func (w *endWorld) signalled() { w.word = (w.word + modelSequence) % 32 &^ (waited | pending) }
