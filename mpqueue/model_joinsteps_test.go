package mpqueue

// act is the next step of a goroutine.
func (m *taskModel) act(w *taskWorld, r taskRole, a *taskActor) {
	p := r.proc
	switch a.pc {
	case tkTop, tkReserve, tkCommit, tkGiveUp:
		m.put(w, r, a)

	case tkTake:
		i := uint8(w.takeable())
		a.item = i
		if w.block[i].is == bOrphan {
			// Counted before it is ours.
			w.cell[p]++
			a.pc = tkClaimOrphan
			break
		}
		w.slot[i] = taskPlace{reading, p + 1}
		a.pc = tkLease
	case tkClaimOrphan:
		if a.pc = tkUncountOrphan; w.block[a.item].is == bOrphan {
			w.block[a.item], a.pc = taskPlace{bLeased, p + 1}, tkList
		}
	case tkUncountOrphan:
		w.cell[p]--
		a.item, a.then, a.pc = 0, tkTake, tkFreed
	case tkLease:
		w.block[a.item] = taskPlace{bLeased, p + 1}
		a.pc = tkCount
	case tkCount:
		w.cell[p]++
		a.pc = tkRelease
	case tkRelease:
		w.slot[a.item] = taskPlace{is: taskPast}
		a.then, a.pc = tkList, tkFreed
	case tkList:
		if r.kind == taskReturns {
			a.pc = tkRequeue
			break
		}
		for k := range w.tasks[p] {
			if w.tasks[p][k] == 0 {
				w.tasks[p][k] = a.item + 1
				break
			}
		}
		if a.item, a.pc = 0, tkPop; r.kind == taskChains && a.left > 0 {
			a.pc = tkTop
		}
	case tkPop:
		m.pop(w, p, a)
	case tkFree:
		if w.block[a.item] != (taskPlace{bLeased, p + 1}) {
			w.fail(taskOther)
			break
		}
		w.block[a.item] = taskPlace{}
		if w.done&(1<<a.item) != 0 {
			w.fail(taskTwice)
		}
		w.done |= 1 << a.item
		a.item, a.then, a.pc = 0, tkTake, tkUncount
		if m.mutant == "who is done looks before it is counted out" {
			a.then, a.pc = tkUncount, tkFreed
		}
	case tkUncount:
		w.cell[p]--
		if a.then, a.pc = tkTake, tkFreed; m.mutant == "who is done looks before it is counted out" {
			a.pc = tkTake
		}
	case tkRequeue:
		w.block[a.item] = taskPlace{is: bOrphan}
		a.item, a.pc = 0, tkUncountRequeued
	case tkUncountRequeued:
		w.cell[p]--
		if a.then, a.pc = tkDone, tkFreed; m.mutant == "who gives back tells nobody" {
			*a = taskActor{pc: tkDone}
		}
	default:
		if a.pc >= tkFreed && a.pc <= tkWake {
			m.freed(w, a)
		} else {
			m.join(w, a)
		}
	}
}

// put is a step of a producer.
func (m *taskModel) put(w *taskWorld, r taskRole, a *taskActor) {
	switch a.pc {
	case tkReserve:
		w.reserved[r.proc]++
		if a.pc = tkTop; r.kind == taskAborts {
			a.left, a.pc = 0, tkGiveUp
		}
	case tkTop:
		for i := range w.slot {
			if w.slot[i].is == free {
				w.slot[i] = taskPlace{writing, r.proc + 1}
				a.item, a.pc = uint8(i), tkCommit
				return
			}
		}
	case tkCommit:
		w.slot[a.item] = taskPlace{is: ready}
		w.committed |= 1 << a.item
		a.item, a.pc = 0, tkGiveUp
		a.left--
		if r.kind == taskPuts || r.kind == taskChains {
			m.next(r, a)
		}
	case tkGiveUp:
		w.reserved[r.proc]--
		m.next(r, a)
		if m.mutant != "a reservation given up tells nobody" {
			a.then, a.pc = a.pc, tkFreed
		}
	}
}

// next is where a producer goes after one item.
func (m *taskModel) next(r taskRole, a *taskActor) {
	switch {
	case r.kind == taskChains:
		a.pc = tkPop
	case a.left == 0:
		a.pc = tkDone
	case r.kind == taskPuts:
		a.pc = tkTop
	default:
		a.pc = tkReserve
	}
}

// pop is the first half of TaskDone, under the lock of the process's tasks.
func (m *taskModel) pop(w *taskWorld, p uint8, a *taskActor) {
	if m.mutant == "TaskDone takes the newest of all" {
		for i := range w.block {
			if w.block[i].is == bLeased {
				a.item = uint8(i)
			}
		}
		a.pc = tkFree
		return
	}
	t := &w.tasks[p]
	if t[0] == 0 {
		w.fail(taskNone)
		return
	}
	a.item, a.pc = t[0]-1, tkFree
	copy(t[:], t[1:])
	t[taskItems-1] = 0
}

