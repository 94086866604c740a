package rival

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// PosixMQ is a POSIX message queue, the kernel's own queue of messages. The
// choices:
//
//   - Messages and their sizes are limited to what the machine allows any user
//     (fs.mqueue.msg_max and msgsize_max, 10 and 8 KiB as a rule).
//   - It has no end of stream: an empty message for each consumer says it. If
//     the consumers died in front of a full queue there is never room for that,
//     so whoever sends it looks at its context from time to time.
func PosixMQ() Kind {
	return Kind{
		Name:    "posixmq",
		Bounded: true,
		About:   "a POSIX message queue",
		Skip: func(s Spec) string {
			most, size := mqLimits()
			if most == 0 {
				return "no POSIX message queues here"
			}
			if s.MaxMessage > size {
				return fmt.Sprintf("a message has at most %d bytes here", size)
			}
			return ""
		},
		Make:   makeMQ,
		Sender: func(_ Ends, files []*os.File) (Sender, error) { return mqSender{files[0]}, nil },
		Receiver: func(e Ends, files []*os.File) (Receiver, error) {
			return &mqReceiver{file: files[0], buf: make([]byte, max(1, e.Spec.MaxMessage))}, nil
		},
	}
}

func makeMQ(s Spec) (*Channel, error) {
	most, _ := mqLimits()
	f, err := mqOpen(min(max(1, s.Capacity), most), max(1, s.MaxMessage))
	if err != nil {
		return nil, err
	}
	files, left := []*os.File{f}, s.Consumers // left: end marks to send
	return &Channel{
		Ends: Ends{Spec: s}, SendFiles: files, ReceiveFiles: files,
		CloseSend: func(ctx context.Context) error {
			for ; left > 0; left-- {
				if err := mqSendContext(ctx, f, nil); err != nil {
					return err
				}
			}
			return nil
		},
		Close: sync.OnceValue(f.Close),
	}, nil
}

// mqSendContext sends one message and waits for room until ctx ends.
func mqSendContext(ctx context.Context, f *os.File, p []byte) error {
	for {
		err := mqSendUntil(f, p, time.Now().Add(20*time.Millisecond))
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}

type mqSender struct{ file *os.File }

func (s mqSender) Send(_ context.Context, p []byte) error { return mqSend(s.file, p) }

func (s mqSender) Close() error { return s.file.Close() }

type mqReceiver struct {
	plain
	file *os.File
	buf  []byte
}

func (r *mqReceiver) Recv(context.Context) ([]byte, error) {
	n, err := mqReceive(r.file, r.buf)
	if err == nil && n == 0 {
		err = io.EOF
	}
	return r.buf[:n], err
}

func (r *mqReceiver) Close() error { return r.file.Close() }
