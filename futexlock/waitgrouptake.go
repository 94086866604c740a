package futexlock

import (
	"context"

	"shmkit/shm"
	"shmkit/shm/fault"
)

// Take charges this process with a task that another process has added and
// nobody has taken; or, if there is none, with one that was lost with a dead
// process. It returns ErrNoTask if there is neither, ErrOverflow if this process
// has taken 16,383, and ErrTooManyHolders if 64 other processes have tasks. A
// process that is killed inside Take has taken nothing, or is charged with the task
// when it dies; one that is stopped there holds up others that call Take or Reset.
//
// Take cannot tell whom a task was added for. Where several processes add tasks to
// one group and others take them, one that adds a task to do it itself may find that
// it has none left; its Done panics.
//
// Take panics if w lies in no attached segment, or if this process closes the segment
// meanwhile.
func (w *WaitGroup) Take() error {
	seg, self := attached("WaitGroup.Take", shm.Find(w))
	err := ErrNoTask
	w.underLock(seg, self, func(self uint32) {
		for _, lost := range [...]bool{false, true} {
			for i := range w.cells {
				v := w.cells[i].Load()
				t := taskToken(v)
				if v == 0 || t == self || (t == goneTasks || gone(seg, low(&w.cells[i]), shm.Token(t), lost)) != lost {
					continue
				}
				out := load(1)
				if added(v) == 0 {
					if out = load(oneTaken); !lost || takenBy(v) == 0 {
						continue
					}
				}
				err = w.move(i, self, out, load(oneTaken))
				if err == ErrTooManyHolders && w.place(goneTasks, i) >= 0 {
					w.compact(self)
					err = w.move(i, self, out, load(oneTaken))
				}
				if err != ErrNoTask {
					return
				}
			}
		}
	})
	if err != nil {
		return failed("WaitGroup.Take", err)
	}
	shm.RaceAcquire(w)
	return nil
}

// underLock runs f with the group's lock held and the journal clean.
func (w *WaitGroup) underLock(seg *shm.Segment, self uint32, f func(self uint32)) {
	// Who waits for the tasks that f moves may close w before we have let go of
	// the lock.
	var stay shm.Stay
	if stay.Enter(seg, &w.lock) != nil {
		mustLock("WaitGroup", shm.ErrClosed)
	}
	defer stay.Leave()
	if !w.lock.CompareAndSwap(0, self) {
		died, err := lockWordSlow(context.Background(), seg, &stay, &w.lock, self)
		mustLock("WaitGroup", err)
		if died {
			w.replay()
			consistentWord(&w.lock, self)
		}
	}
	if fault.Enabled {
		fault.Point("futexlock.waitgroup.locked")
	}
	f(self)
	w.unlock(self)
}

func (w *WaitGroup) unlock(self uint32) {
	if !w.lock.CompareAndSwap(self, 0) {
		unlockWordSlow(&w.lock, self)
	}
}

// recover finishes the move of a dead holder of the lock, unless somebody else
// is at it.
func (w *WaitGroup) recover(seg *shm.Segment) {
	self := uint32(seg.Self())
	if ok, died := tryLockWord(seg, &w.lock, self, false); ok {
		if died {
			w.replay()
			consistentWord(&w.lock, self)
		}
		w.unlock(self)
	}
}

// move takes out of cell src what out says and puts into a cell of token what
// in says. It returns ErrNoTask if src has not so much any more, ErrTooManyHolders
// if there is no cell, ErrOverflow if it does not fit. The caller holds the lock.
// A kill between any two steps is seen to by replay.
func (w *WaitGroup) move(src int, token uint32, out, in load) error {
	dst := w.place(token, src)
	if dst < 0 {
		return ErrTooManyHolders
	}
	w.journal.Store(journal(src, dst, out))
	defer w.journal.Store(0)
	if fault.Enabled {
		fault.Point("futexlock.waitgroup.noted")
	}
	from := &w.cells[src]
	for {
		v := from.Load()
		if added(v) < out.added() || takenBy(v) < out.taken() {
			return ErrNoTask
		}
		if taskToken(v) == token && token != goneTasks {
			return ErrNoTask // its process was done, and another goroutine of ours has charged us there
		}
		if from.CompareAndSwap(v, v-uint64(out)|taskMoving) {
			break
		}
	}
	if fault.Enabled {
		fault.Point("futexlock.waitgroup.left")
	}
	for {
		to := &w.cells[dst]
		v := to.Load()
		if t := taskToken(v); t == token || t == 0 {
			if !in.fits(v) {
				w.putBack(src, out)
				return ErrOverflow
			}
			if to.CompareAndSwap(v, charged(v, token, in)|taskMoving) {
				break
			}
			continue
		}
		// The cell was empty, and another process has charged itself there.
		if dst = w.place(token, src); dst < 0 {
			w.putBack(src, out)
			return ErrTooManyHolders
		}
		w.journal.Store(journal(src, dst, out))
	}
	if fault.Enabled {
		fault.Point("futexlock.waitgroup.arrived")
	}
	w.arrive(src, dst)
	return nil
}

// place returns a cell of token, or an empty one, other than not; -1 if there
// is none.
func (w *WaitGroup) place(token uint32, not int) int {
	at := shm.Token(token).Slot()
	for _, t := range [...]uint32{token, 0} {
		for k := range w.cells {
			i := (at + k) % TaskProcesses
			if taskToken(w.cells[i].Load()) == t && i != not {
				return i
			}
		}
	}
	return -1
}

// arrive ends a move whose tasks are in dst.
func (w *WaitGroup) arrive(src, dst int) {
	w.rises.Add(1) // before the source can look empty; pairs with the loads in count
	w.clear(src)
	if fault.Enabled {
		fault.Point("futexlock.waitgroup.cleared")
	}
	w.clear(dst)
	if fault.Enabled {
		fault.Point("futexlock.waitgroup.moved")
	}
	// Done may have emptied dst while it was moving, and rung for nothing.
	if w.bell.Load()&waited != 0 {
		ring(&w.bell, -1)
	}
}

// clear takes the moving bit off cell i.
func (w *WaitGroup) clear(i int) {
	for v := w.cells[i].Load(); v&taskMoving != 0; v = w.cells[i].Load() {
		if w.cells[i].CompareAndSwap(v, tidied(v&^taskMoving)) {
			return
		}
	}
}

// putBack ends a move whose tasks have nowhere to go.
func (w *WaitGroup) putBack(src int, out load) {
	for {
		v := w.cells[src].Load()
		if w.cells[src].CompareAndSwap(v, (v+uint64(out))&^taskMoving) {
			return
		}
	}
}

// replay brings a move that a dead holder of the lock left half-way to an end.
// The caller holds the lock.
func (w *WaitGroup) replay() {
	src, dst, moved, ok := unjournal(w.journal.Load())
	if ok {
		out, in := w.cells[src].Load()&taskMoving != 0, w.cells[dst].Load()&taskMoving != 0
		switch {
		case out && !in:
			w.putBack(src, moved)
		case in:
			w.arrive(src, dst)
		}
	}
	w.journal.Store(0)
}

// compact puts the tasks of dead processes together into one cell. The caller
// holds the lock.
func (w *WaitGroup) compact(uint32) {
	first := -1
	for i := range w.cells {
		v := w.cells[i].Load()
		switch {
		case taskToken(v) != goneTasks:
		case first < 0:
			first = i
		default:
			all := load(v &^ (taskTokens | taskMoving))
			w.move(i, goneTasks, all, all)
		}
	}
}
