package mpqueue

import (
	"net"
	"time"

	"shmkit/shm"
	"shmkit/shm/fault"
)

// PipeFaultPoints are the points at which tests kill a process in a pipe.
var PipeFaultPoints = []string{
	"mpqueue.pipe.published", "mpqueue.pipe.copied", "mpqueue.pipe.taken", "mpqueue.pipe.waited",
	"mpqueue.pipe.acquired", "mpqueue.pipe.redeemed", "mpqueue.pipe.swept",
	"mpqueue.signal.pending", "futexlock.lock.waited", "futexlock.unlock.released",
	"shm.sweep.elected", "shm.sweep.released", "shm.attach.claimed",
}

// PipeFirst makes a pipe whose first bytes have position p, a multiple of 8.
func PipeFirst(p uint64) PipeOption { return func(o *pipeOptions) { o.geometry.first = p } }

// PlantInPipes plants a bug into the pipes of this process; "" takes it out.
func PlantInPipes(bug string) {
	if bug != "" && bug != "no spin" {
		fault.Enabled = true
	}
	switch bug {
	case "":
		planted.pipeNoLock, planted.pipeEarly, planted.pipeNoSpin = false, false, false
		planted.pipeSkip, planted.pipeNoPass, planted.pipeLate, planted.pipeFree = false, false, false, false
	case "no spin":
		planted.pipeNoSpin = true
	case "no lock":
		planted.pipeNoLock = true
	case "published before it is written":
		planted.pipeEarly = true
	case "a message passed over with the lock of the dead":
		planted.pipeSkip = true
	case "freed before it is read":
		planted.pipeFree = true
	case "no relay of the wake":
		planted.pipeNoPass = true
	case "looked at too late":
		planted.pipeLate = true
	default:
		panic(bug)
	}
}

// PipeSleepers returns in how many ways of c's pipe somebody waits for a message.
func PipeSleepers(c *Conn) (n int) {
	for d := range c.p.ctl.ways {
		n += int(c.p.ctl.ways[d].notEmpty.Load() & waited)
	}
	return n
}

// PipeHoldPoints are those where a process takes an end or gives it up.
var PipeHoldPoints = []string{
	"mpqueue.pipe.acquired", "mpqueue.pipe.redeemed", "mpqueue.pipe.granted", "mpqueue.pipe.dropped", "mpqueue.pipe.swept",
}

// PipeLag returns how long the receivers at c's end stand back, after setting it to
// n, as if they had learned that, if n is not negative.
func PipeLag(c *Conn, n int) int {
	if n >= 0 {
		c.in.spinRecv.lag.Store(int32(n))
	}
	return int(c.in.spinRecv.lag.Load())
}

// PipeTakes calls f in this process whenever a receiver, which holds the lock, is
// about to take a message, or the first part of one, that begins with m.
func PipeTakes(f func(m []byte)) {
	fault.Enabled = true
	pipeWatch.takes = f
}

// PassDeadline makes the deadline of the Writes of c one that has passed, and of which
// the timer is late.
func PassDeadline(c net.Conn) {
	d := &c.(*netConn).write
	d.set(time.Now().Add(time.Hour))
	d.at.Store(1)
}

// A PipeSleep is what has become of a sleep in a pipe.
type PipeSleep int

// What PipeSleeps tells.
const (
	PipeOther    PipeSleep = iota
	PipeBoth               // the context ended, and what was waited for was there
	PipeWasted             // the context ended, and a wake had been given to this sleeper for what another took
	PipeStranded           // what was waited for was there, nobody had given a wake for it, and only the backstop found it
)

// strandLooks is how long a sleeper that is left alone with what it waits for must be
// so until that counts, in milliseconds.
const strandLooks = 400

// PipeSleeps calls f in this process whenever a sleep in a pipe has ended, before
// anything is done about it.
func PipeSleeps(f func(PipeSleep)) {
	fault.Enabled = true
	pipeWatch.slept = func(w *way, s *pipeWait, _ uint32, why shm.WakeReason) {
		word, what := w.wordOf(s.what), PipeOther
		ready, _ := w.ready(s)
		switch {
		case why == shm.Cancelled && ready:
			what = PipeBoth
		case why == shm.Cancelled && word.Load()&pending != 0:
			what = PipeWasted
		case why == shm.Timeout && ready:
			// Who has just made it ready may be on the way to the wake, and on a
			// busy machine he may be so for as long as others have the processor.
			v := word.Load()
			what = PipeStranded
			for n := 0; n < strandLooks && what == PipeStranded; n++ {
				time.Sleep(time.Millisecond)
				if r, _ := w.ready(s); !r || word.Load() != v || v&pending != 0 {
					what = PipeOther
				}
			}
		}
		f(what)
	}
}

// PipeMoved returns how many bytes have been sent from c's end, and how many have been
// received at it.
func PipeMoved(c *Conn) (sent, received uint64) {
	return c.out.ctl.write.Load() - c.p.geo.first, c.in.ctl.read.Load() - c.p.geo.first
}

// UnboundPipe is a planted bug: positions are not cut to the memory of c's pipe.
func UnboundPipe(c *Conn) {
	for _, w := range c.p.ways {
		if w != nil {
			w.size = 1 << 40
		}
	}
}
