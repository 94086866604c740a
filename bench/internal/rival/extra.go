package rival

import "context"

// What follows are abilities that only some ends have. Ask by type assertion.

// A Flusher is a Sender that keeps messages back until many are together.
// Flush sends them now.
type Flusher interface {
	Flush() error
}

// A BatchSender sends several messages with one call.
type BatchSender interface {
	SendBatch(ctx context.Context, ps [][]byte) error
}

// A BatchReceiver receives as many messages as there are, but at least one and
// at most most. Done acknowledges all of them.
type BatchReceiver interface {
	RecvBatch(ctx context.Context, most int) ([][]byte, error)
}

// A Reserver lets the caller write its message where the receiver will read
// it. Every Reserve is followed by a Commit.
type Reserver interface {
	Reserve(ctx context.Context, n int) ([]byte, error)
	Commit() error
}

// Flush sends what the sender may have kept back.
func Flush(s Sender) error {
	if f, ok := s.(Flusher); ok {
		return f.Flush()
	}
	return nil
}
