package rival

import (
	"bufio"
	"context"
	"io"
	"os"

	"shmkit/futexlock"
)

// small is the size up to which a frame is copied behind its length and
// written in one call; above it the second call costs less than the copy.
// Python draws the line at the same place.
const small = 16 << 10

// streamSender writes every message at once: a length and the bytes.
type streamSender struct {
	file *os.File
	lock *futexlock.Mutex // nil: this process has the end to itself
	buf  [headSize + small]byte
}

func openStreamSender(e Ends, files []*os.File) (Sender, error) {
	s := &streamSender{file: files[0]}
	if e.Spec.Producers > 1 {
		s.lock = &e.Locks.Value().Send
	}
	return s, nil
}

func (s *streamSender) Send(_ context.Context, p []byte) error {
	if err := lockEnd(s.lock); err != nil {
		return err
	}
	defer unlockEnd(s.lock)
	putHead(s.buf[:], len(p))
	if len(p) <= small {
		n := copy(s.buf[headSize:], p)
		_, err := s.file.Write(s.buf[:headSize+n])
		return err
	}
	if _, err := s.file.Write(s.buf[:headSize]); err != nil {
		return err
	}
	_, err := s.file.Write(p)
	return err
}

func (s *streamSender) Close() error { return s.file.Close() }

// streamReceiver reads message by message: first the length, then the bytes.
type streamReceiver struct {
	plain
	file *os.File
	in   io.Reader // the file, or a buffer in front of it
	lock *futexlock.Mutex
	buf  []byte
}

// openStreamReceiver opens a receiving end. With buffered, a process that has
// the end to itself reads ahead; where several read, that would steal.
func openStreamReceiver(e Ends, files []*os.File, buffered bool) (Receiver, error) {
	r := &streamReceiver{file: files[0], in: files[0], buf: make([]byte, max(headSize, e.Spec.MaxMessage))}
	if e.Spec.Consumers > 1 {
		r.lock = &e.Locks.Value().Receive
	} else if buffered {
		r.in = bufio.NewReaderSize(r.file, bufferSize)
	}
	return r, nil
}

func (r *streamReceiver) Recv(context.Context) ([]byte, error) {
	if err := lockEnd(r.lock); err != nil {
		return nil, err
	}
	defer unlockEnd(r.lock)
	if _, err := io.ReadFull(r.in, r.buf[:headSize]); err != nil {
		return nil, err // io.EOF between two frames is the end.
	}
	n, err := head(r.buf, len(r.buf))
	if err != nil {
		return nil, err
	}
	_, err = io.ReadFull(r.in, r.buf[:n])
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return r.buf[:n], err
}

func (r *streamReceiver) Close() error { return r.file.Close() }
