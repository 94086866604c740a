package mpqueue

import (
	"encoding/binary"
	"fmt"

	"shmkit/shm"
)

// bury ends the life of a message that has been delivered as often as allowed:
// leased to us, it is put into the dead-letter queue, and then done. If we die in
// between, or ctx ends, it is delivered again, to be buried by another; it can
// be in the dead-letter queue twice then, never lost.
func (r *receiver) bury(d *delivery) error {
	q := r.q
	used, err := q.lease(d, r.spare)
	if used {
		r.have = false
		if id, e := q.allocLease(); e == nil {
			r.spare, r.have = id, true
		} else if err == nil {
			err = e
		}
	}
	if err != nil {
		return err
	}
	word := makeWord(lapOf(d.block.word.Load()), q.self, bLeased)
	b, err := q.contents(d)
	if err == nil {
		var letters *core
		if letters, err = q.deadLetters(); err == nil && letters != nil {
			err = letters.put(r.ctx, b)
		} else if err == nil {
			q.dropped.Add(1)
		}
	}
	if err != nil {
		q.unlease(d.id, d.block, word, true)
		return fmt.Errorf("mpqueue: dead letter: %w", err)
	}
	return q.unlease(d.id, d.block, word, false)
}

// deadLetters returns the dead-letter queue, nil if there is none.
func (q *core) deadLetters() (*core, error) {
	q.lettersMu.Lock()
	defer q.lettersMu.Unlock()
	if q.letterCore != nil {
		return q.letterCore, nil
	}
	n := binary.LittleEndian.Uint32(q.control.letters[:])
	if n == 0 {
		return nil, nil
	}
	if n > letterSize-4 {
		return nil, corrupt("the dead-letter handle", 0, uint64(n))
	}
	s, err := shm.Decode(append([]byte(nil), q.control.letters[4:4+n]...), shm.WithKind(KindQueue))
	if err != nil {
		return nil, err
	}
	g, err := readGeometry(s)
	if err == nil && g.variable != q.geo.variable {
		err = corrupt("the geometry of queue", 0, g.inline)
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	q.letterCore = newCore(s, g)
	return q.letterCore, nil
}
