package mpqueue_test

import (
	"fmt"
	"slices"
	"time"
)

// tally is what happened.
type tally struct {
	kills, recoverers, stops               int
	messages, deliveries, redelivered, cut int
	letters                                int
	recovery                               []time.Duration
}

func (a *tally) add(b tally) {
	a.kills += b.kills
	a.recoverers += b.recoverers
	a.stops += b.stops
	a.messages += b.messages
	a.deliveries += b.deliveries
	a.redelivered += b.redelivered
	a.cut += b.cut
	a.letters += b.letters
	a.recovery = append(a.recovery, b.recovery...)
}

func (a tally) String() string {
	return fmt.Sprintf("%d killed, %d of them recoverers; %d stopped; %d messages, %d deliveries, %d redelivered, %d cut off in Put; %d dead letters",
		a.kills, a.recoverers, a.stops, a.messages, a.deliveries, a.redelivered, a.cut, a.letters)
}

func (a tally) quantile(q float64) time.Duration {
	if len(a.recovery) == 0 {
		return 0
	}
	slices.Sort(a.recovery)
	return a.recovery[int(q*float64(len(a.recovery)-1))]
}

// audit holds every message against what was promised.
func (c *chamber) audit() error {
	led := c.led.Value()
	var lost, twice, repeated, invented, holes int
	for p := range c.producers {
		l := &led.Lines[p]
		sent := int(l.committed.Load())
		cut, missing := 0, false // mark of the messages that were cut off together; one of them is not there
		for n := range min(sent+100, perLine) {
			cell := l.cells[n].Load()
			f, a, u := int(cell&0xff), int(cell>>8&0xff), int(cell>>16)
			there := f+a > 0 || c.dead.has(p, n)
			switch {
			case n >= sent:
				invented += f + a
				continue
			case f > 1:
				twice++
			case !there && u == 0:
				lost++
			}
			if u != cut {
				cut, missing = u, false
			}
			if u != 0 {
				c.past.cut++
				missing = missing || !there
				if missing && there {
					holes++
				}
			}
			repeated += a
			c.past.messages++
		}
	}
	c.past.deliveries, c.past.redelivered = int(led.received.Load()), repeated
	disorder, torn := int(led.disorder.Load()), int(led.torn.Load())
	may, mayLose := c.consumersDead+int(led.requeued.Load()), 0
	switch {
	case c.once:
		may, mayLose, holes = 0, c.consumersDead, 0 // one at a time, and it goes with its process
	case c.gets:
		// What Get has taken goes with its process; if that dies before, Get does not
		// say that it delivers again.
		may, mayLose, holes = 0, c.consumersDead*getMost, 0
		disorder = max(disorder-c.consumersDead, 0)
	}
	if lost > mayLose || repeated > may || twice+invented+torn+disorder+holes != 0 {
		return fmt.Errorf("%d lost, at most %d may be; %d delivered again, at most %d may be; %d delivered twice unmarked, %d torn, %d out of order, %d never put, %d after a gap in their batch",
			lost, mayLose, repeated, may, twice, torn, disorder, invented, holes)
	}
	return nil
}
