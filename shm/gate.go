package shm

import (
	"context"
	"sync"
	"sync/atomic"
)

// A gate lets one goroutine of this process at a time through to a futex word;
// the others wait in line as Go goroutines, which cost no OS thread and can be
// cancelled by a channel. The goroutine that is through is the leader: it spins
// and sleeps for the whole process.
type gate struct {
	line []*turn // nil entries gave up
}

// turn is a place in the line.
type turn struct {
	come   chan struct{} // closed when it has come, or when the line is dismissed
	closed bool          // the line was dismissed
}

// gates holds the gates of words somebody is leading on. Most words never have
// one: only slow paths come here.
var gates [64]struct {
	mu sync.Mutex
	m  map[*atomic.Uint32]*gate
}

// Lead waits until the caller is the only goroutine of this process that leads
// on word, first come, first served. It returns ctx's error (ctx nil: none), or
// ErrClosed when this process closes what word lies in; else the caller must call
// Unlead.
func (s *Segment) Lead(ctx context.Context, word *atomic.Uint32) error {
	sh := &gates[shard(word)]
	sh.mu.Lock()
	// Under the lock: who shuts the passage from here on finds us in the line.
	pass := s.core.passageAt(word)
	if pass == nil {
		sh.mu.Unlock()
		return ErrClosed
	}
	if !pass.enter() {
		sh.mu.Unlock()
		return ErrClosed
	}
	defer pass.leave()
	g := sh.m[word]
	if g == nil {
		if sh.m == nil {
			sh.m = map[*atomic.Uint32]*gate{}
		}
		sh.m[word] = &gate{}
		sh.mu.Unlock()
		return nil
	}
	mine := &turn{come: make(chan struct{})}
	g.line = append(g.line, mine)
	sh.mu.Unlock()

	var done <-chan struct{}
	if ctx != nil {
		done = ctx.Done()
	}
	var err error
	select {
	case <-mine.come:
		if mine.closed {
			return ErrClosed
		}
		return nil
	case <-done:
		err = ctx.Err()
	case <-s.core.closed:
		err = ErrClosed
	}
	sh.mu.Lock()
	for i, t := range g.line {
		if t == mine {
			g.line[i] = nil
			sh.mu.Unlock()
			return err
		}
	}
	sh.mu.Unlock()
	// Our turn came while we gave up: pass it on.
	if !mine.closed {
		s.Unlead(word)
	}
	return err
}

// dismiss tells those who stand in line for words from lo to hi of the payload of
// c that this is closed. Who leads on one is in no line.
func dismiss(c *core, lo, hi uint64) {
	for i := range gates {
		sh := &gates[i]
		sh.mu.Lock()
		for word, g := range sh.m {
			if off := c.offsetOf(word); off < lo || off >= hi {
				continue
			}
			for k, t := range g.line {
				if t != nil {
					g.line[k] = nil
					t.closed = true
					close(t.come)
				}
			}
		}
		sh.mu.Unlock()
	}
}

// Unlead lets the next goroutine lead on word.
func (s *Segment) Unlead(word *atomic.Uint32) {
	sh := &gates[shard(word)]
	sh.mu.Lock()
	g := sh.m[word]
	if g == nil {
		sh.mu.Unlock()
		panic("shm: Unlead without Lead")
	}
	for len(g.line) > 0 {
		next := g.line[0]
		g.line[0] = nil
		g.line = g.line[1:]
		if next != nil {
			sh.mu.Unlock()
			close(next.come)
			return
		}
	}
	delete(sh.m, word)
	sh.mu.Unlock()
}
