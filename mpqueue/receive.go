package mpqueue

import (
	"context"

	"shmkit/shm"
)

// receiver is one get, or, if item is to be filled, one Receive. It holds a lease
// block before it claims, for a slot that is claimed must not wait for one.
type receiver struct {
	q     *core
	read  func([]byte) // of a get
	lease bool
	item  leased
	spare blockID
	have  bool
}

// leased is a message that this process has on lease.
type leased struct {
	id    blockID
	block *block
	word  uint64 // of the block while the lease lasts
	data  []byte
	again bool
}

func (q *core) receive(ctx context.Context, r *receiver) error {
	if _, o, err := r.try(); o == claimed || err != nil {
		r.drop()
		return err
	}
	defer r.drop()
	return q.await(ctx, &waiter{word: &q.notEmpty, spin: &q.spinGet, op: r, why: ErrEmpty})
}

// receiveItem leases the oldest item.
func (q *core) receiveItem(ctx context.Context) (leased, error) {
	r := receiver{q: q, lease: true}
	err := q.receive(ctx, &r)
	return r.item, err
}

func (q *core) tryReceiveItem() (leased, error) {
	r := receiver{q: q, lease: true}
	err := q.tryReceive(&r)
	return r.item, err
}

func (q *core) tryReceive(r *receiver) error {
	word, o, err := r.try()
	if o.unfinished() && err == nil {
		slow := *r // moves to the heap here
		o, err = q.linger(&slow, word)
		*r = slow
	}
	r.drop()
	if o == closed && err == nil {
		return q.endError()
	}
	return tryError(o, err)
}

func (r *receiver) try() (uint64, outcome, error) {
	q := r.q
	if q.seg.Closed() {
		return 0, empty, shm.ErrClosed
	}
	if q.geo.tryMost != 0 {
		q.buryParked()
	}
	for {
		if q.geo.rules&ruleAtMostOnce == 0 && (r.lease || q.geo.tryMost != 0) && !r.have {
			id, err := q.allocLease()
			if s, short := err.(shortage); short {
				return s.blocking(), noSpare, nil
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
		if r.have && q.geo.tryMost != 0 && uint64(d.tries) >= q.geo.tryMost {
			if err := r.bury(&d); err != nil {
				return 0, claimed, err
			}
			continue
		}
		if !r.lease {
			return 0, claimed, q.consume(d, r.read)
		}
		return 0, claimed, r.keep(&d)
	}
}

// keep makes the item of a Receive.
func (r *receiver) keep(d *delivery) error {
	q := r.q
	if q.geo.rules&ruleAtMostOnce != 0 {
		// Nobody else will see it again: a copy in our own memory will do.
		i := leased{again: d.again}
		err := q.consume(*d, func(b []byte) { i.data = append([]byte{}, b...) })
		r.item = i
		return err
	}
	used, err := q.lease(d, r.spare)
	r.have = r.have && !used
	if err != nil {
		return err
	}
	r.item, err = q.held(d)
	return err
}

// held is the message of d, which has been leased.
func (q *core) held(d *delivery) (leased, error) {
	l := leased{id: d.id, block: d.block, word: makeWord(lapOf(d.block.word.Load()), q.self, bLeased), again: d.again}
	var err error
	if l.data, err = q.contents(d); err != nil {
		q.unlease(l.id, l.block, l.word, false)
	}
	return l, err
}

func (r *receiver) more() bool { return r.q.readable() }

// drop gives back a lease block that was not used.
func (r *receiver) drop() {
	if r.have && !r.q.seg.Detached() {
		r.q.dropSpare(r.spare)
	}
	r.have = false
}
