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
