package shm

import "sync/atomic"

// A passage counts the goroutines that are inside slow paths of a segment, so
// that Close can shut it and wait until the last one has come out. It is one
// word, so that who enters and who shuts cannot miss each other.
//
//	bit 63      shut: nobody may enter any more
//	bits 0..62  how many are inside
//
// A sync.WaitGroup cannot do this: its Add must not run beside its Wait.
type passage struct {
	word  atomic.Uint64
	empty atomic.Pointer[chan struct{}] // set by shut, before the bit
}

const passageShut = 1 << 63

// enter reports whether the passage is open; the caller must then call leave.
func (p *passage) enter() bool {
	if p.word.Add(1)&passageShut == 0 {
		return true
	}
	p.leave()
	return false
}

func (p *passage) leave() {
	if p.word.Add(^uint64(0)) == passageShut {
		select {
		case *p.empty.Load() <- struct{}{}:
		default:
		}
	}
}

// isShut reports whether shut was called.
func (p *passage) isShut() bool { return p.word.Load()&passageShut != 0 }

// shut closes the passage. It may be called once.
func (p *passage) shut() {
	c := make(chan struct{}, 1)
	p.empty.Store(&c)
	p.word.Or(passageShut)
}

// wait waits until nobody is inside. shut must have been called.
func (p *passage) wait() {
	for p.word.Load() != passageShut {
		<-*p.empty.Load()
	}
}
