package shm

import (
	"sync/atomic"

	"shmkit/shm/fault"
	"shmkit/shm/internal/sys"
)

var _ = fault.Declare("shm.confirm.asked")

// Participant describes a process that is, or was, attached to a segment. It
// is for people: between the look and the use everything may have changed.
type Participant struct {
	Token Token
	PID   int    // as its own pid namespace sees it
	Name  string // of the process, see SetProcessName
	State string // "live", "claiming", "dead", "free"
	Self  bool
}

// processName is what the participant table shows for this process.
var processName atomic.Pointer[string]

// SetProcessName sets the name that participant tables show for this process,
// in segments attached so far and from now on; at most 63 bytes are kept.
func SetProcessName(name string) {
	processName.Store(&name)
	registry.mu.Lock()
	defer registry.mu.Unlock()
	for _, c := range registry.byIno {
		writeName(&c.table[c.me-1], &name)
	}
}

var stateNames = [...]string{"free", "claiming", "live", "dead"}

func (c *core) participant(i int) Participant {
	s := c.slot(i)
	st := s.status.Load() // pairs with the store in join
	p := Participant{
		Token: makeToken(i, statusInc(st)),
		PID:   int(s.pid.Load()),
		Name:  readName(s),
		State: "corrupt",
		Self:  i == c.me && c.self != nobody,
	}
	if k := statusState(st); int(k) < len(stateNames) {
		p.State = stateNames[k]
	}
	return p
}

// slotOf returns the slot that t names, or nil if t names none: a token read
// from shared memory may be anything.
func (c *core) slotOf(t Token) *slot {
	if i := t.Slot(); t&TokenMask != nobody && i <= len(c.table) {
		return c.slot(i)
	}
	return nil
}

// slot returns slot i, the visitor's if i is 0.
func (c *core) slot(i int) *slot {
	if i == 0 {
		return c.visitor
	}
	return &c.table[i-1]
}

// dead answers from memory alone whether t is dead and quiescent.
func (c *core) dead(t Token) bool {
	s := c.slotOf(t)
	if s == nil {
		return true // nobody ever held such a token
	}
	st := s.status.Load()
	if statusInc(st) != t.Incarnation() {
		return true // swept and given to somebody else
	}
	k := statusState(st)
	return k == slotDead || k == slotFree || c.ghostly && t == c.self
}

// dying reports whether the live word of t has been rung and quiescence is
// still to be proved.
func (c *core) dying(t Token) bool {
	s := c.slotOf(t)
	return s != nil && s.live.Load()&liveDied != 0 && !c.dead(t)
}

// confirm asks the kernel whether t is dead and quiescent, and notes a yes in
// the table for everybody.
func (c *core) confirm(t Token) bool {
	if c.dead(t) {
		return true
	}
	if t == c.self {
		return false
	}
	s := c.slotOf(t)
	// First the status, then the lock: the lock was taken before this status
	// was written, so finding it free means that this incarnation let go.
	if fault.Enabled {
		fault.Point("shm.confirm.asked")
	}
	st := s.status.Load()
	if k := statusState(st); statusInc(st) != t.Incarnation() || k == slotDead || k == slotFree {
		return true // settled meanwhile; a free slot must not become dead again
	}
	held, err := sys.BytesHeld(c.file, lockBase+int64(t.Slot()), 1)
	if err != nil {
		return false // without an answer from the kernel nobody is dead
	}
	// Who holds its lock may yet be past its last store. That costs a look
	// at every thread, so only if the bell says so, or there is no bell. And
	// only of one that has become live: before, bell, pid and start are those
	// of whoever had the slot last, who may well have stopped.
	if l := s.live.Load(); held && (statusState(st) != slotLive || l != 0 && l&liveDied == 0 || !s.stopped()) {
		return false
	}
	s.status.CompareAndSwap(st, statusOf(t.Incarnation(), slotDead))
	return c.dead(t)
}

// stopped reports whether every thread of the process in s has entered exit. A
// large process holds its byte lock until its memory is torn down, 50 ms for
// each GiB; its threads are past their last store long before.
//
// The process must be visible here under its own pid: same pid namespace, same
// start time. A process that is being killed starts no new threads, so if as
// many are listed as there were before, none is missing from the list: the
// kernel can leave some out when others end while it is being read.
func (s *slot) stopped() bool {
	me := self()
	pid, start := int(s.pid.Load()), s.start.Load()
	if me.pidns == 0 || s.pidns.Load() != me.pidns || pid == 0 || start == 0 {
		return false
	}
	p, err := sys.Stat(pid, 0)
	if err != nil || p.Start != start || !p.Exiting() {
		return false
	}
	tids, err := sys.Tasks(pid)
	if err != nil || len(tids) < p.Threads {
		return false
	}
	for _, tid := range tids {
		p, err := sys.Stat(pid, tid)
		if err != nil || !p.Exiting() {
			return false
		}
	}
	return true
}
