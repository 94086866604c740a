package mpqueue_test

import (
	"testing"
)

// TestShortOfWrap runs what the other tests run on queues whose words are about
// to wrap: laps, generations of blocks, sequences of the words to sleep on, the
// count of redeliveries. Tests of a few messages begin a few places before the
// wrap, the others 500.
func TestShortOfWrap(t *testing.T) {
	defer func() { wrapping = wraps{} }()
	var sum wraps
	for _, c := range []struct {
		name  string
		short uint64
		test  func(*testing.T)
	}{
		{"first in, first out", 500, TestFirstInFirstOut},
		{"first in, first out", 7, TestFirstInFirstOut},
		{"message sizes", 5, TestMessageSizes},
		{"lease", 1, TestLease},
		{"lease", 3, TestLease},
		{"close", 1, TestCloseSend},
		{"context", 1, TestContext},
		{"codecs", 1, TestCodecs},
		{"failing codec", 2, TestFailingCodec},
		{"any", 5, TestAny},
		{"reserve", 4, TestReserve},
		{"batch", 5, TestBatch},
		{"join", 3, TestJoinable},
		{"growing", 500, TestGrowing},
		{"death and Join", 1, TestJoinDeath},
		{"dead letter", 1, TestDeadLetter},
		{"at most once", 1, TestAtMostOnce},
		{"producers", 1, TestProducers},
		{"linearizable", 20, func(t *testing.T) { linearizable(t, 3) }},
		{"torture", 200, func(t *testing.T) { tortureAll(t, 40) }},
	} {
		if testing.Short() && (c.name == "torture" || c.name == "linearizable") {
			continue
		}
		wrapping = wraps{short: c.short}
		if !t.Run(c.name, c.test) || wrapping.queues == 0 { // not asked for
			return
		}
		w := wrapping
		t.Logf("%s: %d queues, wrapped: laps of %d, epochs of %d, sequences of %d, generations of %d",
			c.name, w.queues, w.laps, w.epochs, w.sequences, w.generations)
		if w.laps == 0 {
			t.Errorf("%s: no queue has come as far as the wrap", c.name)
		}
		sum.epochs += w.epochs
		sum.sequences += w.sequences
		sum.generations += w.generations
	}
	if sum.epochs == 0 || sum.sequences == 0 || sum.generations == 0 {
		t.Errorf("not everything has wrapped somewhere: %+v", sum)
	}
}
