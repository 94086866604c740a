package rival

import (
	"context"
	"io"
	"os"
	"sync"
)

// GoChannel is a buffered Go channel inside one process: no rival among
// processes, but the limit of convenience. The choices: each message is copied
// into a buffer of its own, since its receiver keeps it until Done; buffers
// are used again through a sync.Pool. GoFixed needs none of that.
func GoChannel() Kind {
	return Kind{
		Name:      "channel",
		About:     "a Go channel in one process: the limit of convenience",
		InProcess: true,
		Bounded:   true,
		Skip:      func(Spec) string { return "" },
		Make: func(s Spec) (*Channel, error) {
			c := &goChannel{ch: make(chan *[]byte, s.Capacity)}
			c.pool.New = func() any { b := make([]byte, 0, s.MaxMessage); return &b }
			return &Channel{
				Ends:      Ends{Spec: s, local: c},
				CloseSend: atOnce(sync.OnceValue(func() error { close(c.ch); return nil })),
				Close:     func() error { return nil },
			}, nil
		},
		Sender:   func(e Ends, _ []*os.File) (Sender, error) { return e.local.sender(), nil },
		Receiver: func(e Ends, _ []*os.File) (Receiver, error) { return e.local.receiver(), nil },
	}
}

type goChannel struct {
	ch   chan *[]byte
	pool sync.Pool
}

func (c *goChannel) sender() Sender     { return c }
func (c *goChannel) receiver() Receiver { return &goReceiver{c: c} }

func (c *goChannel) Send(ctx context.Context, p []byte) error {
	b := c.pool.Get().(*[]byte)
	*b = append((*b)[:0], p...)
	select {
	case c.ch <- b:
		return nil
	default:
	}
	select {
	case c.ch <- b:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *goChannel) Close() error { return nil }

type goReceiver struct {
	c   *goChannel
	msg *[]byte
}

func (r *goReceiver) Recv(context.Context) ([]byte, error) {
	b, ok := <-r.c.ch
	if !ok {
		return nil, io.EOF
	}
	r.msg = b
	return *b, nil
}

func (r *goReceiver) Done() error { r.c.pool.Put(r.msg); return nil }

func (r *goReceiver) Redelivered() bool { return false }

func (r *goReceiver) Close() error { return nil }
