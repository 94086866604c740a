package mpqueue_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"shmkit/mpqueue"
	"shmkit/procs/procstest"
)

// netStep is what a process is killed in, at its instructions. It shares one end of a
// pipe of 4 KiB, which carries bytes and has some of a stream, with the test. Wherever
// it is killed, the stream goes on at one of the places of left, and ends at one of
// those of ends: after whole Writes, and parts of one from its front.
type netStep struct {
	name   string
	has    uint64
	writes bool
	op     func(c io.ReadWriter) error
	peer   func(c io.ReadWriter) (uint64, error) // somebody is in this meanwhile
	left   []uint64                              // what a dead reader has taken
	ends   []uint64                              // where the stream ends; nil: anywhere in one long Write
}

// netLong goes through a pipe of 4 KiB in parts: first 4 KiB, then whatever has become
// free, a quarter at least.
const netLong = 6000

var netSteps = []netStep{
	{name: "Write", has: 500, writes: true, op: writeAt(500, 700), left: []uint64{0}, ends: []uint64{500, 1200}},
	{name: "Read", has: 500, op: readSome(200), left: []uint64{0, 200}, ends: []uint64{500}},
	{name: "Write to one who sleeps", writes: true, op: writeAt(0, 700), peer: readUntil(700), left: []uint64{0}, ends: []uint64{0, 700}},
	{name: "Write in parts to one who sleeps", writes: true, op: writeAt(0, netLong), peer: readUntil(netLong), left: []uint64{0}, ends: nil},
	{name: "Read from one who sleeps", has: 4096, op: readSome(2000), left: []uint64{0, 2000}, ends: []uint64{4096 + 1000},
		peer: func(c io.ReadWriter) (uint64, error) { return 0, writeAt(4096, 1000)(c) }},
}

func streamPart(at, n uint64) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = streamByte(at + uint64(i))
	}
	return b
}

func writeAt(at, n uint64) func(c io.ReadWriter) error {
	b := streamPart(at, n) // not among the instructions
	return func(c io.ReadWriter) error {
		_, err := c.Write(b)
		return err
	}
}

func readSome(n int) func(c io.ReadWriter) error {
	b := make([]byte, n)
	return func(c io.ReadWriter) error {
		_, err := c.Read(b)
		return err
	}
}

// compare reads the stream from place at until its end or place to, and returns where
// it stopped.
func compare(c io.Reader, at, to uint64) (uint64, error) {
	buf := make([]byte, 1000)
	for at < to {
		n, err := c.Read(buf[:min(uint64(len(buf)), to-at)])
		for i := range n {
			if buf[i] != streamByte(at+uint64(i)) {
				return at, fmt.Errorf("byte %d of the stream is wrong", at+uint64(i))
			}
		}
		if at += uint64(n); err != nil {
			return at, err
		}
	}
	return at, nil
}

// readUntil reads until n bytes have come, or the stream ends.
func readUntil(n uint64) func(c io.ReadWriter) (uint64, error) {
	return func(c io.ReadWriter) (uint64, error) {
		at, err := compare(c, 0, n)
		if err == io.EOF {
			err = nil
		}
		return at, err
	}
}

type netStepArgs struct {
	Conn, Other *mpqueue.Conn
	Op          int
}

var netStepper = procstest.Role("net-stepper", func(ctx context.Context, a netStepArgs) error {
	s := &netSteps[a.Op]
	// Once on a pipe of our own: what is done only the first time, by the runtime
	// too, is ten times the operation.
	x, y, err := mpqueue.Pipe(mpqueue.WithPipeSize(4096))
	if err != nil {
		return err
	}
	if _, err := x.NetConn().Write(streamPart(0, s.has)); err != nil {
		return err
	}
	own, other := x.NetConn(), y.NetConn()
	if !s.writes {
		own, other = other, own
	}
	if s.peer != nil {
		go s.peer(other)
	}
	if err := s.op(own); err != nil {
		return err
	}
	c := a.Conn.NetConn()
	procstest.Step(func() { s.op(c) })
	return nil
})

