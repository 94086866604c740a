package rival

import (
	"context"
	"fmt"
	"os"
	"sync"
)

// SeqPacket is a pair of Unix sockets that keep messages apart: the kernel
// hands each packet to one reader, whole. No lock is needed at either end,
// and no frame. The choices: blocking descriptors; the send buffer as large as
// the machine allows any user, which is also the limit of a message.
func SeqPacket() Kind {
	limit := sync.OnceValue(func() int { return sendBuffer()*3/4 - 1024 }) // The kernel counts its own bookkeeping too.
	return Kind{
		Name:        "seqpacket",
		ReadsWrites: true,
		About:       "a pair of Unix sockets that keep messages apart",
		Skip: func(s Spec) string {
			if why := onlyLinux(s); why != "" {
				return why
			}
			if s.MaxMessage > limit() {
				return fmt.Sprintf("a packet has at most some %d KiB here", limit()>>10)
			}
			return ""
		},
		Make: func(s Spec) (*Channel, error) {
			r, w, err := newPacketPair()
			if err != nil {
				return nil, err
			}
			return makeStream(s, r, w, false)
		},
		Sender:   func(_ Ends, files []*os.File) (Sender, error) { return packetSender{files[0]}, nil },
		Receiver: openPacketReceiver,
	}
}

type packetSender struct{ file *os.File }

func (s packetSender) Send(_ context.Context, p []byte) error {
	_, err := s.file.Write(p)
	return err
}

func (s packetSender) Close() error { return s.file.Close() }

type packetReceiver struct {
	plain
	file *os.File
	buf  []byte
}

func openPacketReceiver(e Ends, files []*os.File) (Receiver, error) {
	return &packetReceiver{file: files[0], buf: make([]byte, e.Spec.MaxMessage)}, nil
}

func (r *packetReceiver) Recv(context.Context) ([]byte, error) {
	n, err := r.file.Read(r.buf) // io.EOF when every sender is gone.
	return r.buf[:n], err
}

func (r *packetReceiver) Close() error { return r.file.Close() }
