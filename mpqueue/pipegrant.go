package mpqueue

import (
	"errors"
	"math/rand/v2"
	"time"

	"shmkit/shm"
	"shmkit/shm/fault"
)

// A grant is a handle of an end on its way: it holds the end from the moment when
// a process has encoded a Conn until another process has opened it. It ends
//
//	when the receiver has taken its own hold     by the receiver
//	when the receiver has died before            by the sender, if the handle was an argument
//	                                             of a process: package procs tells shm then
//	with the sender                              by the sweep
//
// A handle that was sent in another way, in a message for instance, is granted
// until it is opened or its sender ends.
//
//	bits    field   meaning
//	63..35  from    token of the sender
//	34..33  end     + 1; a grant is never 0
//	32..0   number  random, tells grants of one sender apart
type grant uint64

func (g grant) from() shm.Token { return shm.Token(g >> 35) }
func (g grant) end() int        { return int(g>>33&3) - 1 }

var errManyGrants = errors.New("64 handles of the pipe are on their way")

var _ = fault.Declare("mpqueue.pipe.granted", "mpqueue.pipe.redeemed")

// giveOut makes a grant for an end that this process holds.
func (p *pipeCore) giveOut(end int) (i int, g grant, err error) {
	g = grant(p.seg.Self())<<35 | grant(end+1)<<33 | grant(rand.Uint64N(1<<33))
	for i := range p.ctl.grants {
		if p.ctl.grants[i].CompareAndSwap(0, uint64(g)) {
			if fault.Enabled {
				fault.Point("mpqueue.pipe.granted")
			}
			p.ctl.hold[end].Add(holdChange)
			return i, g, nil
		}
	}
	return 0, 0, errManyGrants
}

// redeem takes a hold for this process, in place of the grant that brought the
// handle here. A handle may be opened without its grant: again, or later than
// its sender lived; but not when the end is gone.
func (p *pipeCore) redeem(end, i int, g grant) error {
	if err := p.acquire(end); err != nil {
		return err
	}
	if fault.Enabled {
		fault.Point("mpqueue.pipe.redeemed")
	}
	if i >= 0 && i < len(p.ctl.grants) && g != 0 {
		p.ctl.grants[i].CompareAndSwap(uint64(g), 0)
	}
	return nil
}

// watchGrant keeps the pipe open in this process until the grant has ended, for it
// counts only while we live, and ends it if its receiver has died. It reports whether
// the handle is in a message, rather than in the arguments of a process.
func (p *pipeCore) watchGrant(i int, g grant) (message bool) {
	p.retain()
	word := &p.ctl.grants[i]
	if shm.AfterExport(func() {
		if word.CompareAndSwap(uint64(g), 0) {
			p.declare(g.end())
		}
		p.release()
	}) {
		return false
	}
	pause := time.Millisecond
	var look func()
	look = func() {
		if word.Load() != uint64(g) {
			arrived(g)
			p.release()
			return
		}
		pause = min(2*pause, time.Second)
		time.AfterFunc(pause, look)
	}
	time.AfterFunc(pause, look)
	return true
}
