package mpqueue_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"shmkit/mpqueue"
)

// letters is a dead-letter queue of the torture, and who reads it. It is small, so that
// it is full now and then.
type letters struct {
	t    testing.TB
	q    *mpqueue.Queue[[]byte]
	stop context.CancelFunc
	over chan struct{}
	got  map[[2]int]int // line and number: how often
	torn int
}

func newLetters(t testing.TB) *letters {
	ctx, stop := context.WithCancel(background)
	l := &letters{t: t, q: newQueue[[]byte](t, 2, mpqueue.WithMaxBytes(8<<20)), stop: stop, over: make(chan struct{}), got: map[[2]int]int{}}
	go func() {
		defer close(l.over)
		for {
			b, err := l.q.Get(ctx)
			if err != nil {
				return
			}
			l.note(b)
		}
	}()
	return l
}

func (l *letters) note(b []byte) {
	line, n, ok := readMessage(b)
	if !ok {
		l.torn++
		return
	}
	l.got[[2]int{line, n}]++
}

func (l *letters) close() {
	l.stop()
	<-l.over
}

// has reports whether a message has been read.
func (l *letters) has(line, n int) bool { return l != nil && l.got[[2]int{line, n}] > 0 }

// audit holds the dead letters against what was promised: each message that kills its
// consumers is among them, once, after as many deliveries as allowed; no message is both
// done with and there.
func (l *letters) audit(c *chamber) error {
	if l == nil {
		return nil
	}
	l.close()
	for { // those that were there when the reader was stopped
		b, err := l.q.TryGet()
		if err != nil {
			break
		}
		l.note(b)
	}
	led := c.led.Value()
	var missing, early, late, twice int
	poison := map[[2]int]bool{}
	for i := range min(led.poisoned.Load(), poisonMost) {
		w := led.poison[i].Load()
		at := [2]int{int(w >> 28), int(w & (poisonous - 1))}
		cell := led.Lines[at[0]].cells[at[1]].Load()
		deliveries := int(cell&0xff) + int(cell>>8&0xff)
		if w == 0 || poison[at] || cell>>16 != 0 && deliveries+l.got[at] == 0 {
			continue // its producer was killed before it was there
		}
		poison[at] = true
		switch {
		case l.got[at] == 0:
			missing++
		case c.gentle && deliveries < c.deaths:
			early++
		}
		if c.gentle && deliveries > c.deaths {
			late++
		}
	}
	others := 0
	for at, n := range l.got {
		if !poison[at] {
			others++
		}
		twice += n - 1
	}
	mayTwice, mayOthers := 0, 0
	if !c.gentle {
		// Who is killed between the two queues leaves the letter in both; and what the
		// consumers hold that are killed has died once more.
		mayTwice, mayOthers = c.consumersDead, c.consumersDead/c.deaths
	}
	c.past.letters += len(l.got)
	dropped := c.q.Stats().Dropped
	if missing+early+late+l.torn+int(dropped) != 0 || twice > mayTwice || others > mayOthers {
		return fmt.Errorf("of %d messages that kill, %d are not among the %d dead letters, %d came there too early, %d too late; %d letters came twice, at most %d may; %d others, at most %d may; %d torn, %d dropped",
			len(poison), missing, len(l.got), early, late, twice, mayTwice, others, mayOthers, l.torn, dropped)
	}
	return errors.Join(mpqueue.Leaks(l.q)...)
}
