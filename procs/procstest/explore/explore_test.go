package explore

import "testing"

// A counter that two processes raise: by one step, or by a load and a store; and
// one who waits until it is two.
type counter struct {
	torn, deaf bool
	n          int8
	pc, seen   [2]int8
	kills      int8
	asleep     bool
}

func (c counter) Moves(yield func(string, Kind, counter)) {
	for i, pc := range c.pc {
		n := c
		switch {
		case pc == 0 && c.torn:
			n.seen[i], n.pc[i] = c.n, 1
			yield("load", Step, n)
		case pc == 0:
			n.n, n.pc[i] = c.n+1, 2
			yield("add", Step, n)
		case pc == 1:
			n.n, n.pc[i], n.seen[i] = c.seen[i]+1, 2, 0
			yield("store", Step, n)
		}
		if c.kills > 0 && pc < 2 {
			n := c
			n.kills, n.pc[i], n.seen[i] = c.kills-1, 3, 0
			yield("kill", Kill, n)
		}
	}
	if c.asleep && c.n == 2 {
		n := c
		n.asleep = false
		kind := Step
		if c.deaf {
			kind = Backstop
		}
		yield("wake", kind, n)
	}
}

func (c counter) Finished() bool { return c.pc[0] > 1 && c.pc[1] > 1 && !c.asleep }
func (c counter) Excused() bool  { return false }

func (c counter) Wrong() string {
	if c.pc == [2]int8{2, 2} && c.n != 2 {
		return "an update was lost"
	}
	return ""
}

func TestWalk(t *testing.T) {
	Hold(t, counter{}, 100)
	Hold(t, counter{asleep: true}, 100)
	Fail(t, counter{torn: true}, 100, "an update was lost")
	Fail(t, counter{asleep: true, deaf: true}, 100, "a lost wake")
	Fail(t, counter{asleep: true, kills: 2}, 100, "a lost wake")
	Fail(t, counter{kills: 1}, 2, "more than 2 states")
	Hold(t, counter{kills: 2}, 100)
	// Who may wait for a backstop and never gets one does not finish.
	Fail(t, stray(0), 100, "never all finish")
}

// stray walks in a circle.
type stray int8

func (s stray) Moves(yield func(string, Kind, stray)) { yield("on", Step, (s+1)%3) }
func (s stray) Wrong() string                         { return "" }
func (s stray) Finished() bool                        { return false }
func (s stray) Excused() bool                         { return false }
