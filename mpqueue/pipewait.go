package mpqueue

import (
	"context"
	"errors"
	"io"
	"sync/atomic"

	"shmkit/shm"
	"shmkit/shm/fault"
)

// pipeWait is what one waits for in a way of a pipe.
type pipeWait struct {
	conn *Conn
	what waitFor
	p, n uint64    // of forRoom
	peer shm.Token // of forMore and forTurn
}

// waitFor is what one can wait for, each with a word of its own to sleep on:
//
//	           word      how many processes sleep on it
//	forData    notEmpty  any number; a wake wakes one, which passes it on (relay)
//	forMore    more      one: it holds the lock recv
//	forRoom    notFull   one: it holds the lock send
//	forTurn    turn      any number; all are woken
//
// On one word for all, a wake meant for the one who is in the middle of a message
// would go to another, who can do nothing with it.
type waitFor int

const (
	forData waitFor = iota // something to receive
	forMore                // the next part of a message from peer
	forRoom                // n free bytes behind p
	forTurn                // the end of peer's turn
)

func (w *way) wordOf(what waitFor) *atomic.Uint32 {
	return [...]*atomic.Uint32{&w.ctl.notEmpty, &w.ctl.more, &w.ctl.notFull, &w.ctl.turn}[what]
}

// ready reports whether the wait is over.
func (w *way) ready(s *pipeWait) (bool, error) {
	switch s.what {
	case forMore:
		return w.anyPart(s.peer)
	case forRoom:
		return w.anyRoom(s.p, s.n)
	case forTurn:
		return w.turnOver(s.peer), nil
	}
	return w.anyData()
}

// watch returns the process whose death would matter; 0: nobody's in particular.
func (w *way) watch(s *pipeWait) shm.Token {
	t := s.peer
	switch s.what {
	case forData:
		t = w.pipe.only(w.from)
	case forRoom:
		t = w.pipe.only(w.to)
	}
	if t != 0 && w.pipe.seg.Dead(t) {
		return 0 // known already: its sweep, or the backstop, will wake us
	}
	return t
}

// quickPipeLooks is how often one looks again before one looks at the clock: for
// two microseconds or so.
const quickPipeLooks = 64

// soonEvery: an answer, too, can be there at once, so that this says little of a
// stream. To try out whether it is one costs an answer some pauses; it is done every
// so many times.
const soonEvery = 32

// wait waits until s is ready.
func (w *way) wait(ctx context.Context, s pipeWait) error {
	if ok, err := w.ready(&s); ok || err != nil {
		return err
	}
	if ctx.Err() != nil {
		return s.gaveUp(w, ctx.Err())
	}
	if ok, err := w.spin(&s); ok || err != nil {
		return err
	}
	return w.sleep(ctx, s)
}

// over returns why a call ends that could go on waiting, or moving parts, for s: its
// context is done, or its Conn is being closed. Who always finds the next part ready
// does not wait, and asks once for each part; else a message of many GiB would run to
// its end whatever the context says.
func (w *way) over(ctx context.Context, s pipeWait) error {
	why := ended(ctx)
	switch {
	case s.conn.closing():
		why = shm.ErrClosed
	case why == nil:
		return nil
	}
	if _, err := w.ready(&s); err != nil {
		return err // that nothing will come is the better answer
	}
	return s.gaveUp(w, why)
}

// spin looks again while the other side is likely to be at work.
func (w *way) spin(s *pipeWait) (ok bool, err error) {
	if !shm.CanSpin() || planted.pipeNoSpin {
		return false, nil
	}
	if s.what == forData {
		w.spinRecv.standBack(w.got.Load(), 2*longRun)
	}
	for n := range quickPipeLooks {
		shm.Pause(1)
		if ok, err = w.ready(s); ok || err != nil {
			if n <= 2 && s.what == forData && w.soons.Add(1)%soonEvery == 0 {
				w.spinRecv.soon()
			}
			return ok, err
		}
	}
	spin := &w.spinRecv
	if s.what == forRoom {
		spin = &w.spinSend
	}
	spin.look(func() bool {
		ok, err = w.ready(s)
		return ok || err != nil || s.conn.closing()
	})
	return ok, err
}

