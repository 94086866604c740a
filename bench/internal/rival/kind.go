package rival

import (
	"context"
	"fmt"
	"os"
	"slices"

	"shmkit/mpqueue"
	"shmkit/shm"
)

// A Spec says what a channel must carry.
type Spec struct {
	MaxMessage int    // bytes
	Varied     bool   // messages may be shorter than MaxMessage
	Capacity   int    // messages that may lie in the channel, for those that count messages
	Producers  int    // processes at the sending end
	Consumers  int    // processes at the receiving end
	Mode       string // how an end waits: Block, Spin or Hybrid; for kinds that can choose
}

// How an end waits for the other.
const (
	Block  = "block"  // sleeps at once
	Spin   = "spin"   // never sleeps
	Hybrid = "hybrid" // looks again for a moment, then sleeps
)

// A Kind is one way to hand messages from process to process.
type Kind struct {
	Name  string
	About string // one line: what it is
	// InProcess marks a kind whose ends cannot leave the process that made it.
	InProcess bool

	// Batches and ZeroCopy say that its ends are a BatchSender and BatchReceiver,
	// or a Reserver.
	Batches, ZeroCopy bool
	// Bounded says that Spec.Capacity counts what may lie in it; the room of
	// the others is in bytes, and the kernel's choice.
	Bounded bool
	// ReadsWrites says that its messages move by read and write, which the
	// kernel counts for everybody.
	ReadsWrites bool
	// Modes are those that an end can choose; nil: it blocks.
	Modes []string

	// Skip says why this kind cannot carry the spec here, or "".
	Skip func(Spec) string
	// Make builds a channel, in the launcher.
	Make func(Spec) (*Channel, error)
	// Sender and Receiver open an end of it, in another process. The files
	// are the Channel's SendFiles or ReceiveFiles there.
	Sender   func(Ends, []*os.File) (Sender, error)
	Receiver func(Ends, []*os.File) (Receiver, error)
}

// A Channel is the launcher's grip on what its children talk through.
type Channel struct {
	Ends         Ends
	SendFiles    []*os.File // for producers, as extra files
	ReceiveFiles []*os.File // for consumers, as extra files

	// CloseSend lets go of the sending end. Call it when no producer will come
	// any more; receivers then drain the channel and get io.EOF. A kind that has
	// to send them that waits for room: until ctx ends, for its receivers may be
	// dead.
	CloseSend func(ctx context.Context) error
	// Close frees the channel. It may be called more than once.
	Close func() error
}

// Ends is what another process needs to open an end: plain data and handles,
// to be sent in the arguments of the process. A kind uses the fields it needs.
type Ends struct {
	Spec  Spec
	Locks *shm.Object[Locks]
	Queue *mpqueue.Queue[[]byte]
	Fixed Fixed
	Rings Rings
	Ring  *shm.Segment
	local endMaker // of a kind that cannot leave the process
}

// An endMaker opens the ends of a channel that cannot leave its process.
type endMaker interface {
	sender() Sender
	receiver() Receiver
}

// A Sender is one process's sending end. It belongs to one goroutine.
type Sender interface {
	// Send sends one message. The bytes are the caller's again afterwards.
	Send(ctx context.Context, p []byte) error
	// Close sends what is still buffered and lets go of this process's end.
	Close() error
}

// A Receiver is one process's receiving end. It belongs to one goroutine.
type Receiver interface {
	// Recv returns the next message; io.EOF when there will be none. The bytes
	// are valid until Done.
	Recv(ctx context.Context) ([]byte, error)
	// Done says that the message of the last Recv is dealt with.
	Done() error
	// Redelivered says whether the message of the last Recv had been given to
	// another receiver before, which died.
	Redelivered() bool
	// Close lets go of this process's end.
	Close() error
}

// atOnce is a CloseSend that never waits.
func atOnce(f func() error) func(context.Context) error {
	return func(context.Context) error { return f() }
}

// plain is what a receiver is that knows no acknowledgement: a message is
// gone once it is read.
type plain struct{}

func (plain) Done() error       { return nil }
func (plain) Redelivered() bool { return false }

// All lists every kind, this module's own first.
func All() []Kind {
	return []Kind{MPQueue(), MPFixed(), MPRing(), PipeQueue(), BufPipe(), Pipe(), UnixStream(), SeqPacket(), PosixMQ(), TCP(), EventFD(), GoChannel(), GoFixed()}
}

// Find returns the kind of that name.
func Find(name string) (Kind, error) {
	kinds := All()
	i := slices.IndexFunc(kinds, func(k Kind) bool { return k.Name == name })
	if i < 0 {
		return Kind{}, fmt.Errorf("rival: no kind %q", name)
	}
	return kinds[i], nil
}
