package mpqueue

import (
	"fmt"
	"strings"

	"shmkit/shm"
)

// describe says for people what goes on in the queue of s: how much is in it, who
// is at it now, who waits.
//
//	3 of 10 items, 1 leased by cook-1 (pid 12), waiter-2 (pid 14) writes position 7, consumers sleep
func describe(s *shm.Segment) string {
	q, err := over(s)
	if err != nil {
		return err.Error()
	}
	parts := []string{fmt.Sprintf("%d of %d items", q.length(), q.geo.capacity)}
	for i := 1; i <= s.Slots(); i++ {
		if n := s.Cell(i, cellLeases).Load(); n != 0 {
			parts = append(parts, fmt.Sprintf("%d leased by %s", n, nameOf(s, s.Current(i))))
		}
		if n := s.Cell(i, cellReserved).Load(); n != 0 {
			parts = append(parts, fmt.Sprintf("%d reserved by %s", n, nameOf(s, s.Current(i))))
		}
		if s.Cell(i, cellProducers).Load() != 0 {
			parts = append(parts, nameOf(s, s.Current(i))+" is registered as a producer")
		}
	}
	parts = append(parts, q.inProgress()...)
	for _, w := range []struct {
		v    uint32
		what string
	}{{q.notEmpty.Load(), "consumers sleep"}, {q.notFull.Load(), "producers sleep"},
		{q.roomy.Load(), "producers wait for memory"}, {q.spare.Load(), "somebody waits for a lease block"}, {q.idle.Load(), "somebody is in Join"}} {
		if w.v&waited != 0 {
			parts = append(parts, w.what)
		}
	}
	switch q.control.closed.Load() {
	case 0:
	case closedByDeath:
		parts = append(parts, "closed", "abandoned")
	default:
		parts = append(parts, "closed")
	}
	return strings.Join(parts, ", ")
}

// mostDescribed is how many operations in progress are listed.
const mostDescribed = 8

// inProgress names who has claimed a slot and not finished, and what is to be
// delivered again.
func (q *core) inProgress() (parts []string) {
	end := q.claimedEnd()
	var more, again uint64
	for p, _, _ := q.unreleased(end); p != end; p++ {
		i, lap := q.geo.locate(p)
		w := q.slot(i).word.Load()
		if lapsAhead(w, lap) != 0 {
			continue
		}
		doing := ""
		switch stateOf(w) {
		case writing:
			doing = "writes"
		case reading:
			doing = "reads"
		case orphan:
			again++
		}
		if doing == "" {
			continue
		}
		if len(parts) == mostDescribed {
			more++
			continue
		}
		t, same := wordOwner(w).token(q.seg)
		who := "somebody who is gone"
		if same {
			who = nameOf(q.seg, t)
		}
		parts = append(parts, fmt.Sprintf("%s %s position %d", who, doing, p))
	}
	if more > 0 {
		parts = append(parts, fmt.Sprintf("%d more operations in progress", more))
	}
	if q.orphans.Load() != 0 {
		_, n := q.countLeases()
		again += n
	}
	if again > 0 {
		parts = append(parts, fmt.Sprintf("%d to be delivered again", again))
	}
	return parts
}

// nameOf is a participant for people.
func nameOf(s *shm.Segment, t shm.Token) string {
	p, ok := s.Participant(t)
	if !ok {
		return "participant " + t.String()
	}
	dead := ""
	if !s.Alive(t) {
		dead = ", dead"
	}
	if p.Name == "" {
		return fmt.Sprintf("pid %d%s", p.PID, dead)
	}
	return fmt.Sprintf("%s (pid %d%s)", p.Name, p.PID, dead)
}

// counters are what shmctl top shows the growth of.
func counters(s *shm.Segment) []shm.Counter {
	q, err := over(s)
	if err != nil {
		return nil
	}
	end := q.claimedEnd()
	h, _, _ := q.unreleased(end)
	return []shm.Counter{
		{Name: "puts", Value: end - q.geo.first}, {Name: "gets", Value: h - q.geo.first},
		{Name: "redelivered", Value: q.redelivered.Load()}, {Name: "aborted", Value: q.aborted.Load()},
		{Name: "dropped", Value: q.dropped.Load()},
	}
}
