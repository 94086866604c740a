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
	value T // if it went through a codec
	done  bool
	leased
}

// Receive leases the oldest item to this process. It waits like Get and returns
// the same errors. Every item must be given back by Done or Requeue; until then
// it counts against the capacity, and a closed queue does not end. Items that
// WithMaxDeliveries gives up are passed over, as by Get.
//
// The Item is a small allocation, and none if the caller keeps it to himself: all
// that stands here is inlined into him.
func (q *Queue[T]) Receive(ctx context.Context) (*Item[T], error) {
	return new(Item[T]).receive(ctx, q)
}

// TryReceive is Receive without waiting, as TryGet is Get.
func (q *Queue[T]) TryReceive() (*Item[T], error) { return new(Item[T]).tryReceive(q) }

func (i *Item[T]) receive(ctx context.Context, q *Queue[T]) (*Item[T], error) {
	i.q = q
	ok, err := q.q.leaseFast(&i.leased)
	if !ok && err == nil && ctx.Err() == nil && q.q.awaitHead() {
		ok, err = q.q.leaseFast(&i.leased)
	}
	if !ok && err == nil {
		i.leased, err = q.q.receiveItem(ctx)
	}
	return i.open(err)
}

func (i *Item[T]) tryReceive(q *Queue[T]) (*Item[T], error) {
	i.q = q
	ok, err := q.q.leaseFast(&i.leased)
	if !ok && err == nil {
		i.leased, err = q.q.tryReceiveItem()
	}
	return i.open(err)
}

// open decodes the item, if there is one and it is to be decoded. What the codec
// cannot decode, or has not the size of a T, is done with.
func (i *Item[T]) open(err error) (*Item[T], error) {
	if c := &i.q.contents; err == nil && c.codec != nil {
		err = i.openCoded()
	} else if err == nil && c.layout.Size != 0 && len(i.data) != c.layout.Size {
		err = i.wrongSize()
	}
	if err != nil {
		return nil, err
	}
	return i, nil
}

func (i *Item[T]) wrongSize() error {
	err := corrupt("a message of bytes", uint64(i.q.contents.layout.Size), uint64(len(i.data)))
	i.Done()
	return err
}

func (i *Item[T]) openCoded() (err error) {
	whole := false
	defer func() { // also if the codec panics
		if !whole {
			i.Done()
		}
	}()
	i.value, err = i.q.decode(i.data)
	whole = err == nil
	return err
}

// Value returns the item, the caller's own.
func (i *Item[T]) Value() T {
	i.check("Value")
	if i.q.contents.codec != nil {
		return i.value
	}
	v, _ := i.q.decode(i.data) // open has seen that it has the size of one
	return v
}

// Bytes returns the memory of the message itself, in the queue: valid until Done,
// and not to be written to. For a T that goes through a codec it is the encoded
// form. On an AtMostOnce queue it is a copy.
func (i *Item[T]) Bytes() []byte {
	i.check("Bytes")
	return i.data
}

func (i *Item[T]) check(op string) {
	if i.done {
		panic("mpqueue: " + op + " of an Item that is done")
	}
}

// Redelivered reports whether the item may have been seen before: by a consumer
// that died, closed the queue, or called Requeue.
func (i *Item[T]) Redelivered() bool { return i.again }

// Done says that the item has been dealt with: it will not be delivered again.
// A second Done is ErrDone; shm.ErrClosed if this process has closed the queue, by
// all its handles, which has given the item to others.
func (i *Item[T]) Done() error { return i.finish(false) }

// Requeue gives the item back, to be delivered again before newer ones, marked.
// Errors are those of Done. On an AtMostOnce queue it drops the item.
func (i *Item[T]) Requeue() error { return i.finish(true) }

func (i *Item[T]) finish(again bool) error {
	if i.done {
		return ErrDone
	}
	if i.q.q.seg.Detached() {
		return shm.ErrClosed
	}
	i.done = true
	b := i.block
	i.block, i.data = nil, nil
	if b == nil {
		return nil // a copy of our own
	}
	return i.q.q.unlease(i.id, b, i.word, again)
}
