package mpqueue_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"shmkit/mpqueue"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

// TestPipeSenderGivesUp: a sender whose context ends in the middle of a message
// tells the receiver at once, and the next message comes whole.
func TestPipeSenderGivesUp(t *testing.T) {
	ctx := timeout(t)
	a, b := newPipe(t, mpqueue.WithPipeSize(4096))
	want := text(20000)
	if err := a.SendBytes(within(t, 20*time.Millisecond), want); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, mpqueue.ErrFull) {
		t.Fatal(err)
	}
	if _, err := b.RecvBytes(ctx, nil); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatal(err)
	}
	sent := make(chan error)
	go func() { sent <- a.SendBytes(ctx, want) }()
	if got, err := b.RecvBytes(ctx, nil); err != nil || !bytes.Equal(got, want) {
		t.Fatal(len(got), err)
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	if err := a.SendBytes(done, []byte("x")); err != nil {
		t.Fatal("done context, room: one try:", err)
	}
	if got, err := b.RecvBytes(done, nil); string(got) != "x" || err != nil {
		t.Fatal(got, err)
	}
}

// stalled returns a pipe and a process that holds end b, as this one does. It has
// sent one part of the first of n messages of 20,000 bytes, and stands still.
func stalled(t *testing.T, n int) (a, b *mpqueue.Conn, p *procstest.Proc) {
	a, b = newPipe(t, mpqueue.WithPipeSize(4096))
	p = pipeHolder.Start(t, pipeArgs{Conn: b.Keep(), N: n}, procstest.StopAt("mpqueue.pipe.published", 1))
	p.WaitStopped()
	return a, b, p
}

// TestPipeReceiverGivesUp: a receiver whose context ends in the middle of a message
// loses nothing of it.
func TestPipeReceiverGivesUp(t *testing.T) {
	ctx := timeout(t)
	a, _, p := stalled(t, 1)
	for _, c := range []context.Context{within(t, 20*time.Millisecond), done, done} {
		if b, err := a.RecvBytes(c, []byte("mine")); !errors.Is(err, c.Err()) || !errors.Is(err, mpqueue.ErrEmpty) || string(b) != "mine" {
			t.Fatalf("%q, %v", b, err)
		}
	}
	var short *mpqueue.TooShortError
	if _, err := a.RecvInto(done, make([]byte, 10)); !errors.As(err, &short) || short.Size != 20000 {
		t.Fatal(err)
	}
	p.Cont()
	if b, err := a.RecvBytes(ctx, nil); err != nil || !bytes.Equal(b, make([]byte, 20000)) {
		t.Fatal(len(b), err)
	}
}

// pipeSharer sends what it receives on by another pipe.
var pipeSharer = procstest.Role("pipe-sharer", func(ctx context.Context, a pipeArgs) error {
	for {
		b, err := a.Conn.RecvBytes(ctx, nil)
		if err == io.EOF {
			return a.Other.Close()
		}
		if err != nil {
			return err
		}
		if err := a.Other.SendBytes(ctx, b); err != nil {
			return err
		}
	}
})

// TestPipeTurnGivenUp: who has received part of a message, gave up, and closes the
// end, does not hold up those who share it. The message is lost, the next comes.
func TestPipeTurnGivenUp(t *testing.T) {
	ctx := timeout(t)
	a, _, p := stalled(t, 2)
	x, y := newPipe(t)
	if _, err := a.RecvBytes(done, nil); !errors.Is(err, mpqueue.ErrEmpty) {
		t.Fatal(err)
	}
	q := pipeSharer.Start(t, pipeArgs{Conn: a.Keep(), Other: y})
	procstest.WaitBlocked(t, q.PID(), 1) // for our turn to end
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	p.Cont()
	if got, err := x.RecvBytes(ctx, nil); err != nil || !bytes.Equal(got, bytes.Repeat([]byte{1}, 20000)) {
		t.Fatal(len(got), err)
	}
}

// TestPipeCloseOne closes a Conn in which a goroutine stands in line behind one of
// another Conn of the same end, which goes on waiting.
func TestPipeCloseOne(t *testing.T) {
	for _, ctx := range []context.Context{background, timeout(t)} {
		a, b := newPipe(t)
		c := sibling(t, a)
		first, second := make(chan error), make(chan error)
		go func() { first <- recvError(a.RecvBytes(ctx, nil)) }()
		procstest.WaitBlocked(t, 0, 1)
		go func() { second <- recvError(c.RecvBytes(ctx, nil)) }()
		time.Sleep(5 * time.Millisecond) // no matter if it is not in line yet
		begin := time.Now()
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-second; !errors.Is(err, shm.ErrClosed) {
			t.Fatal(err)
		}
		if d := time.Since(begin); d > time.Second {
			t.Errorf("Close took %v", d)
		}
		if err := b.SendBytes(ctx, nil); err != nil {
			t.Fatal(err)
		}
		if err := <-first; err != nil {
			t.Fatal(err)
		}
	}
}

