package mpqueue

import "sync/atomic"

// passage counts the operations in progress on a Conn, so that Close can keep
// others out and wait for those inside.
//
//	bit 62      shut: nobody may enter any more
//	bits 0..61  how many are inside, and how many have just found it shut
//
// A Conn that was given away in a message that could not be sent is opened again,
// while others try to enter it. So after the first open nobody stores the word, and
// the channel is made once: who has counted itself takes itself off the same count.
type passage struct {
	word atomic.Int64
	last chan struct{} // gets a value when the last one has left
}

const passageShut = 1 << 62

// open opens a new passage.
func (p *passage) open() {
	p.last = make(chan struct{}, 1)
	p.word.Store(0)
}

// reopen opens a passage that is shut.
func (p *passage) reopen() { p.word.And(^passageShut) }

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

// shut reports whether the passage was open.
func (p *passage) shut() bool { return p.word.Or(passageShut)&passageShut == 0 }

// wait waits until nobody is inside.
func (p *passage) wait() {
	for p.word.Load() != passageShut {
		<-p.last
	}
}
