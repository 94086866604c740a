package shm

import "sync/atomic"

// A passage counts the goroutines that are inside slow paths of a segment, or of a
// block of an arena, so that Close can shut it and wait until the last one has come
// out. It is one word, so that who enters and who shuts cannot miss each other.
//
//	bit 63       shut: nobody may enter any more
//	bits 32..62  life: how often it was opened again
//	bits 0..31   how many are inside
//
// A sync.WaitGroup cannot do this: its Add must not run beside its Wait.
type passage struct {
	word  atomic.Uint64
	empty atomic.Pointer[chan struct{}] // set by shut, before the bit, if somebody is inside
}

const (
	passageShut   = 1 << 63
	passageLife   = 1 << 32
	passageInside = passageLife - 1
)

// enter reports whether the passage is open; the caller must then call leave.
func (p *passage) enter() bool {
	if p.word.Add(1)&passageShut == 0 {
		return true
	}
	p.leave()
	return false
}

// enterLife is enter for one that has seen the passage in that life: false if it
// has been shut since, be it open again.
func (p *passage) enterLife(life uint64) bool {
	if p.word.Add(1)&^passageInside == life {
		return true
	}
	p.leave()
	return false
}

func (p *passage) leave() {
	if p.word.Add(^uint64(0))&(passageShut|passageInside) != passageShut {
		return
	}
	if c := p.empty.Load(); c != nil {
		select {
		case *c <- struct{}{}:
		default:
		}
	}
}

// isShut reports whether shut was called.
func (p *passage) isShut() bool { return p.word.Load()&passageShut != 0 }

// shut closes the passage and reports whether somebody is inside. It may be called
// once in a life.
func (p *passage) shut() bool {
	if v := p.word.Load(); v&passageInside == 0 && p.word.CompareAndSwap(v, v|passageShut) {
		return false
	}
	c := make(chan struct{}, 1)
	p.empty.Store(&c)
	return p.word.Or(passageShut)&passageInside != 0
}

// wait waits until nobody is inside. shut must have been called.
func (p *passage) wait() {
	c := p.empty.Load()
	for c != nil && p.word.Load()&passageInside != 0 { // nil: nobody was, when it was shut
		<-*c
	}
}

// reopen opens the passage for another life. Nobody shuts it meanwhile.
func (p *passage) reopen() {
	for {
		v := p.word.Load()
		if p.word.CompareAndSwap(v, (v&^passageShut+passageLife)&^passageShut) {
			return
		}
	}
}
