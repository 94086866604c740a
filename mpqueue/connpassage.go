package mpqueue

import "sync/atomic"

// passage counts the operations in progress on a Conn, so that Close can keep
// others out and wait for those inside.
//
//	bit 62      shut: nobody may enter any more
//	bits 0..61  how many are inside
type passage struct {
	word atomic.Int64
	last chan struct{} // gets a value when the last one has left
}

const passageShut = 1 << 62

// open opens a passage that is new, or shut and empty.
func (p *passage) open() {
	p.last = make(chan struct{}, 1)
	p.word.Store(0)
}

func (p *passage) enter() bool {
	if p.word.Add(1)&passageShut == 0 {
		return true
	}
	p.leave()
	return false
}

func (p *passage) leave() {
	if p.word.Add(-1) == passageShut {
		select {
		case p.last <- struct{}{}:
		default:
		}
	}
}

func (p *passage) isShut() bool { return p.word.Load()&passageShut != 0 }

// shut reports whether it is the first to shut the passage.
func (p *passage) shut() bool { return p.word.Or(passageShut)&passageShut == 0 }

// wait waits until nobody is inside.
func (p *passage) wait() {
	for p.word.Load() != passageShut {
		<-p.last
	}
}
