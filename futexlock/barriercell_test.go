package futexlock

import "testing"

// A process reads the state, and before it takes its cell somebody resets the
// barrier and a party of the new epoch takes the same cell: it stays there.
func TestBarrierCellOfALaterEpoch(t *testing.T) {
	var b Barrier
	late := b.state.Load()
	b.state.Store(nextRound(late, true))
	const us, other = 5<<18 | 1, 5<<18 | 2 // two incarnations of one slot begin at one cell
	if !b.join(nil, b.state.Load(), other) || !b.join(nil, late, us) {
		t.Fatal("no cell")
	}
	n := 0
	for i := range b.cells {
		if b.cells[i].Load() == partyCell(b.state.Load(), other) {
			n++
		}
	}
	if n != 1 {
		t.Errorf("the party of the later epoch has %d cells", n)
	}
}
