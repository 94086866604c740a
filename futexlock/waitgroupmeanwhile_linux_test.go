package futexlock

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"shmkit/procs/procstest"
	"shmkit/shm"
	"shmkit/shm/fault"
)

// doneMeanwhile is a Done that, having passed one cell, is overtaken: another
// goroutine adds a task there, and another process takes the one that Done was
// on its way to.
func doneMeanwhile(w *WaitGroup, seg *shm.Segment) error {
	self := uint32(seg.Self())
	other := self ^ 1<<20 // of another incarnation: it need not run for this
	w.cells[0].Store(charged(0, self, 1))
	fault.Call("futexlock.waitgroup.passed", func() {
		w.Add(1)
		w.underLock(seg, self, func(uint32) { w.move(0, other, load(1), load(oneTaken)) })
	})
	w.Done()
	for i := range w.cells {
		if v := w.cells[i].Load(); taskToken(v) == self {
			return fmt.Errorf("cell %d still has a task of ours: %#x", i, v)
		}
	}
	if open, lost := w.Tasks(); open+lost != 1 {
		return fmt.Errorf("%d open, %d lost, want one of the other process", open, lost)
	}
	w.Reset()
	return nil
}

// resetMeanwhile is a Reset in the middle of which the sweep comes to the cell.
func resetMeanwhile(w *WaitGroup, seg *shm.Segment) error {
	dead := uint32(seg.Self()) ^ 1<<20
	w.cells[3].Store(charged(0, dead, 2))
	fault.Call("futexlock.waitgroup.forgets", func() { w.sweep(seg, dead) })
	w.Reset()
	if open, lost := w.Tasks(); open+lost != 0 {
		return fmt.Errorf("%d open, %d lost after Reset", open, lost)
	}
	return nil
}

// waitMeanwhile is a Wait that has counted a lost task when it is forgotten, and
// then the last of the others is done.
func waitMeanwhile(w *WaitGroup) error {
	w.cells[0].Store(charged(0, goneTasks, 1))
	w.Add(1)
	fault.Call("futexlock.waitgroup.counted", func() {
		w.Reset()
		w.Done()
	})
	return w.Wait(context.Background())
}

var meanwhile = procstest.Role("meanwhile", func(context.Context, struct{}) error {
	o, err := shm.New[WaitGroup]()
	if err != nil {
		return err
	}
	defer o.Close()
	w, seg := o.Value(), shm.Find(o.Value())
	done := func() (err error) {
		defer func() {
			if r := recover(); r != nil {
				err = fmt.Errorf("Done: %v", r)
				w.Reset()
			}
		}()
		return doneMeanwhile(w, seg)
	}()
	return errors.Join(done, resetMeanwhile(w, seg), waitMeanwhile(w))
})

func TestWaitGroupMeanwhile(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	// In a process of its own, where points are on from the start.
	if s := meanwhile.Start(t, struct{}{}, procstest.KillAt("futexlock.nowhere", 1)).Wait(); s.Code != 0 {
		t.Error(s)
	}
}