// netOutcome is of the peer.
type netOutcome struct {
	at  uint64
	err error
}

// TestNetConnEveryInstruction kills a process at the instructions of its Reads and
// Writes: the bytes before are exact, nothing is there twice or missing, and the others
// go on in the same stream.
func TestNetConnEveryInstruction(t *testing.T) {
	steps, places := netSteps, 5 // the words are those that messages go by
	if testing.Short() {
		steps, places = steps[:2], 25
	}
	cuts(t, places)
	for op := range steps {
		s := &steps[op]
		t.Run(s.name, func(t *testing.T) {
			limit := 2 * time.Minute
			if *everyStep {
				limit = 20 * time.Minute
			}
			procstest.Watchdog(t, limit)
			var a, b *mpqueue.Conn
			var peer chan netOutcome
			var longest time.Duration
			procstest.EachInstruction(t, netStepper, func(t testing.TB) netStepArgs {
				a, b = newPipe(t, mpqueue.WithPipeSize(4096))
				if _, err := a.NetConn().Write(streamPart(0, s.has)); err != nil {
					t.Fatal(err)
				}
				arg, mine := netStepArgs{Op: op, Conn: b.Keep(), Other: a.Keep()}, a
				if s.writes {
					arg.Conn, arg.Other, mine = arg.Other, arg.Conn, b
				}
				if s.peer != nil {
					peer = make(chan netOutcome, 1)
					go func() {
						at, err := s.peer(mine.NetConn())
						peer <- netOutcome{at, err}
					}()
					procstest.WaitBlocked(t, 0, 1)
				}
				return arg
			}, func(t testing.TB, _ netStepArgs) {
				begin := time.Now()
				outliveStream(t, s, a, b, peer)
				longest = max(longest, time.Since(begin))
			})
			t.Logf("the longest recovery took %v", longest)
			if longest > time.Second {
				t.Error("100 ms are allowed")
			}
		})
	}
}

// outliveStream looks at what a killed process left of a stream, and goes on with it.
func outliveStream(t testing.TB, s *netStep, a, b *mpqueue.Conn, peer chan netOutcome) {
	sent, _ := mpqueue.PipeMoved(a)
	_, received := mpqueue.PipeMoved(b)
	wait := func() (o netOutcome) {
		select {
		case o = <-peer:
			if o.err != nil {
				t.Fatal("who slept:", o.err)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("who slept still sleeps")
		}
		return o
	}
	w, r := a.NetConn(), b.NetConn()
	limit := time.Now().Add(10 * time.Second)
	w.SetDeadline(limit)
	r.SetDeadline(limit)
	const more = netLong + 3000
	total := sent + more
	if s.peer != nil && !s.writes {
		total = s.ends[0] + more // the peer is in the middle of its Write
	}
	written := make(chan error, 1)
	go func() {
		if s.peer != nil && !s.writes {
			wait()
		}
		_, err := w.Write(streamPart(total-more, more))
		written <- errors.Join(err, a.Close())
	}()
	at := received
	if s.peer != nil && s.writes {
		at = wait().at // the peer reads from the begin
	} else if !slices.Contains(s.left, received) {
		t.Errorf("the stream went on at %d, want one of %v", received, s.left)
	}
	end, err := compare(r, at, 1<<40)
	if werr := <-written; werr != nil {
		t.Fatal("a survivor's Write:", werr)
	}
	if err != io.EOF || end != total {
		t.Errorf("the stream ended at %d with %v, want %d", end, err, total)
	}
	switch {
	case s.ends == nil && sent > netLong, s.ends != nil && !slices.Contains(s.ends, total-more):
		t.Errorf("the dead process left %d bytes, want one of %v", total-more, s.ends)
	}
}
