package rival

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

// GoFixed is a buffered Go channel of values of one length, in the lengths of
// MPFixed: what MPFixed is to MPQueue. The choices: a message lies in the
// channel itself, so there is no buffer and no pool; the channel copies it in
// and out, as a channel of small structs does in any program.
func GoFixed() Kind {
	return Kind{
		Name:      "channel-fixed",
		About:     "a Go channel of fixed-size values in one process",
		InProcess: true,
		Bounded:   true,
		Skip: func(s Spec) string {
			if _, err := choose(s); err != nil { // The lengths are those of MPFixed.
				return err.Error()
			}
			return ""
		},
		Make:     makeGoFixed,
		Sender:   func(e Ends, _ []*os.File) (Sender, error) { return e.local.sender(), nil },
		Receiver: func(e Ends, _ []*os.File) (Receiver, error) { return e.local.receiver(), nil },
	}
}

func makeGoFixed(s Spec) (*Channel, error) {
	if _, err := choose(s); err != nil {
		return nil, err
	}
	switch s.MaxMessage {
	case 8:
		return newFixedChannel[[8]byte](s), nil
	case 64:
		return newFixedChannel[[64]byte](s), nil
	case 1024:
		return newFixedChannel[[1024]byte](s), nil
	default:
		return nil, errors.ErrUnsupported
	}
}

type fixedChannel[T fixed] chan T

func newFixedChannel[T fixed](s Spec) *Channel {
	ch := make(fixedChannel[T], s.Capacity)
	return &Channel{
		Ends:      Ends{Spec: s, local: ch},
		CloseSend: atOnce(sync.OnceValue(func() error { close(ch); return nil })),
		Close:     func() error { return nil },
	}
}

func (ch fixedChannel[T]) sender() Sender     { return &goFixedEnd[T]{ch: ch} }
func (ch fixedChannel[T]) receiver() Receiver { return &goFixedEnd[T]{ch: ch} }

// goFixedEnd is either end.
type goFixedEnd[T fixed] struct {
	plain
	ch chan T
	v  T
}

func (f *goFixedEnd[T]) Send(ctx context.Context, p []byte) error {
	if copy(bytesOf(&f.v), p) != len(p) || len(p) != len(f.v) {
		return fmt.Errorf("rival: a message of %d bytes, not %d", len(p), len(f.v))
	}
	select {
	case f.ch <- f.v:
		return nil
	default:
	}
	select {
	case f.ch <- f.v:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (f *goFixedEnd[T]) Recv(context.Context) ([]byte, error) {
	v, ok := <-f.ch
	if !ok {
		return nil, io.EOF
	}
	f.v = v
	return bytesOf(&f.v), nil
}

func (f *goFixedEnd[T]) Close() error { return nil }
