package rival

import (
	"context"
	"fmt"
	"io"
	"os"

	"shmkit/futexlock"
)

// bufReceiver is the receiving end of a BufPipe.
type bufReceiver struct {
	plain
	file *os.File
	lock *futexlock.Mutex
	most int
	buf  []byte // read from the pipe: whole frames
	rest []byte // of them not yet given out

	batch [][]byte
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

func (r *bufReceiver) RecvBatch(ctx context.Context, most int) ([][]byte, error) {
	p, err := r.Recv(ctx)
	r.batch = append(r.batch[:0], p)
	for err == nil && len(r.rest) > 0 && len(r.batch) < most {
		p, err = r.Recv(ctx)
		r.batch = append(r.batch, p)
	}
	return r.batch, err
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
