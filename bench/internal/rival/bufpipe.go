package rival

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"

	"shmkit/futexlock"
)

// bufferSize is the buffer at each end of a buffered pipe: what one system
// call moves at best.
const bufferSize = 64 << 10

// BufPipe is a buffered pipe: messages with a length in front, many to a
// system call. The choices:
//
//   - A sender fills a bufio.Writer and writes it out only whole frames at a
//     time, under the lock of the sending end: what other processes write can
//     come between two frames, never into one.
//   - A receiver takes the lock of its end, reads as much as is there in one
//     call, completes the last frame, and gives the lock back before anybody
//     looks at the messages.
//   - An end that one process has to itself needs no lock and takes none.
//   - What is in a sender's buffer is nowhere else: a message that Send
//     returned for is lost with its process. That is what buffering means.
func BufPipe() Kind {
	return Kind{
		Name:     "bufpipe",
		About:    "a pipe with bufio and length-prefixed frames",
		Skip:     func(Spec) string { return "" },
		Make:     func(s Spec) (*Channel, error) { return makePipe(s, s.Producers > 1 || s.Consumers > 1) },
		Sender:   openBufSender,
		Receiver: openBufReceiver,
	}
}

type bufSender struct {
	file *os.File
	lock *futexlock.Mutex
	w    *bufio.Writer
}

func openBufSender(e Ends, files []*os.File) (Sender, error) {
	s := &bufSender{file: files[0]}
	if e.Spec.Producers > 1 {
		s.lock = &e.Locks.Value().Send
	}
	s.w = bufio.NewWriterSize(s.file, max(bufferSize, headSize+e.Spec.MaxMessage))
	return s, nil
}

func (s *bufSender) Send(_ context.Context, p []byte) error {
	if s.w.Available() < headSize+len(p) {
		if err := s.flush(); err != nil {
			return err
		}
	}
	s.w.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(p)))) // There is room for both.
	_, err := s.w.Write(p)
	return err
}

// flush writes whole frames while it holds the lock of this end.
func (s *bufSender) flush() error {
	if err := lockEnd(s.lock); err != nil {
		return err
	}
	defer unlockEnd(s.lock)
	return s.w.Flush()
}

func (s *bufSender) Close() error {
	err := s.flush()
	if cerr := s.file.Close(); err == nil {
		err = cerr
	}
	return err
}

type bufReceiver struct {
	plain
	file *os.File
	lock *futexlock.Mutex
	most int
	buf  []byte // read from the pipe: whole frames
	rest []byte // of them not yet given out
}

func openBufReceiver(e Ends, files []*os.File) (Receiver, error) {
	r := &bufReceiver{file: files[0], most: e.Spec.MaxMessage}
	if e.Spec.Consumers > 1 {
		r.lock = &e.Locks.Value().Receive
	}
	r.buf = make([]byte, bufferSize+headSize+r.most)
	return r, nil
}

func (r *bufReceiver) Recv(context.Context) ([]byte, error) {
	if len(r.rest) == 0 {
		if err := r.fill(); err != nil {
			return nil, err
		}
	}
	n, err := head(r.rest, r.most)
	if err != nil {
		return nil, err
	}
	p := r.rest[headSize : headSize+n]
	r.rest = r.rest[headSize+n:]
	return p, nil
}

// fill reads what is there, and then the missing part of the last frame.
func (r *bufReceiver) fill() error {
	if err := lockEnd(r.lock); err != nil {
		return err
	}
	defer unlockEnd(r.lock)
	have, err := r.file.Read(r.buf[:bufferSize])
	if err != nil {
		return err // io.EOF between two frames is the end.
	}
	for at := 0; at < have; {
		want := at + headSize
		if want <= have {
			n, err := head(r.buf[at:], r.most)
			if err != nil {
				return err
			}
			want += n
		}
		if want > have {
			n, err := io.ReadFull(r.file, r.buf[have:want])
			have += n
			if err != nil {
				return fmt.Errorf("%w: ends after %d of %d bytes", ErrFrame, have-at, want-at)
			}
			continue // If that was the length, the body comes next.
		}
		at = want
	}
	r.rest = r.buf[:have]
	return nil
}

func (r *bufReceiver) Close() error { return r.file.Close() }
