package rival

import (
	"bufio"
	"context"
	"encoding/binary"
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
//   - A message that fills the buffer is not copied into it: its head goes out
//     with what is there, and the message behind it, under the same lock.
//   - Nothing is allocated for a message.
//   - An end that one process has to itself needs no lock and takes none.
//   - What is in a sender's buffer is nowhere else: a message that Send
//     returned for is lost with its process. That is what buffering means.
func BufPipe() Kind {
	return Kind{
		Name:        "bufpipe",
		Batches:     true,
		ReadsWrites: true,
		About:       "a pipe with bufio and length-prefixed frames",
		Skip:        func(Spec) string { return "" },
		Make:        func(s Spec) (*Channel, error) { return makePipe(s, s.Producers > 1 || s.Consumers > 1) },
		Sender:      openBufSender,
		Receiver:    openBufReceiver,
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
	s.w = bufio.NewWriterSize(s.file, bufferSize)
	return s, nil
}

func (s *bufSender) Send(_ context.Context, p []byte) error {
	if headSize+len(p) > bufferSize {
		return s.sendLong(p)
	}
	if s.w.Available() < headSize+len(p) {
		if err := s.Flush(); err != nil {
			return err
		}
	}
	s.w.Write(binary.LittleEndian.AppendUint32(s.w.AvailableBuffer(), uint32(len(p)))) // There is room for both.
	_, err := s.w.Write(p)
	return err
}

func (s *bufSender) sendLong(p []byte) error {
	if err := lockEnd(s.lock); err != nil {
		return err
	}
	defer unlockEnd(s.lock)
	s.w.Write(binary.LittleEndian.AppendUint32(s.w.AvailableBuffer(), uint32(len(p))))
	if err := s.w.Flush(); err != nil { // It would say what Write had to say.
		return err
	}
	_, err := s.file.Write(p)
	return err
}

func (s *bufSender) SendBatch(ctx context.Context, ps [][]byte) error {
	for _, p := range ps {
		if err := s.Send(ctx, p); err != nil {
			return err
		}
	}
	return s.Flush()
}

// Flush writes whole frames while it holds the lock of this end.
func (s *bufSender) Flush() error {
	if err := lockEnd(s.lock); err != nil {
		return err
	}
	defer unlockEnd(s.lock)
	return s.w.Flush()
}

func (s *bufSender) Close() error {
	err := s.Flush()
	if cerr := s.file.Close(); err == nil {
		err = cerr
	}
	return err
}
