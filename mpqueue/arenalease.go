package mpqueue

import (
	"fmt"

	"shmkit/shm/fault"
)

// allocLease takes a lease block, for an item that is inline in its slot. There are
// more of them than items can be leased: a shortage passes, as soon as one who has
// one in hand uses it or drops it.
func (q *core) allocLease() (blockID, error) {
	for {
		n := q.leasable()
		holder := owner(0)
		for k, at := uint64(0), q.cursor.lease.Load(); k < n; k++ {
			i := (at + k) % n
			h := &q.leases[i]
			w := h.word.Load()
			if stateOf(w) == bFree && q.claimBlock(h, w) {
				q.cursor.lease.Store(i)
				return blockID(i), nil
			}
			if stateOf(w) == bOwned && wordOwner(w) != q.self {
				holder = wordOwner(w)
			}
		}
		if n == uint64(len(q.leases)) {
			return 0, shortage(holder)
		}
		if err := q.growLeases(n); err != nil {
			return 0, err
		}
	}
}

// leasable returns how many lease blocks have memory, and may be in use.
func (q *core) leasable() uint64 { return min(uint64(q.leasing.Load()), uint64(len(q.leases))) }

// startLeasing gives the first lease blocks memory.
func (q *core) startLeasing() error {
	if q.leasing.Load() == 0 {
		return q.growLeases(0)
	}
	return nil
}

// leasesAtFirst is how many lease blocks get memory with the first Receive. A queue
// for a million items, of which ten are leased at a time, needs no more.
const leasesAtFirst = 256

// dropSpare gives back a lease block that was not used.
func (q *core) dropSpare(b blockID) {
	q.freeBlock(&q.leases[b])
	if q.spare.Load()&waited != 0 {
		signalAll(&q.spare)
	}
}

// growLeases gives more lease blocks memory: as many again as have it. First the
// memory, then the number: who sees the number can use them. Killed in between, or
// while another does the same, it leaves memory that the next one asks for again.
func (q *core) growLeases(have uint64) error {
	want := min(max(2*have, leasesAtFirst), uint64(len(q.leases)))
	if fault.Enabled && planted.countFirst {
		q.countLeasable(want)
		fault.Point("mpqueue.lease.reserved")
	}
	from, to := q.geo.leaseOff+have*blockHeader, q.geo.leaseData+want*q.geo.leaseStride()
	if want < uint64(len(q.leases)) || have > 0 { // headers and data on their own
		if err := q.seg.Reserve(int(from), int((want-have)*blockHeader)); err != nil {
			return fmt.Errorf("mpqueue: %w", err)
		}
		from = q.geo.leaseData + have*q.geo.leaseStride()
	}
	if err := q.seg.Reserve(int(from), int(to-from)); err != nil {
		return fmt.Errorf("mpqueue: %w", err)
	}
	if fault.Enabled && !planted.countFirst {
		fault.Point("mpqueue.lease.reserved")
	}
	q.countLeasable(want)
	return nil
}

// countLeasable says that so many lease blocks have memory, if not more have.
func (q *core) countLeasable(n uint64) {
	for v := q.leasing.Load(); uint64(v) < n && !q.leasing.CompareAndSwap(v, uint32(n)); v = q.leasing.Load() {
	}
}
