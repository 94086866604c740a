package mpqueue

import (
	"bytes"

	"shmkit/shm"
)

// getter is one Get that did not succeed at once, or of a message with a length
// of its own.
type getter[T any] struct {
	waiter
	q     *Queue[T]
	value T
}

func (q *Queue[T]) getter() *getter[T] {
	g := &getter[T]{q: q}
	g.waiter = waiter{word: &q.q.notEmpty, spin: &q.q.spinGet, try: g.try, more: q.q.readable, why: ErrEmpty}
	return g
}

func (g *getter[T]) try() (uint64, outcome, error) {
	q := g.q.q
	if q.seg.Closed() {
		return 0, empty, shm.ErrClosed
	}
	d, r, err := q.fetch()
	if err != nil || r != claimed {
		return d.word, r, err
	}
	return 0, claimed, q.consume(d, func(b []byte) { g.value = g.q.decode(b, true) })
}

// decode makes a T of a message. With keep the result does not point into b.
func (q *Queue[T]) decode(b []byte, keep bool) T {
	if q.fixed {
		return *view[T](b)
	}
	if keep {
		b = bytes.Clone(b)
	}
	return fromBytes[T](b)
}

func (g *getter[T]) end(r outcome, err error) error {
	switch {
	case err != nil:
		return err
	case r == empty:
		return ErrEmpty
	case r == busy:
		return ErrBusy
	case r == closed:
		return ErrClosed
	}
	return nil
}
