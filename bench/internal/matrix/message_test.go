package matrix

import (
	"strings"
	"testing"
)

var sizes = []int{8, 16, 24, 64, 1 << 10, 64 << 10, 1 << 20, Mixed}

func TestPattern(t *testing.T) {
	for _, size := range sizes {
		p := newPattern(size)
		buf := make([]byte, p.max)
		for seq := range 3000 {
			if size > 1<<10 && seq > 100 {
				break
			}
			m := buf[:p.size(seq)]
			p.build(m, seq%7, seq, seq%3 == 0)
			producer, got, mark, err := p.check(m)
			if err != nil || producer != seq%7 || got != seq || mark != (seq%3 == 0) {
				t.Fatalf("size %d: message %d is %d of %d, %v, %v", size, seq, got, producer, mark, err)
			}
		}
	}
}

// TestPatternFaults holds that a spoilt message is seen, whichever byte it is.
func TestPatternFaults(t *testing.T) {
	for _, size := range []int{16, 64, 200} {
		p := newPattern(size)
		m, other := make([]byte, size), make([]byte, size)
		p.build(m, 1, 5, false)
		for i := range m {
			if i < nameBytes && i != 6 && i != 7 {
				continue // Another number: the tally's business, or the hash's from 16 bytes on.
			}
			for bit := range 8 {
				if i == 6 && bit == 0 {
					continue // The mark.
				}
				m[i] ^= 1 << bit
				if _, _, _, err := p.check(m); err == nil {
					t.Errorf("size %d: bit %d of byte %d flipped, and nobody saw it", size, bit, i)
				}
				m[i] ^= 1 << bit
			}
		}
		p.build(other, 1, 6, false)
		if _, _, _, err := p.check(append(append([]byte(nil), m[:nameBytes]...), other[nameBytes:]...)); err == nil {
			t.Errorf("size %d: the bytes of message 6 under the name of 5, and nobody saw it", size)
		}
		if _, _, _, err := p.check(m[:size-1]); err == nil {
			t.Errorf("size %d: a byte less, and nobody saw it", size)
		}
	}
}

// TestTally holds that what a broken queue does is seen.
func TestTally(t *testing.T) {
	const producers, count = 2, 130
	fill := func(spoil func(a, b *tally) error) error {
		words := producers * tallyWords(count)
		a, b := newTally(make([]uint64, words), producers, count), newTally(make([]uint64, words), producers, count)
		for p := range producers {
			for seq := range count {
				to := a
				if seq%3 == 0 {
					to = b
				}
				if seq == 77 && p == 1 && spoil != nil {
					continue
				}
				if err := to.add(p, seq); err != nil {
					return err
				}
			}
		}
		if spoil != nil {
			if err := spoil(a, b); err != nil {
				return err
			}
		}
		return exactlyOnce([][]uint64{a.bits, b.bits}, producers, count)
	}
	if err := fill(nil); err != nil {
		t.Fatal(err)
	}
	for want, spoil := range map[string]func(a, b *tally) error{
		"lost":       func(a, b *tally) error { return nil },
		"reordered":  func(a, b *tally) error { return a.add(1, 77) },
		"nobody":     func(a, b *tally) error { return a.add(2, 77) },
		"duplicated": func(a, b *tally) error { a.last[1], b.last[1] = 0, 0; a.add(1, 77); return b.add(1, 77) },
	} {
		if err := fill(spoil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}
