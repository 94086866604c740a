package matrix

import "fmt"

// A tally is one consumer's list of what it has received: a bit for each
// message, by producer, and the last number of each producer.
type tally struct {
	count int // messages of each producer
	bits  []uint64
	last  []int
	n     int
}

// tallyWords is how many words the bits of one producer take.
func tallyWords(count int) int { return (count + 63) / 64 }

// newTally makes a tally whose bits are in the given words, which are zero.
func newTally(bits []uint64, producers, count int) *tally {
	t := &tally{count: count, bits: bits, last: make([]int, producers)}
	for i := range t.last {
		t.last[i] = -1
	}
	return t
}

// add notes a message. What a consumer gets of one producer must come in the
// order in which it was sent.
func (t *tally) add(producer, seq int) error {
	if producer >= len(t.last) || seq >= t.count {
		return fmt.Errorf("message %d of producer %d, whom nobody asked to send it", seq, producer)
	}
	if seq <= t.last[producer] {
		return fmt.Errorf("reordered: message %d of producer %d came after %d", seq, producer, t.last[producer])
	}
	t.last[producer] = seq
	t.bits[producer*tallyWords(t.count)+seq/64] |= 1 << (seq % 64)
	t.n++
	return nil
}

// exactlyOnce puts the bits of all consumers together: every message of every
// producer must be with one of them, and with no other.
func exactlyOnce(consumers [][]uint64, producers, count int) error {
	words := tallyWords(count)
	for p := range producers {
		for w := range words {
			all, twice := uint64(0), uint64(0)
			for _, bits := range consumers {
				b := bits[p*words+w]
				twice |= all & b
				all |= b
			}
			want := ^uint64(0)
			if rest := count - w*64; rest < 64 {
				want = 1<<rest - 1
			}
			if twice != 0 {
				return fmt.Errorf("duplicated: a message of producer %d between %d and %d came twice", p, w*64, w*64+63)
			}
			if all != want {
				return fmt.Errorf("lost: messages of producer %d between %d and %d, bits %#x", p, w*64, w*64+63, want&^all)
			}
		}
	}
	return nil
}