// freed is a step of freed, as far as that is for Join, of allDone or of signalAll.
func (m *taskModel) freed(w *taskWorld, a *taskActor) {
	back := func() { *a = taskActor{pc: a.then, left: a.left, item: a.item} }
	switch a.pc {
	case tkFreed:
		if a.at, a.pc = 0, tkLeased; w.idle&waited == 0 {
			back()
		}
	case tkLeased, tkReserved:
		cell := w.cell[a.at]
		if a.pc == tkReserved {
			cell = w.reserved[a.at]
		}
		if cell != 0 {
			back()
			break
		}
		if a.at++; a.at == taskProcs {
			a.at = 0
			a.pc++
		}
	case tkEnd:
		a.end, a.pc = w.claimed(), tkRing
	case tkRing:
		end := a.end
		if a.end, a.pc = 0, tkSignal; w.busy(end) {
			back()
		}
	case tkSignal:
		w.signalled()
		a.pc = tkWake
	case tkWake:
		w.wake()
		back()
	}
}

// claimed returns where the ring ends, and busy whether a place before that is not free.
func (w *taskWorld) claimed() uint8 {
	for i := range w.slot {
		if w.slot[i].is == free {
			return uint8(i)
		}
	}
	return taskItems
}

func (w *taskWorld) busy(end uint8) bool {
	for i := range w.slot[:end] {
		if w.slot[i].is != taskPast {
			return true
		}
	}
	return false
}

func (w *taskWorld) signalled() { w.idle = (w.idle + modelSequence) % 32 &^ (waited | pending) }

func (w *taskWorld) wake() {
	for i := range w.actor {
		if a := &w.actor[i]; a.asleep != 0 {
			a.asleep, a.pc = 0, tkSet
		}
	}
}

// join is a step of Join.
func (m *taskModel) join(w *taskWorld, a *taskActor) {
	unfinished := func() {
		a.at, a.end, a.pc = 0, 0, tkSleep
		if m.mutant == "waited after the look" {
			w.idle |= waited
			a.val = w.idle
		}
	}
	switch a.pc {
	case tkJoin:
		if w.quiet = 0; w.committed&^w.done == 0 {
			w.quiet = 1
		}
		a.pc = tkSet
	case tkSet:
		if m.mutant != "waited after the look" {
			w.idle |= waited
		}
		a.val, a.pc = w.idle, tkJoinEnd
	case tkJoinEnd:
		a.end, a.at, a.pc = w.claimed(), 0, tkJoinRing
		if m.mutant == "blocks before the ring" {
			a.pc = tkJoinBlocks
		}
	case tkJoinRing:
		a.pc = tkJoinReserved
		if w.busy(a.end) {
			unfinished()
		}
	case tkJoinReserved:
		if w.reserved[a.at] != 0 {
			unfinished()
			break
		}
		if a.at++; a.at == taskProcs {
			if a.at, a.pc = 0, tkJoinBlocks; m.mutant == "blocks before the ring" {
				a.pc = tkJoinAgain
			}
		}
	case tkJoinBlocks:
		taken := w.block[a.at].is != bFree
		if m.mutant == "Join goes by the counts" {
			taken = w.cell[a.at] != 0
		}
		if taken {
			unfinished()
			break
		}
		if a.at++; a.at == taskItems {
			if a.at, a.pc = 0, tkJoinAgain; m.mutant == "blocks before the ring" {
				a.pc = tkJoinRing
			}
		}
	case tkJoinAgain:
		if w.claimed() != a.end && m.mutant != "no second look at the end" {
			unfinished()
			break
		}
		if w.quiet == 0 {
			w.fail(taskEarly)
		}
		*a = taskActor{pc: tkJoin, left: a.left - 1}
		if a.left == 0 {
			a.pc = tkDone
		}
	case tkSleep:
		if a.pc = tkSet; w.idle == a.val {
			a.pc, a.asleep = tkAsleep, 1
		}
		a.val = 0
	}
}

// sweepStep is a step of the sweep of process p.
func (m *taskModel) sweepStep(w *taskWorld, p uint8, a *taskActor) {
	switch a.pc {
	case tkSweepBlocks:
		b, s := &w.block[a.at], &w.slot[a.at]
		if *b == (taskPlace{bLeased, p + 1}) {
			*b = taskPlace{is: bOrphan}
			if *s == (taskPlace{reading, p + 1}) || m.mutant == "the sweep frees what the dead had" {
				*b = taskPlace{} // a copy of what the slot still has
			}
		}
		if a.at++; a.at == taskItems {
			a.at, a.pc = 0, tkSweepSlots
		}
	case tkSweepSlots:
		switch s := &w.slot[a.at]; *s {
		case taskPlace{writing, p + 1}:
			*s = taskPlace{is: taskPast}
		case taskPlace{reading, p + 1}:
			*s = taskPlace{is: orphan}
		}
		if a.at++; a.at == taskItems {
			a.at, a.pc = 0, tkSweepReserved
		}
	case tkSweepReserved:
		w.reserved[p] = 0
		a.pc = tkSweepLeases
		if m.mutant == "the sweep wakes before it clears the cell" {
			a.pc = tkSignal
		}
	case tkSweepLeases:
		w.cell[p] = 0
		a.pc = tkSignal
		if m.mutant == "the sweep wakes before it clears the cell" || m.mutant == "the sweep wakes nobody" {
			a.pc = tkSwept
		}
	case tkSignal:
		w.signalled()
		a.pc = tkWake
	case tkWake:
		w.wake()
		a.pc = tkSwept
		if m.mutant == "the sweep wakes before it clears the cell" {
			a.pc = tkSweepLeases
		}
	case tkSwept:
		w.dead[p] = 2
		*a = taskActor{}
	}
}

func (w *taskWorld) fail(b taskBad) {
	if w.bad == 0 {
		w.bad = b
	}
}
