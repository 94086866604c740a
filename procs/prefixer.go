package procs

import (
	"bytes"
	"io"
	"sync"
)

// prefixed serialises the lines of all children with a prefix: two of them may
// write to one writer that is not safe for that.
var prefixed sync.Mutex

// A prefixer puts the name of a process before each of its lines, and passes
// on whole lines only.
type prefixer struct {
	prefix string
	w      io.Writer

	mu   sync.Mutex
	line []byte // incomplete
}

// longestLine is where an endless line is cut.
const longestLine = 64 << 10

func newPrefixer(name string, w io.Writer) *prefixer {
	return &prefixer{prefix: "[" + name + "] ", w: w}
}

// Write passes on the lines that b completes.
func (p *prefixer) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []byte
	for rest := b; len(rest) > 0; {
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			p.line = append(p.line, rest...)
			if len(p.line) >= longestLine {
				out = p.complete(out)
			}
			break
		}
		p.line = append(p.line, rest[:i]...)
		rest = rest[i+1:]
		out = p.complete(out)
	}
	return len(b), p.pass(out)
}

// complete appends the line with its prefix to out.
func (p *prefixer) complete(out []byte) []byte {
	out = append(append(append(out, p.prefix...), p.line...), '\n')
	p.line = p.line[:0]
	return out
}

func (p *prefixer) pass(out []byte) error {
	if len(out) == 0 {
		return nil
	}
	prefixed.Lock()
	defer prefixed.Unlock()
	_, err := p.w.Write(out)
	return err
}

// flush passes on the line that the child did not end, as a line.
func (p *prefixer) flush() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.line) == 0 {
		return nil
	}
	return p.pass(p.complete(nil))
}
