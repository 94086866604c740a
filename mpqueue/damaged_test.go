package mpqueue

import (
	"errors"
	"testing"
)

// A count of deaths that nobody can have written, in a queue that delivers at most once:
// no lease block is used that this process does not have.
func TestDeathsOfAnItemDeliveredOnce(t *testing.T) {
	q, err := New[int](2, WithDelivery(AtMostOnce), WithMaxDeliveries(1))
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	for _, receive := range []bool{false, true} {
		q.Put(t.Context(), 7)
		i, _ := q.q.geo.locate(q.q.head.Load())
		q.q.slot(i).meta |= 9 << 32
		v := 0
		if receive {
			item, err := q.TryReceive()
			if err != nil {
				t.Fatal(err)
			}
			v = item.Value()
		} else if v, err = q.tryGetSlow(); err != nil {
			t.Fatal(err)
		}
		if v != 7 || q.Stats().Dropped != 0 {
			t.Errorf("received %v: got %d, %+v", receive, v, q.Stats())
		}
		for _, err := range Leaks(q) {
			t.Error(err)
		}
	}
}

// A message that has not the size of a T, which nobody can have written, is an error
// of Receive, as it is of Get; the queue goes on.
func TestReceiveOfWrongSize(t *testing.T) {
	q, err := New[int](1)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	for _, size := range []int{0, 7} {
		q.Put(t.Context(), -1)
		i, _ := q.q.geo.locate(q.q.head.Load())
		q.q.slot(i).meta = inSlotMeta(size)
		if _, err := q.TryReceive(); !errors.Is(err, ErrCorrupt) {
			t.Errorf("a message of %d bytes: %v", size, err)
		}
		for _, err := range Leaks(q) {
			t.Error(err)
		}
	}
}
