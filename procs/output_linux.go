package procs

import (
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// An output carries what a child writes to a writer of this process.
//
// End of file comes when the last process that has the pipe lets go of it,
// and that may be a grandchild that lives on for hours. So the end of the
// child, not end of file, ends the wait: whatever is in the pipe at that
// moment is all that the child can have written.
type output struct {
	pipe *os.File
	w    io.Writer

	mu      sync.Mutex
	taken   int64 // bytes read from the pipe
	written int64 // bytes passed on
	goal    int64 // −1, or the value of written at which the child is done
	err     error // of the writer
	closed  bool  // done is closed
	done    chan struct{}
}

func newOutput(pipe *os.File, w io.Writer) *output {
	return &output{pipe: pipe, w: w, goal: -1, done: make(chan struct{})}
}

// copy passes on what comes in, until end of file.
func (o *output) copy() {
	defer o.pipe.Close()
	conn, err := o.pipe.SyscallConn()
	if err != nil {
		o.finish(0, err, true)
		return
	}
	buf := make([]byte, 32<<10)
	for {
		n, eof := o.read(conn, buf)
		if n > 0 && o.err == nil { // err is written by this goroutine only
			_, err = o.w.Write(buf[:n])
		}
		if eof {
			if f, ok := o.w.(flusher); ok && err == nil {
				err = f.flush()
			}
		}
		o.finish(n, err, eof)
		if eof {
			return
		}
	}
}

// read takes bytes out of the pipe and counts them in one step, so that
// childEnded sees each byte either here or in the pipe.
func (o *output) read(conn interface {
	Read(func(uintptr) bool) error
}, buf []byte) (n int, eof bool) {
	err := conn.Read(func(fd uintptr) bool {
		for {
			o.mu.Lock()
			var err error
			n, err = unix.Read(int(fd), buf)
			if n > 0 {
				o.taken += int64(n)
			}
			o.mu.Unlock()
			switch {
			case err == unix.EINTR:
			case err == unix.EAGAIN:
				n = 0
				return false
			default:
				n = max(n, 0)
				eof = n == 0
				return true
			}
		}
	})
	return n, eof || err != nil
}

// finish notes that n more bytes have been passed on.
func (o *output) finish(n int, err error, eof bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.written += int64(n)
	if err != nil && o.err == nil {
		o.err = err
	}
	if !o.closed && (eof || o.goal >= 0 && o.written >= o.goal) {
		o.closed = true
		close(o.done)
	}
}

// childEnded sets the goal: the child is dead and writes no more.
func (o *output) childEnded() {
	o.mu.Lock()
	defer o.mu.Unlock()
	left := 0
	if conn, err := o.pipe.SyscallConn(); err == nil {
		conn.Control(func(fd uintptr) { left, _ = unix.IoctlGetInt(int(fd), unix.TIOCINQ) })
	}
	o.goal = o.taken + int64(left)
	if !o.closed && o.written >= o.goal {
		o.closed = true
		close(o.done)
	}
}

// drained waits until the child's output has been passed on, but not for long
// after a writer that blocks. It returns the error of the writer.
func (o *output) drained() error {
	timer := time.NewTimer(time.Second)
	defer timer.Stop()
	select {
	case <-o.done:
	case <-timer.C:
		return nil
	}
	if f, ok := o.w.(flusher); ok {
		flushed := make(chan struct{})
		go func() {
			defer close(flushed)
			f.flush()
		}()
		select {
		case <-flushed:
		case <-timer.C:
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}

// A flusher holds back incomplete lines.
type flusher interface{ flush() error }
