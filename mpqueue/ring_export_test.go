package mpqueue

import (
	"runtime"
	"sync/atomic"
	"time"

	"shmkit/shm"
)

// RingFaultPoints are the points at which tests kill a process in a ring.
var RingFaultPoints = []string{
	"mpqueue.ring.claimed", "mpqueue.ring.published", "mpqueue.ring.taken",
	"mpqueue.ring.waited", "mpqueue.ring.swept", "mpqueue.signal.pending",
	"shm.sweep.elected", "shm.sweep.released", "shm.attach.claimed",
}

// RingFirst makes a ring whose first item has position p.
func RingFirst(p uint64) Option { return func(o *options) { o.first = p } }

// WaitFences returns when this process publishes by plain stores, if it can.
func WaitFences() {
	if membarrierAllowed() {
		registerInBackground()
	}
	for membarrierAllowed() && !canPublishPlain() {
		time.Sleep(time.Millisecond)
	}
}

// ForbidMembarrier makes this process do without membarrier from now on.
func ForbidMembarrier(on bool) { fences.lacking.Store(on) }

// RingLate returns how many sleeps of this process only their backstop ended,
// though there was something to do: wakes that were lost.
func RingLate[T any](r *Ring[T]) int { return r.c.in.late + r.c.out.late }

// RingPositions returns where the ring in shared memory is.
func RingPositions[T any](r *Ring[T]) (read, write uint64) {
	return r.c.ctl.read.Load(), r.c.ctl.write.Load()
}

// RingNext returns where this process is, as the consumer and as the producer.
func RingNext[T any](r *Ring[T]) (out, in uint64) { return r.c.out.next, r.c.in.next }

// Litmus is the handshake of publisher and sleeper without a ring: a plain store
// and a load on one side, a store, perhaps a fence for the other side, and a load
// here. It returns how many rounds fit into d, and in how many neither saw the
// other's store.
func Litmus(d time.Duration, fence bool) (rounds, blind int) {
	var x, y atomic.Uint64
	var begin, end, seen atomic.Uint64
	const stop = 1 << 63
	go func() {
		runtime.LockOSThread()
		for i := uint64(1); ; i++ {
			for begin.Load() < i {
			}
			if begin.Load() == stop {
				return
			}
			shm.StoreRelease(&x, i)
			saw := y.Load()
			seen.Store(saw)
			end.Store(i)
		}
	}()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	i := uint64(1)
	for begun := time.Now(); time.Since(begun) < d; i++ {
		begin.Store(i)
		for range i % 64 { // the two meet at all distances
			x.Load()
		}
		y.Store(i)
		if fence {
			membarrier()
		}
		saw := x.Load()
		for end.Load() != i {
		}
		if saw != i && seen.Load() != i {
			blind++
		}
	}
	begin.Store(stop)
	return int(i - 1), blind
}

// PlainPublishing reports whether this build and machine publish by plain stores.
func PlainPublishing() bool { return !storeIsFence && membarrierAllowed() }

// DescribeRing returns what the kind of the ring says of it, to people.
func DescribeRing[T any](r *Ring[T]) string { return r.c.describe() }

// FenceInStore makes this process behave as a build whose publishing store is a
// fence: one with -race or purego.
func FenceInStore(on bool) { fences.inStore.Store(on) }

// RingRolesPlain returns whether producer and consumer have said that they publish
// by plain stores.
func RingRolesPlain[T any](r *Ring[T]) (producer, consumer bool) {
	return r.c.ctl.producer.Load()&rolePlain != 0, r.c.ctl.consumer.Load()&rolePlain != 0
}

// PretendPlainProducer makes the producer's role say so.
func PretendPlainProducer[T any](r *Ring[T]) { r.c.ctl.producer.Or(rolePlain) }

// RingAsksForFences reports whether both sides of r execute fences of their own.
func RingAsksForFences[T any](r *Ring[T]) bool {
	return r.c.ctl.sendState.Load()&ringFence != 0 && r.c.ctl.recvState.Load()&ringFence != 0
}

// RingLag is PipeLag for the consumer of r.
func RingLag[T any](r *Ring[T], n int) int {
	if n >= 0 {
		r.c.out.lag = n
	}
	return r.c.out.lag
}

// RingLagAfter returns how long a side of r stands back that has moved on by so many
// items, in so many steps, since it last waited, and stood back for lag then.
func RingLagAfter[T any](r *Ring[T], lag, items, steps int) int {
	s := ringSide{lag: lag, next: uint64(items), more: uint64(items - steps)}
	r.c.standBack(&s)
	return s.lag
}
