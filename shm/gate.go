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
	line []chan struct{} // nil entries gave up
}

// gates holds the gates of words somebody is leading on. Most words never have
// one: only slow paths come here.
var gates [64]struct {
	mu sync.Mutex
	m  map[*atomic.Uint32]*gate
}

// Lead waits until the caller is the only goroutine of this process that leads
// on word, first come, first served. It returns ctx's error (ctx nil: none), or
// ErrClosed when this process closes s; else the caller must call Unlead.
func (s *Segment) Lead(ctx context.Context, word *atomic.Uint32) error {
	if s.core.slow.isShut() {
		return ErrClosed
	}
	sh := &gates[shard(word)]
	sh.mu.Lock()
	g := sh.m[word]
	if g == nil {
		if sh.m == nil {
			sh.m = map[*atomic.Uint32]*gate{}
		}
		sh.m[word] = &gate{}
		sh.mu.Unlock()
		return nil
	}
	turn := make(chan struct{})
	g.line = append(g.line, turn)
	sh.mu.Unlock()

	var done <-chan struct{}
	if ctx != nil {
		done = ctx.Done()
	}
	var err error
	select {
	case <-turn:
		return nil
	case <-done:
		err = ctx.Err()
	case <-s.core.closed:
		err = ErrClosed
	}
	sh.mu.Lock()
	for i, c := range g.line {
		if c == turn {
			g.line[i] = nil
			sh.mu.Unlock()
			return err
		}
	}
	sh.mu.Unlock()
	// Our turn came while we gave up: pass it on.
	s.Unlead(word)
	return err
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
		turn := g.line[0]
		g.line[0] = nil
		g.line = g.line[1:]
		if turn != nil {
			sh.mu.Unlock()
			close(turn)
			return
		}
	}
	delete(sh.m, word)
	sh.mu.Unlock()
}
