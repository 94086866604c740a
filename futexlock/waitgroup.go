package futexlock

import (
	"context"
	"errors"
	"fmt"
	"structs"
	"sync/atomic"

	"shmkit/shm"
	"shmkit/shm/fault"
)

// TaskProcesses is the number of processes that can be charged with tasks of
// one WaitGroup at the same time.
const TaskProcesses = 64

// ErrNoTask is returned by WaitGroup.Take when no other process has a task.
var ErrNoTask = errors.New("no other process has a task")

// WaitGroup waits for tasks of several processes to end, like sync.WaitGroup.
// All zero bytes are a WaitGroup without tasks. It must not be copied or moved.
// Any goroutine of any process may call any method.
//
// Every task is charged to a process: to the one that called Add, until another
// calls Take. A task that was taken stays with its taker. When a process dies
// its tasks are lost; Wait, once all others are done, returns ErrOwnerDied with
// their number, until Reset, or until a replacement has taken and done them.
//
//	parent   wg.Add(3); start three children; wg.Wait(ctx)
//	child    wg.Take(); defer wg.Done(); work
//
// A process can add 1,048,575 tasks and take 16,383. A task that its child has
// not taken yet is the parent's: a child that dies before Take is the parent's
// to notice. As with sync.WaitGroup, an Add that may meet a Wait must be made
// while the caller, or one that waits for it, has a task.
//
// A Done synchronizes before the return of every Wait that it lets go. A
// WaitGroup takes 536 bytes.
type WaitGroup struct {
	_       structs.HostLayout
	_       noCopy
	bell    atomic.Uint32 // bell.go
	lock    atomic.Uint32 // lock word, held while tasks move
	rises   atomic.Uint32 // see taskword.go
	_       uint32
	journal atomic.Uint64 // what the holder of lock is moving
	cells   [TaskProcesses]atomic.Uint64
}

var _ = fault.Declare(
	"futexlock.waitgroup.added", "futexlock.waitgroup.done", "futexlock.waitgroup.waited",
	"futexlock.waitgroup.locked", "futexlock.waitgroup.noted", "futexlock.waitgroup.left",
	"futexlock.waitgroup.arrived", "futexlock.waitgroup.cleared", "futexlock.waitgroup.moved",
	"futexlock.waitgroup.passed", "futexlock.waitgroup.forgets", "futexlock.waitgroup.counted",
)

// Add charges n tasks to this process, or takes -n of its own off. It returns
// ErrTooManyHolders if 64 other processes have tasks, and ErrOverflow if this
// process would have added more than 1,048,575; nothing has changed then. It
// panics if this process has fewer than -n tasks.
func (w *WaitGroup) Add(n int) error {
	seg, self := attached("WaitGroup.Add", shm.Find(w))
	if n < 0 {
		shm.RaceRelease(w)
		for ; n < 0; n++ {
			if !w.relieve(seg, self) {
				w.doneSlow(seg, self)
			}
		}
		return nil
	}
	if n == 0 {
		return nil
	}
	err := w.charge(self, n)
	if err == ErrTooManyHolders {
		w.underLock(seg, self, w.compact)
		err = w.charge(self, n)
	}
	if err != nil {
		return failed("WaitGroup.Add", err)
	}
	return nil
}

// Done takes one task off this process. It panics if it has none.
func (w *WaitGroup) Done() {
	seg, self := attached("WaitGroup.Done", shm.Find(w))
	shm.RaceRelease(w)
	if !w.relieve(seg, self) {
		w.doneSlow(seg, self)
	}
}

// charge adds n tasks to a cell of self.
func (w *WaitGroup) charge(self uint32, n int) error {
	if uint64(n) > maxAdded {
		return ErrOverflow
	}
	// Mostly the cell that is ours by number is ours, or empty. A process may
	// have several.
	c := &w.cells[shm.Token(self).Slot()%TaskProcesses]
	if v := c.Load(); (taskToken(v) == self || v == 0) && load(n).fits(v) && w.put(c, v, self, n) {
		return nil
	}
	for _, token := range [...]uint32{self, 0} {
		for i := range w.cells {
			c := &w.cells[i]
			// An empty cell may become ours meanwhile, by another goroutine.
			for v := c.Load(); taskToken(v) == token || taskToken(v) == self; v = c.Load() {
				if !load(n).fits(v) {
					return ErrOverflow
				}
				if w.put(c, v, self, n) {
					return nil
				}
			}
		}
	}
	return ErrTooManyHolders
}

