package mpqueue

import (
	"fmt"

	"shmkit/shm"
)

// Option changes how a queue is made. Options that do not apply to a queue that
// exists already are ignored.
type Option func(*options)

type options struct {
	slotSize int
	maxBytes int64
	first    uint64
	codec    any
	rules    uint64
	tryMost  uint64
	letters  []byte // handle of the dead-letter queue
	letterOf uint64 // hash of its layout
	shm      []shm.Option
}

const (
	defaultSlotSize = 128 - slotHeader
	defaultMaxBytes = 64 << 20
)

func makeOptions(opts []Option) *options {
	o := &options{slotSize: defaultSlotSize, maxBytes: defaultMaxBytes}
	for _, f := range opts {
		f(o)
	}
	return o
}

// WithSlotSize sets how many bytes of a message fit into its slot, for messages
// with lengths of their own (string, []byte); longer ones take a block of the
// arena, which costs two more atomic operations. The default is 112: slot and
// message share two cache lines. It panics if n is negative.
func WithSlotSize(n int) Option {
	if n < 0 {
		panic(fmt.Sprintf("mpqueue: WithSlotSize(%d)", n))
	}
	return func(o *options) { o.slotSize = int(align(uint64(n), 8)) }
}

// WithMaxBytes sets the size of the arena for messages that do not fit their
// slot: the sum of what can be queued and leased at one time, and the largest
// message. The default is 64 MiB. Only what is used takes memory. It panics if n
// is negative.
func WithMaxBytes(n int64) Option {
	if n < 0 {
		panic(fmt.Sprintf("mpqueue: WithMaxBytes(%d)", n))
	}
	return func(o *options) { o.maxBytes = n }
}

// WithSegment passes options to the segment: its mode, how many processes can be
// attached, and so on.
func WithSegment(opts ...shm.Option) Option {
	return func(o *options) { o.shm = append(o.shm, opts...) }
}

// WithCodec sets how values become messages. Without it: types without pointers,
// strings and []byte are stored as they are, types that marshal themselves do
// so, any other type goes through Gob. Every process that opens the queue by its
// name must name the same codec; New and Open panic if c is for another T. Who gets
// the queue as an argument or in a message has the codec with it, if it is Gob,
// JSON, Binary, or one of RegisterCodec.
func WithCodec[T any](c Codec[T]) Option { return func(o *options) { o.codec = c } }

// WithoutSpin makes whoever waits sleep at once. Without it he looks again for up
// to 20 µs first, in which the other side mostly comes: that takes CPU time, and
// saves both sides a system call.
func WithoutSpin() Option { return func(o *options) { o.rules |= ruleSleep } }

// Joinable makes a queue whose items count as unfinished until TaskDone: Python's
// JoinableQueue. Get then keeps a lease on what it returned. It excludes
// AtMostOnce, by which nothing is left to wait for once an item is delivered.
func Joinable() Option { return func(o *options) { o.rules |= ruleJoinable } }

// Delivery says what happens to an item whose consumer died.
type Delivery int

const (
	// AtLeastOnce delivers it again, marked. It is the default.
	AtLeastOnce Delivery = iota
	// AtMostOnce lets it go with its consumer. Receive then returns a copy, and
	// the item is done with at once: it does not count against the capacity.
	AtMostOnce
)

// WithDelivery sets what happens to an item whose consumer died.
func WithDelivery(d Delivery) Option {
	return func(o *options) {
		o.rules &^= ruleAtMostOnce
		if d == AtMostOnce {
			o.rules |= ruleAtMostOnce
		}
	}
}

// WithMaxDeliveries ends the life of an item that kills its consumers: when n of
// them have died with it, it goes to the dead-letter queue, or, if there is none
// that takes it, is dropped and counted in Stats. It panics if n is not 1 to 255.
func WithMaxDeliveries(n int) Option {
	if n < 1 || n > 255 {
		panic(fmt.Sprintf("mpqueue: WithMaxDeliveries(%d): want 1 to 255", n))
	}
	return func(o *options) { o.tryMost = uint64(n) }
}

// WithDeadLetter names the queue for items that were delivered as often as
// WithMaxDeliveries allows. It must hold the same T in the same form; New panics
// otherwise. Whoever would have received the item puts it there, and receives
// the next one.
//
// While the dead-letter queue is full nothing is lost, and nobody waits for that:
// the item stays leased to the process that would have received it, counts against
// the capacity, and goes over when there is room and that process looks for an
// item again, or another one if it dies; until then the queue does not end. What
// the dead-letter queue will never take, because CloseSend was called for it, its
// arena is too small, or nobody has it open any more, is dropped and counted in Stats.
func WithDeadLetter[T any](q *Queue[T]) Option {
	return func(o *options) {
		ref, err := q.q.seg.Reference()
		if err != nil || len(ref) > letterSize-4 {
			panic(fmt.Sprintf("mpqueue: WithDeadLetter: %d bytes of handle, %v", len(ref), err))
		}
		o.letters, o.letterOf = ref, q.contents.layout.Hash
	}
}
