package mpqueue

import (
	"bytes"
	"encoding/binary"
	"errors"
	"sync"
	"time"

	"shmkit/shm"
)

// letterBox is the way to the dead-letter queue, of one handle.
type letterBox struct {
	mu     sync.Mutex
	to     *core
	closed bool
	// Messages that are to go there when there is room: leased to this process,
	// oldest first.
	parked []leased
	last   time.Time // when it was tried
}

// parkedFor is how long parked messages stay so at least.
const parkedFor = time.Millisecond

// bury ends the life of a message that has been delivered as often as allowed:
//
//	leased to us        killed from here on: another buries it
//	into the letters    killed here: the same, and it is in there twice
//	done
//
// Nothing in here waits: who looks for an item does so for others of its process,
// which stand behind it, and what it is looking for may be the next one. So a
// message for which there is no room stays leased, and goes over when there is.
func (r *receiver) bury(d *delivery) error {
	q := r.q
	used, err := q.lease(d, r.spare)
	r.have = r.have && !used
	if err != nil {
		return err
	}
	l, err := q.held(d)
	if err != nil {
		return err
	}
	q.letter.mu.Lock()
	defer q.letter.mu.Unlock()
	switch {
	case q.letter.closed:
		q.unlease(l.id, l.block, l.word, true)
	case len(q.letter.parked) > 0 || !q.sendLetter(l):
		q.letter.parked = append(q.letter.parked, l)
	}
	return nil
}

// buryParked tries again to bury what there was no room for.
func (q *core) buryParked() {
	t := &q.letter
	if !t.mu.TryLock() {
		return // somebody else is at it
	}
	defer t.mu.Unlock()
	if len(t.parked) == 0 || time.Since(t.last) < parkedFor {
		return
	}
	for len(t.parked) > 0 && q.sendLetter(t.parked[0]) {
		t.parked = t.parked[1:]
	}
	t.last = time.Now()
}

// closeLetters gives back what there was no room for, for others to bury, and
// lets go of the dead-letter queue.
func (q *core) closeLetters() {
	t := &q.letter
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	for _, l := range t.parked {
		if !q.seg.Detached() {
			q.unlease(l.id, l.block, l.word, true)
		}
	}
	t.parked = nil
	if t.to != nil {
		t.to.seg.Close()
	}
}

// sendLetter puts a message that is leased to us into the dead-letter queue and is
// done with it. If that can never be, or there is no such queue, the message is
// dropped and counted: those behind it must not wait for that. It reports false if
// it is to be tried again.
func (q *core) sendLetter(l leased) bool {
	data := bytes.Clone(l.data)
	if q.seg.Detached() {
		return false // it is not what it was, and will be delivered to others
	}
	to, err := q.deadLetters()
	if err == nil && to != nil {
		err = to.tryPut(data)
	}
	switch {
	case err != nil && passes(err):
		return false
	case err != nil || to == nil:
		q.dropped.Add(1)
	}
	q.unlease(l.id, l.block, l.word, planted.letterAgain)
	return true
}

// passes reports whether what failed with err may work later.
func passes(err error) bool {
	for _, e := range []error{ErrFull, ErrBusy, shm.ErrNoSpace, shm.ErrTooManyParticipants, shm.ErrClosed} {
		if errors.Is(err, e) {
			return true // closed: by this process, which lets go of the queue itself, too
		}
	}
	return false
}

// deadLetters returns the dead-letter queue, nil if there is none.
func (q *core) deadLetters() (*core, error) {
	if q.letter.to != nil {
		return q.letter.to, nil
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
	if err == nil && (g.variable != q.geo.variable || !g.variable && g.inline != q.geo.inline) {
		err = corrupt("the geometry of queue", 0, g.inline)
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	q.letter.to = newCore(s, g)
	return q.letter.to, nil
}