// put adds n tasks of self to the cell c, if it still holds v.
func (w *WaitGroup) put(c *atomic.Uint64, v uint64, self uint32, n int) bool {
	if !c.CompareAndSwap(v, charged(v, self, load(n))) {
		return false
	}
	if fault.Enabled {
		fault.Point("futexlock.waitgroup.added")
	}
	if tasks(v) == 0 {
		w.rises.Add(1) // pairs with the loads in count
	}
	return true
}

// doneSlow is Done where relieve has found nothing.
func (w *WaitGroup) doneSlow(seg *shm.Segment, self uint32) {
	// Our task may have moved: another goroutine has added one to a cell that
	// we had passed, and a Take has had ours from one that we had not reached.
	found := false
	w.underLock(seg, self, func(self uint32) { found = w.relieve(seg, self) })
	if !found {
		panic("futexlock: WaitGroup.Done: this process has no task: charge it with Add, or with Take if another process added it")
	}
}

// relieve takes one task off self; false if it found none in any cell.
func (w *WaitGroup) relieve(seg *shm.Segment, self uint32) bool {
	var stay shm.Stay // whoever waited for the last task may close w
	at := shm.Token(self).Slot()
	for k := range w.cells {
		c := &w.cells[(at+k)%TaskProcesses]
		for v := c.Load(); taskToken(v) == self && tasks(v) > 0; v = c.Load() {
			if tasks(v) == 1 && stay.Note(seg, &w.bell) != nil {
				stray("WaitGroup.Done")
			}
			// Pairs with the loads in count.
			if !c.CompareAndSwap(v, relieved(v)) {
				continue
			}
			if fault.Enabled {
				fault.Point("futexlock.waitgroup.done")
			}
			if tasks(v) == 1 && w.bell.Load()&waited != 0 && stay.Enter(seg, &w.bell) == nil {
				ring(&w.bell, -1)
				stay.Leave()
			}
			return true
		}
		if fault.Enabled {
			fault.Point("futexlock.waitgroup.passed")
		}
	}
	return false
}

// Wait waits until no process has a task. It returns nil; ErrOwnerDied if
// processes died with tasks of theirs; ctx's error, wrapped, when ctx is done
// first; shm.ErrClosed if this process closes the segment meanwhile.
func (w *WaitGroup) Wait(ctx context.Context) error {
	seg, _ := attached("WaitGroup.Wait", shm.Find(w))
	var stay shm.Stay
	defer stay.Leave()
	watch := watchFor(ctx, seg, &stay, &w.bell)
	for {
		v := w.bell.Load()
		n := w.count(&watch)
		if n.open == 0 {
			if _, err := unlessClosed(seg, &stay, false); err != nil {
				return failed("WaitGroup.Wait", err)
			}
			shm.RaceAcquire(w)
			if n.lost > 0 {
				return failed("WaitGroup.Wait", fmt.Errorf("%d tasks are lost: %w", n.lost, ErrOwnerDied))
			}
			return nil
		}
		if err := ctx.Err(); err != nil {
			return failed("WaitGroup.Wait", err)
		}
		if err := stay.Enter(seg, &w.bell); err != nil {
			return failed("WaitGroup.Wait", err)
		}
		if watch.pause(ctx, n.dying) {
			continue
		}
		if v&waited == 0 {
			// Look again with the flag up. Pairs with the load in relieve.
			w.bell.CompareAndSwap(v, v|waited)
			continue
		}
		if fault.Enabled {
			fault.Point("futexlock.waitgroup.waited")
		}
		if _, err := watch.sleep(ctx, &w.bell, v, n.watch); err != nil {
			return failed("WaitGroup.Wait", err)
		}
	}
}

// Tasks returns how many tasks living processes have, and how many were lost
// with processes that died.
func (w *WaitGroup) Tasks() (open, lost int) {
	seg, _ := attached("WaitGroup.Tasks", shm.Find(w))
	n := w.count(&watcher{seg: seg, ask: due(&w.bell)})
	return int(n.open), int(n.lost)
}