// sleep waits in the kernel. Of each process one goroutine sleeps on a word, the
// others stand in line behind it. The handshake with those who wake is that of
// wait.go.
func (w *way) sleep(ctx context.Context, s pipeWait) error {
	seg, word := w.pipe.seg, w.wordOf(s.what)
	if err := leadUntil(ctx, s.conn.life, seg, word); err != nil {
		return s.gaveUp(w, err)
	}
	defer seg.Unlead(word)
	defer w.awoken(&s)
	for {
		v, ok, err := w.lastLook(&s)
		switch {
		case ok || err != nil:
			return err
		case s.conn.closing():
			return s.gaveUp(w, shm.ErrClosed)
		}
		watched := w.watch(&s)
		reason := seg.Sleep(ctx, word, v, watched)
		if fault.Enabled && pipeWatch.slept != nil {
			pipeWatch.slept(w, &s, v, reason)
		}
		w.awoken(&s)
		switch reason {
		case shm.Cancelled:
			if ok, err := w.ready(&s); ok || err != nil {
				return err
			}
			return s.gaveUp(w, ctx.Err())
		case shm.Closed:
			return shm.ErrClosed
		case shm.Died, shm.Timeout:
			bury(ctx, seg, watched)
			seg.Sweep()
			w.pipe.declare(0)
			w.pipe.declare(1)
		}
	}
}

// lastLook announces the sleep, looks once more, and returns the value to sleep on.
func (w *way) lastLook(s *pipeWait) (v uint32, ok bool, err error) {
	if fault.Enabled && planted.pipeLate {
		ok, err = w.ready(s)
		for range 50 {
			shm.Pause(20) // so that there is a chance to see it
		}
		return w.announce(s), ok, err
	}
	v = w.announce(s)
	if fault.Enabled {
		fault.Point("mpqueue.pipe.waited")
	}
	ok, err = w.ready(s)
	return v, ok, err
}

// announce says in the word that somebody is about to sleep on it, before the last
// look at what is waited for. Pairs with the looks in publish, advance and endTurn.
func (w *way) announce(s *pipeWait) uint32 {
	switch s.what {
	case forTurn:
		return awaitTurn(&w.ctl.turn)
	case forData:
		return setWaited(&w.ctl.notEmpty)
	case forRoom:
		w.ctl.roomAt.Store(s.p + s.n - w.size)
	}
	// A wake that is pending was for one that held the lock before, and died.
	word := w.wordOf(s.what)
	for {
		v := word.Load()
		if next := v&^pending | waited; v == next || word.CompareAndSwap(v, next) {
			return next
		}
	}
}

// awoken is what a sleeper does first when it comes back. Where it is the only one
// it takes waited back too, and spares the other side a wake that finds nobody.
func (w *way) awoken(s *pipeWait) {
	switch s.what {
	case forData:
		awake(&w.ctl.notEmpty)
	case forMore, forRoom:
		rouse(w.wordOf(s.what))
	}
}

// gaveUp is the end of a wait for nothing. It may have used up a wake.
func (s *pipeWait) gaveUp(w *way, err error) error {
	w.relay()
	switch {
	case errors.Is(err, shm.ErrClosed) || s.conn.closing():
		return shm.ErrClosed
	case s.what == forRoom:
		return errors.Join(ErrFull, err)
	}
	return errors.Join(ErrEmpty, err)
}

// waitData waits until something is there to be received, or never will be: io.EOF.
// The caller holds no lock.
func (w *way) waitData(ctx context.Context, c *Conn) error {
	return w.wait(ctx, pipeWait{conn: c, what: forData})
}

// waitTurn waits until what is in the way is not another process's.
func (w *way) waitTurn(ctx context.Context, c *Conn) error {
	if t := w.turn(); t != 0 && t != w.pipe.seg.Self() {
		return w.wait(ctx, pipeWait{conn: c, what: forTurn, peer: t})
	}
	return nil
}

// waitRoom waits until n bytes are free behind position p. The caller holds send.
func (w *way) waitRoom(ctx context.Context, c *Conn, p, n uint64) error {
	if w.pipe.gone(w.to) {
		return io.ErrClosedPipe
	}
	if free, err := w.room(p, n); free >= n || err != nil {
		return err
	}
	return w.wait(ctx, pipeWait{conn: c, what: forRoom, p: p, n: n})
}

// waitPart is waitRoom for one of several parts.
func (w *way) waitPart(ctx context.Context, c *Conn, p, n uint64) error {
	if err := w.over(ctx, pipeWait{conn: c, what: forRoom, p: p, n: n}); err != nil {
		return err
	}
	return w.waitRoom(ctx, c, p, n)
}

// waitMore waits for the next part of a message of peer. The caller holds recv.
func (w *way) waitMore(ctx context.Context, c *Conn, peer shm.Token) error {
	return w.wait(ctx, pipeWait{conn: c, what: forMore, peer: peer})
}
