package rival

import (
	"bytes"
	"context"
	"encoding/gob"
	"fmt"
	"io"
	"os"

	"shmkit/futexlock"
)

// PipeQueue is a queue built as Python builds multiprocessing.Queue: one pipe,
// a lock at each end, every message encoded, framed, and written and read by
// itself. The choices:
//
//   - Messages are encoded outside the locks, as Python pickles them, and
//     decoded outside too.
//   - gob would repeat the description of the type in every message, and
//     compile a decoder from it each time. We send it once per process, to
//     ourselves: see priming.
//   - One write a frame: the length is put in front of the encoded bytes, no
//     matter how long (Python copies only up to 16 KiB). Two reads a frame,
//     length and body, since several processes may read.
//   - There is no feeder thread: a message that Send returned for is in the
//     pipe. Python's is still in the sender then.
//   - The pipe has 1 MiB instead of 64 KiB, the most that any user may ask for.
func PipeQueue() Kind {
	return Kind{
		Name:        "pipequeue",
		ReadsWrites: true,
		About:       "one pipe, a lock at each end, gob messages: as Python builds its Queue",
		Skip:        func(Spec) string { return "" },
		Make:        func(s Spec) (*Channel, error) { return makePipe(s, true) },
		Sender:      openPipeQueueSender,
		Receiver:    openPipeQueueReceiver,
	}
}

// pickled is what travels: a message in a form that gob can encode.
type pickled struct{ Body []byte }

// priming is what an encoder writes for its first message: the description of
// the type, and an empty message. Its type number is given out while this
// variable is initialised, which happens in the same order in every process
// of one program; so a decoder that was fed our own priming can decode the
// bare messages of all the others.
var priming = func() []byte {
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(pickled{}); err != nil {
		panic(fmt.Sprintf("rival: %v", err)) // A struct of bytes can be encoded.
	}
	return b.Bytes()
}()

type pipeQueueSender struct {
	file *os.File
	lock *futexlock.Mutex
	buf  bytes.Buffer
	enc  *gob.Encoder
}

func openPipeQueueSender(e Ends, files []*os.File) (Sender, error) {
	s := &pipeQueueSender{file: files[0], lock: &e.Locks.Value().Send}
	s.enc = gob.NewEncoder(&s.buf)
	return s, s.enc.Encode(pickled{}) // The next message has no description any more.
}

func (s *pipeQueueSender) Send(_ context.Context, p []byte) error {
	var head [headSize]byte
	s.buf.Reset()
	s.buf.Write(head[:])
	if err := s.enc.Encode(pickled{Body: p}); err != nil {
		return err
	}
	frame := s.buf.Bytes()
	putHead(frame, len(frame)-headSize)
	if err := lockEnd(s.lock); err != nil {
		return err
	}
	defer unlockEnd(s.lock)
	_, err := s.file.Write(frame)
	return err
}

func (s *pipeQueueSender) Close() error { return s.file.Close() }

type pipeQueueReceiver struct {
	plain
	file  *os.File
	lock  *futexlock.Mutex
	most  int
	frame []byte
	body  bytes.Reader
	dec   *gob.Decoder
	msg   pickled
}

func openPipeQueueReceiver(e Ends, files []*os.File) (Receiver, error) {
	r := &pipeQueueReceiver{file: files[0], lock: &e.Locks.Value().Receive}
	r.most = e.Spec.MaxMessage + 64 // What gob adds.
	r.frame = make([]byte, r.most)
	r.dec = gob.NewDecoder(&r.body)
	r.body.Reset(priming)
	return r, r.dec.Decode(&r.msg)
}

func (r *pipeQueueReceiver) Recv(context.Context) ([]byte, error) {
	n, err := r.read()
	if err != nil {
		return nil, err
	}
	r.body.Reset(r.frame[:n])
	r.msg.Body = r.msg.Body[:0]
	if err := r.dec.Decode(&r.msg); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrFrame, err)
	}
	return r.msg.Body, nil
}

// read reads one frame while it holds the lock of this end.
func (r *pipeQueueReceiver) read() (int, error) {
	if err := lockEnd(r.lock); err != nil {
		return 0, err
	}
	defer unlockEnd(r.lock)
	if _, err := io.ReadFull(r.file, r.frame[:headSize]); err != nil {
		return 0, err // io.EOF between two frames is the end.
	}
	n, err := head(r.frame, r.most)
	if err != nil {
		return 0, err
	}
	_, err = io.ReadFull(r.file, r.frame[:n])
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (r *pipeQueueReceiver) Close() error { return r.file.Close() }