// TestPipeBusy: with a context that is done, "full" and "empty" are the truth; if
// somebody else is in the middle of a call the error is ErrBusy.
func TestPipeBusy(t *testing.T) {
	a, b := newPipe(t)
	p := pipeHolder.Start(t, pipeArgs{Conn: b.Keep(), N: 1}, procstest.StopAt("mpqueue.pipe.published", 1))
	p.WaitStopped() // it holds the lock, and its message is there
	if err := b.SendBytes(done, nil); !errors.Is(err, mpqueue.ErrBusy) || errors.Is(err, mpqueue.ErrFull) {
		t.Error("a sender:", err)
	}
	q := pipeEater.Start(t, pipeArgs{Conn: a.Keep(), N: 1}, procstest.StopAt("mpqueue.pipe.copied", 1))
	q.WaitStopped()
	if _, err := a.RecvBytes(done, nil); !errors.Is(err, mpqueue.ErrBusy) || errors.Is(err, mpqueue.ErrEmpty) {
		t.Error("a receiver:", err)
	}
	q.Kill()
	p.Cont()
	if got, err := a.RecvBytes(timeout(t), nil); len(got) != 20000 || err != nil {
		t.Error(len(got), err)
	}
}

// TestPipeRestGoesToReceiver: parts of a large message wake the process that is in
// the middle of it, though others have waited for a message for longer.
func TestPipeRestGoesToReceiver(t *testing.T) {
	var alone, shared []time.Duration
	for range 7 {
		alone = append(alone, throughSharers(t, 1))
		shared = append(shared, throughSharers(t, 3))
	}
	slices.Sort(alone)
	slices.Sort(shared)
	t.Logf("40 parts to one who waits: median %v; past two others: median %v, longest %v", alone[3], shared[3], shared[6])
	if shared[3] > 90*time.Millisecond+3*alone[3] {
		t.Error("a wake went to one who could do nothing with it")
	}
}

// throughSharers sends a message in 40 parts to one of k processes that wait, which
// sends it on, and returns how long that took.
func throughSharers(t *testing.T, k int) time.Duration {
	ctx := timeout(t)
	a, b := newPipe(t, mpqueue.WithPipeSize(4096))
	x, y := newPipe(t)
	var sharers []*procstest.Proc
	for range k {
		p := pipeSharer.Start(t, pipeArgs{Conn: a.Keep(), Other: y.Keep()})
		procstest.WaitBlocked(t, p.PID(), 1)
		sharers = append(sharers, p)
	}
	y.Close()
	begin := time.Now()
	if err := b.SendBytes(ctx, text(40000)); err != nil {
		t.Fatal(err)
	}
	if got, err := x.RecvBytes(ctx, nil); err != nil || !bytes.Equal(got, text(40000)) {
		t.Fatal(len(got), err)
	}
	took := time.Since(begin)
	a.Close()
	b.Close()
	for _, p := range sharers {
		if s := p.Wait(); s.Err != nil {
			t.Fatal(s)
		}
	}
	return took
}

// TestPipeCancelDelay measures how long after its context a call returns.
func TestPipeCancelDelay(t *testing.T) {
	a, _ := newPipe(t, mpqueue.WithPipeSize(4096))
	for a.SendBytes(done, make([]byte, 1000)) == nil {
	}
	calls := map[string]func(ctx context.Context) error{
		"Recv from an empty pipe": func(ctx context.Context) error { return recvError(a.RecvBytes(ctx, nil)) },
		"Send to a full pipe":     func(ctx context.Context) error { return a.SendBytes(ctx, make([]byte, 1000)) },
		"Poll": func(ctx context.Context) error {
			_, err := a.Poll(ctx)
			return errors.Join(err, ctx.Err())
		},
	}
	for what, call := range calls {
		for _, how := range []string{"deadline", "cancel"} {
			judgeMedian(t, what+", "+how, func() (late []time.Duration) {
				for range 20 {
					const wait = 5 * time.Millisecond
					ctx, cancel := context.WithTimeout(background, wait)
					if how == "cancel" {
						ctx, cancel = context.WithCancel(background)
						time.AfterFunc(wait, cancel)
					}
					begin := time.Now()
					if err := call(ctx); !errors.Is(err, ctx.Err()) || ctx.Err() == nil {
						t.Fatal(what, err)
					}
					late = append(late, time.Since(begin)-wait)
					cancel()
				}
				return late
			})
		}
	}
}

// sibling opens another Conn of the same end in this process.
func sibling(t *testing.T, c *mpqueue.Conn) *mpqueue.Conn {
	t.Helper()
	ref, err := c.Keep().MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	s := new(mpqueue.Conn)
	if err := s.UnmarshalBinary(ref); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}
