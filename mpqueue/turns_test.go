package mpqueue

import (
	"context"
	"errors"
	"testing"
	"time"
)

// turner is an operation that waits for a place and for a block in turn, so often,
// and from then on for a place.
type turner struct {
	q     *core
	turns int
	said  []bool // of each look, whether its process had said that it waits for what it found missing
	end   context.CancelFunc
}

func (o *turner) try() (uint64, outcome, error) {
	place, room := o.q.notFull.Load()&waited != 0, o.q.roomy.Load()&waited != 0
	takeBack(&o.q.notFull, waited)
	takeBack(&o.q.roomy, waited)
	if n := len(o.said); n == o.turns {
		o.end() // it looks once more when it has slept, and leaves
	} else if n < o.turns && n%2 == 1 {
		o.said = append(o.said, room)
		return 0, noRoom, nil
	}
	o.said = append(o.said, place)
	return 0, full, nil
}

func (o *turner) more() bool { return false }

// Who waits for one thing and for another in turn never sleeps on the word of what it
// does not wait for.
func TestWaitTurns(t *testing.T) {
	for turns := 1; turns < 12; turns++ {
		q, err := New[[]byte](4)
		if err != nil {
			t.Fatal(err)
		}
		q.q.geo.rules |= ruleSleep // no looks that are not followed by a sleep
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		o := &turner{q: q.q, turns: turns, end: cancel}
		if err := q.q.await(ctx, &waiter{word: &q.q.notFull, spin: &q.q.spinPut, op: o, why: ErrFull, size: 1 << 20}); !errors.Is(err, ErrFull) {
			t.Errorf("%d turns: %v", turns, err)
		}
		if n := len(o.said); n < 3 || !o.said[n-2] {
			t.Errorf("%d turns: it slept where nobody would have woken it: %v", turns, o.said)
		}
		cancel()
		q.Close()
	}
}
