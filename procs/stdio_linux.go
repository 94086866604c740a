package procs

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// standard gives the child its standard input, output and error.
func (l *launch) standard(p *Process, c *child) error {
	if err := l.input(p.set.stdin, c); err != nil {
		return fmt.Errorf("standard input: %w", err)
	}
	stdout, stderr := p.set.stdout, p.set.stderr
	if p.set.prefix {
		if stdout == nil {
			stdout = os.Stdout
		}
		if stderr == nil {
			stderr = os.Stderr
		}
		same := sameWriter(stdout, stderr)
		stdout = newPrefixer(p.name, stdout)
		if stderr = newPrefixer(p.name, stderr); same {
			stderr = stdout
		}
	}
	if err := l.output(stdout, os.Stdout, c); err != nil {
		return fmt.Errorf("standard output: %w", err)
	}
	if stdout != nil && sameWriter(stdout, stderr) {
		l.lend(int(l.files[1]))
		return nil
	}
	if err := l.output(stderr, os.Stderr, c); err != nil {
		return fmt.Errorf("standard error: %w", err)
	}
	return nil
}

// sameWriter reports whether a and b are one writer. Values of types that
// cannot be compared are not.
func sameWriter(a, b io.Writer) bool {
	defer func() { recover() }()
	return a == b
}

func (l *launch) input(r io.Reader, c *child) error {
	switch r := r.(type) {
	case nil:
		return l.null()
	case *os.File:
		_, err := l.giveFile(r)
		return err
	default:
		var ends [2]int
		if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
			return os.NewSyscallError("pipe2", err)
		}
		l.give(ends[0])
		unix.SetNonblock(ends[1], true)
		w := os.NewFile(uintptr(ends[1]), "stdin")
		l.undo = append(l.undo, func() { w.Close() })
		l.after = append(l.after, func() {
			go func() {
				// Ends with the reader; or when a write fails, because the
				// child has closed its end, or ended and reap has closed w.
				io.Copy(w, r)
				w.Close()
			}()
		})
		c.stdin = w
		return nil
	}
}

// null gives the child the null device.
func (l *launch) null() error {
	fd, err := unix.Open(os.DevNull, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: os.DevNull, Err: err}
	}
	l.give(fd)
	return nil
}

func (l *launch) output(w io.Writer, inherit *os.File, c *child) error {
	switch w := w.(type) {
	case nil:
		if inherit != nil {
			if _, err := l.giveFile(inherit); err == nil {
				return nil
			}
		}
		return l.null() // this process has closed its own
	case *os.File:
		_, err := l.giveFile(w)
		return err
	default:
		read, write, err := pipe()
		if err != nil {
			return err
		}
		l.give(write)
		o := newOutput(read, w)
		l.undo = append(l.undo, func() { read.Close() })
		l.after = append(l.after, func() { go o.copy() })
		c.outputs = append(c.outputs, o)
		return nil
	}
}
