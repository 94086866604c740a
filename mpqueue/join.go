package mpqueue

import (
	"context"
	"errors"
	"slices"
	"sync"

	"shmkit/shm"
)

// tasks are the items of a Joinable queue that Get has returned in this process
// and TaskDone has not been called for, oldest first.
type tasks struct {
	mu   sync.Mutex
	open []leased

	// Guarded by tasksOfAll.
	key     tasksKey
	handles int          // of this process
	left    *shm.Segment // of the last one that was closed
}

// tasksOfAll holds the tasks of each Joinable queue that this process has handles
// of: they belong to the process, whichever handle it got them by. The token tells
// them from those of an earlier time.
var tasksOfAll struct {
	sync.Mutex
	of   map[tasksKey]*tasks
	left []*tasks // without a handle, but the process was still attached
}

type tasksKey struct {
	id   shm.ID
	self shm.Token
}

// tasksOf returns the tasks of the queue in s, for one more handle.
func tasksOf(s *shm.Segment) *tasks {
	all := &tasksOfAll
	all.Lock()
	defer all.Unlock()
	dropTasks()
	if all.of == nil {
		all.of = map[tasksKey]*tasks{}
	}
	key := tasksKey{s.ID(), s.Self()}
	t := all.of[key]
	if t == nil {
		t = &tasks{key: key}
		all.of[key] = t
	}
	t.handles++
	return t
}

// leaveTasks ends the part of one handle, that of s, which has been closed. The tasks
// stay if s was not the last one of the process: another may be just being opened, and
// what is leased is the process's until it lets go of the memory.
func leaveTasks(s *shm.Segment, t *tasks) {
	all := &tasksOfAll
	all.Lock()
	defer all.Unlock()
	dropTasks()
	if t.handles--; t.handles > 0 {
		return
	}
	t.left = s
	all.left = append(all.left, t)
	dropTasks()
}

// dropTasks forgets the tasks that nobody can call TaskDone for any more. The caller
// holds tasksOfAll.
func dropTasks() {
	all := &tasksOfAll
	all.left = slices.DeleteFunc(all.left, func(t *tasks) bool {
		if t.handles == 0 && t.left.Detached() {
			delete(all.of, t.key)
			return true
		}
		return t.handles > 0 // there is another handle now
	})
}

// getTask turns what Receive returned into what Get returns.
func (q *Queue[T]) getTask(i *Item[T], err error) (v T, _ error) {
	if err != nil {
		return v, err
	}
	v = i.Value() // first: once it is in the list, the TaskDone of others may be for it
	t := q.q.tasks
	t.mu.Lock()
	t.open = append(t.open, i.leased)
	t.mu.Unlock()
	return v, nil
}

// TaskDone says that the oldest item that Get has returned in this process is
// dealt with. Items of Receive are counted by their Done. Items of a process that
// dies before are delivered again, so Join neither hangs nor returns early. It
// panics if Get has returned none, or the queue is not Joinable.
func (q *Queue[T]) TaskDone() {
	if q.q.geo.rules&ruleJoinable == 0 {
		panic("mpqueue: TaskDone on a queue that is not Joinable")
	}
	t := q.q.tasks
	t.mu.Lock()
	if len(t.open) == 0 {
		t.mu.Unlock()
		panic("mpqueue: TaskDone without an item that Get has returned in this process")
	}
	l := t.open[0]
	t.open = t.open[1:]
	t.mu.Unlock()
	if l.block != nil && !q.q.seg.Detached() {
		q.q.unlease(l.id, l.block, l.word, false)
	}
}

// Join waits until every item that has been put is dealt with: Python's join. It
// returns ctx's error, or shm.ErrClosed. It panics if the queue is not Joinable.
func (q *Queue[T]) Join(ctx context.Context) error {
	if q.q.geo.rules&ruleJoinable == 0 {
		panic("mpqueue: Join on a queue that is not Joinable")
	}
	c := q.q
	for {
		v := setWaited(&c.idle)
		if c.seg.Closed() { // memory that is let go of looks finished
			return shm.ErrClosed
		}
		if c.finished() && !c.seg.Detached() {
			shm.RaceAcquire(&c.idle)
			return nil
		}
		switch c.seg.Sleep(ctx, &c.idle, v, 0) {
		case shm.Cancelled:
			if c.finished() && !c.seg.Detached() {
				shm.RaceAcquire(&c.idle)
				return nil
			}
			return errors.Join(errors.New("mpqueue: join"), ctx.Err())
		case shm.Closed:
			return shm.ErrClosed
		case shm.Timeout:
			c.seg.Sweep()
		}
	}
}

// finished reports whether at some moment of the call no item was in the queue,
// leased, or to be delivered again: the ring was empty, then nothing was out of
// it, and nothing has been put in between.
func (q *core) finished() bool {
	end := q.claimedEnd()
	if p, _, _ := q.unreleased(end); p != end {
		return false
	}
	if q.reserved() != 0 {
		return false
	}
	if out, _ := q.countLeases(); out != 0 {
		return false
	}
	return q.claimedEnd() == end
}

// allDone is finished by the counts: worth the wake of who is in Join. Whoever
// deals with the last item sees all the others dealt with; that is why every item
// looks, after it has been counted out.
func (q *core) allDone() bool {
	if q.leased() != 0 || q.reserved() != 0 {
		return false
	}
	end := q.claimedEnd()
	p, _, _ := q.unreleased(end)
	return p == end
}

// claimedEnd returns the first position that no producer has claimed.
func (q *core) claimedEnd() uint64 {
	p := q.tail.Load()
	if h := q.control.tail.Load(); int64(h-p) > 0 {
		p = h
	}
	for probes := uint64(0); ; probes++ {
		i, lap := q.geo.locate(p)
		w := q.slot(i).word.Load()
		d := lapsAhead(w, lap)
		if d < 0 || d == 0 && (stateOf(w) == free || stateOf(w) == sealed) || probes > q.geo.searchMost() {
			return p
		}
		if d > 1 {
			p += uint64(d-1) * q.geo.capacity
		}
		p++
	}
}
