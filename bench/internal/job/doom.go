package job

import (
	"context"
	"math/rand/v2"
	"time"
)

// A Doom is the end of one process: the launcher kills it with -9, some
// moments after it has done so many messages. The process works on until the
// blow comes, so it may fall into any instruction of any operation.
type Doom struct {
	Number int           // from 1; 0: this process may live
	After  int           // messages that the process handles first
	Hold   bool          // stops at its mark and dies there: a consumer with a message in its hands, a producer with files unsent
	Delay  time.Duration // from the mark to the blow
}

// reach tells the launcher that the doomed process has come to its mark.
func (d Doom) reach(c *cell, done int) {
	if d.Number != 0 && done == d.After {
		c.Armed.Store(int64(d.Number))
	}
}

// await is called by a worker that has nothing left to do. One that is doomed
// waits for its end: every kill of the plan takes place.
func (d Doom) await(ctx context.Context, c *cell) error {
	if d.Number == 0 {
		return nil
	}
	c.Armed.Store(int64(d.Number))
	<-ctx.Done()
	return ctx.Err()
}

// Dooms are the kills of one run, by place: Producers[i] are the ends of the
// processes that produce in place i, one after the other.
type Dooms struct {
	Producers, Consumers [][]Doom
}

// killsPerRole is how many producers, and how many consumers, chaos kills.
const killsPerRole = 4

// NewDooms draws the kills of a run from the seed: the same seed, the same
// kills. chunks is what each producer has to send, in all.
func NewDooms(seed int64, shares []int, consumers int) Dooms {
	rng := rand.New(rand.NewPCG(uint64(seed), 0x6b696c6c)) // "kill"
	d := Dooms{Producers: make([][]Doom, len(shares)), Consumers: make([][]Doom, consumers)}
	number, total := 0, 0
	for _, n := range shares {
		total += n
	}
	draw := func(share, kills int) Doom {
		number++
		// Each life is a random part of what is left to do between two kills, so
		// that the last kill too falls into the middle.
		life := max(1, share/(kills+1))
		return Doom{
			Number: number,
			After:  rng.IntN(life) + life/4,
			Delay:  time.Duration(rng.IntN(300)) * time.Microsecond,
		}
	}
	for k := range killsPerRole {
		i := k % len(shares)
		p := draw(shares[i], (killsPerRole+len(shares)-1)/len(shares))
		j := k % consumers
		c := draw(total/consumers, (killsPerRole+consumers-1)/consumers)
		// Every other one waits for the blow: on a fast machine one that works on
		// may have done everything before it falls.
		p.Hold, c.Hold = k%2 == 0, k%2 == 0
		d.Producers[i], d.Consumers[j] = append(d.Producers[i], p), append(d.Consumers[j], c)
	}
	return d
}
