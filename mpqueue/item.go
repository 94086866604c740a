package mpqueue

import (
	"context"

	"shmkit/shm"
)

// Item is an item that Receive has leased to this process. It stays the queue's
// until Done: if this process dies, or closes the queue, it is delivered again,
// marked. An Item may be used by one goroutine at a time.
type Item[T any] struct {
	q     *Queue[T]
	block *block
	word  uint64 // of the block while the lease lasts
	data  []byte
	again bool
}

// Receive leases the oldest item to this process. It waits like Get and returns
// the same errors. Every item must be given back by Done or Requeue; until then
// it counts against the capacity, and a closed queue does not end.
func (q *Queue[T]) Receive(ctx context.Context) (*Item[T], error) {
	r := q.receiver()
	defer r.drop()
	if err := q.q.await(ctx, &r.waiter); err != nil {
		return nil, err
	}
	return r.item, nil
}

// TryReceive is Receive without waiting, as TryGet is Get.
func (q *Queue[T]) TryReceive() (*Item[T], error) {
	r := q.receiver()
	defer r.drop()
	o, err := q.q.attempt(&r.waiter)
	if err := r.end(o, err); err != nil {
		return nil, err
	}
	return r.item, nil
}

// receiver is one Receive. It holds a lease block before it claims, for a slot
// that is claimed must not wait for one.
type receiver[T any] struct {
	getter[T]
	item  *Item[T]
	spare blockID
	have  bool
}

func (q *Queue[T]) receiver() *receiver[T] {
	r := &receiver[T]{getter: getter[T]{q: q}}
	r.waiter = waiter{word: &q.q.notEmpty, spin: &q.q.spinGet, try: r.try, more: q.q.readable, why: ErrEmpty}
	return r
}

func (r *receiver[T]) try() (uint64, outcome, error) {
	q := r.q.q
	if q.seg.Closed() {
		return 0, empty, shm.ErrClosed
	}
	if !r.have {
		id, err := q.allocLease()
		if err == errNoRoom {
			return 0, empty, nil
		}
		if err != nil {
			return 0, empty, err
		}
		r.spare, r.have = id, true
	}
	d, o, err := q.fetch()
	if err != nil || o != claimed {
		r.drop() // nobody keeps one while he waits: others may need it
		return d.word, o, err
	}
	used, err := q.lease(&d, r.spare)
	r.have = r.have && !used
	if err != nil {
		return 0, claimed, err
	}
	i := &Item[T]{q: r.q, block: d.block, word: makeWord(lapOf(d.block.word.Load()), q.self, bLeased), again: d.again}
	if i.data, err = q.contents(&d); err != nil {
		q.unlease(i.block, i.word, false)
		return 0, claimed, err
	}
	r.item = i
	return 0, claimed, nil
}

// drop gives back a lease block that was not used.
func (r *receiver[T]) drop() {
	if q := r.q.q; r.have && !q.seg.Closed() {
		q.freeBlock(q.block(r.spare))
	}
	r.have = false
}

// Value returns the item. For a []byte or a string it is a copy.
func (i *Item[T]) Value() T {
	i.check("Value")
	return i.q.decode(i.data, true)
}

// Bytes returns the memory of the item itself, in the queue: valid until Done,
// and not to be written to.
func (i *Item[T]) Bytes() []byte {
	i.check("Bytes")
	return i.data
}

func (i *Item[T]) check(op string) {
	if i.block == nil {
		panic("mpqueue: " + op + " of an Item that is done")
	}
}

// Redelivered reports whether the item may have been seen before: by a consumer
// that died, closed the queue, or called Requeue.
func (i *Item[T]) Redelivered() bool { return i.again }

// Done says that the item has been dealt with: it will not be delivered again.
// A second Done is ErrDone; shm.ErrClosed if this process has closed the queue,
// which has given the item to others.
func (i *Item[T]) Done() error { return i.finish(false) }

// Requeue gives the item back, to be delivered again before newer ones, marked.
// Errors are those of Done.
func (i *Item[T]) Requeue() error { return i.finish(true) }

func (i *Item[T]) finish(again bool) error {
	if i.block == nil {
		return ErrDone
	}
	if i.q.q.seg.Closed() {
		return shm.ErrClosed
	}
	b := i.block
	i.block, i.data = nil, nil
	return i.q.q.unlease(b, i.word, again)
}