// Reset forgets the tasks of dead processes: the caller has seen to them.
func (w *WaitGroup) Reset() {
	seg, self := attached("WaitGroup.Reset", shm.Find(w))
	w.underLock(seg, self, func(uint32) {
		forgot := false
		for i := range w.cells {
			c := &w.cells[i]
			for v := c.Load(); ; v = c.Load() {
				if t := taskToken(v); t == 0 || t != goneTasks && !seg.Confirm(shm.Token(t)) {
					break
				}
				if fault.Enabled {
					fault.Point("futexlock.waitgroup.forgets")
				}
				// The sweep may have renamed the cell meanwhile.
				if c.CompareAndSwap(v, 0) {
					forgot = true
					break
				}
			}
		}
		if forgot {
			w.rises.Add(1) // who has counted them counts again
		}
	})
}

// sum is what count found.
type sum struct {
	open, lost uint64
	watch      shm.Token // a process that others wait for
	dying      shm.Token // one that is being torn down
}

// count adds up the cells as they were at one moment.
func (w *WaitGroup) count(watch *watcher) sum {
	for {
		rises := w.rises.Load()
		n, ok := w.add(watch)
		if ok && w.rises.Load() == rises {
			return n
		}
	}
}

// add adds up the cells one by one; false if it changed something itself.
func (w *WaitGroup) add(watch *watcher) (n sum, ok bool) {
	seg := watch.seg
	for i := range w.cells {
		v := w.cells[i].Load() // pairs with the CAS in relieve
		if v == 0 {
			continue
		}
		t := taskToken(v)
		if v&taskMoving != 0 {
			// A Take is half-way, or has died there.
			h := shm.Token(holderOf(w.lock.Load()))
			if h != 0 && seg.Confirm(h) {
				w.recover(seg)
				return n, false
			}
			n.open++
			n.watch = h
		}
		switch {
		case t == goneTasks || watch.gone(shm.Token(t)):
			n.lost += tasks(v)
			if fault.Enabled {
				fault.Point("futexlock.waitgroup.counted")
			}
			continue
		case seg.Dying(shm.Token(t)):
			n.dying = shm.Token(t)
		case shm.Token(t) != seg.Self() && n.watch == 0:
			n.watch = shm.Token(t)
		}
		n.open += tasks(v)
	}
	return n, true
}

// sweep finishes what dead was moving, and marks its tasks as lost.
func (w *WaitGroup) sweep(s *shm.Segment, dead uint32) {
	if holderOf(w.lock.Load()) == dead {
		w.recover(s)
	}
	for i := range w.cells {
		c := &w.cells[i]
		for v := c.Load(); taskToken(v) == dead; v = c.Load() {
			if c.CompareAndSwap(v, charged(v, goneTasks, 0)) {
				break
			}
		}
	}
	passOn(&w.lock)
	alarm(&w.bell)
}

func (w *WaitGroup) check(s *shm.Segment) string {
	if wrong := checkHolder(s, holderOf(w.lock.Load())); wrong != "" {
		return wrong
	}
	for i := range w.cells {
		v := w.cells[i].Load()
		if t := taskToken(v); t != goneTasks {
			if wrong := checkHolder(s, t); wrong != "" {
				return fmt.Sprintf("cell %d: %s", i, wrong)
			}
		}
		if v != tidied(v) {
			return fmt.Sprintf("cell %d has a process and no tasks: %#x", i, v)
		}
	}
	return ""
}

// State describes w in a line for people, for instance "3 tasks, 1 lost".
func (w *WaitGroup) State() string {
	open, lost := uint64(0), uint64(0)
	for i := range w.cells {
		v := w.cells[i].Load()
		if taskToken(v) == goneTasks {
			lost += tasks(v)
		} else {
			open += tasks(v)
		}
	}
	s := fmt.Sprintf("%d tasks", open)
	if lost > 0 {
		s += fmt.Sprintf(", %d lost", lost)
	}
	if w.bell.Load()&waited != 0 {
		s += ", waiters"
	}
	return s
}

func init() { register[WaitGroup](kindWaitGroup) }
