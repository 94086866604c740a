package mpqueue_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"testing"
	"time"

	"shmkit/mpqueue"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

type pipeArgs struct {
	Conn  *mpqueue.Conn
	Other *mpqueue.Conn
	N     int
}

// echo sends back what comes, until an empty message.
var pipeEcho = procstest.Role("pipe-echo", func(ctx context.Context, a pipeArgs) error {
	for {
		b, err := a.Conn.RecvBytes(ctx, nil)
		if err != nil || len(b) == 0 {
			return errors.Join(err, a.Conn.Close())
		}
		if err := a.Conn.SendBytes(ctx, b); err != nil {
			return err
		}
	}
})

// holder holds what it was given until it is told to end, and sends N messages of
// 20,000 bytes before.
var pipeHolder = procstest.Role("pipe-holder", func(ctx context.Context, a pipeArgs) error {
	for i := range a.N {
		if err := a.Conn.SendBytes(ctx, bytes.Repeat([]byte{byte(i)}, 20000)); err != nil {
			return err
		}
	}
	<-ctx.Done()
	return nil
})

// eater receives N messages and holds the end.
var pipeEater = procstest.Role("pipe-eater", func(ctx context.Context, a pipeArgs) error {
	for range a.N {
		if _, err := a.Conn.RecvBytes(ctx, nil); err != nil {
			return err
		}
	}
	<-ctx.Done()
	return nil
})

// giver passes its end on, through a pipe, and ends.
var pipeGiver = procstest.Role("pipe-giver", func(ctx context.Context, a pipeArgs) error {
	if err := a.Other.Send(ctx, a.Conn); err != nil {
		return err
	}
	// The handle is good as long as this process lives.
	_, err := a.Other.Recv(ctx)
	return err
})

// TestPipeEcho sends messages of up to 16 MiB to another process and back. Closing
// what was given away changes nothing; when the other one has quit comes the end.
func TestPipeEcho(t *testing.T) {
	ctx := timeout(t)
	a, b := newPipe(t)
	p := pipeEcho.Start(t, pipeArgs{Conn: b})
	if err := b.Send(ctx, 1); !errors.Is(err, shm.ErrClosed) {
		t.Errorf("an end that was given away: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	for _, n := range []int{1, 100, 64 << 10, 16 << 20} {
		want := text(n)
		sent := make(chan error)
		go func() { sent <- a.SendBytes(ctx, want) }()
		got, err := a.RecvBytes(ctx, nil)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%d bytes: got %d, %v", n, len(got), err)
		}
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
	}
	if err := a.SendBytes(ctx, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := a.RecvBytes(ctx, nil); err != io.EOF {
		t.Fatal(err)
	}
	if err := a.SendBytes(ctx, nil); !errors.Is(err, io.ErrClosedPipe) {
		t.Fatal(err)
	}
	p.Wait()
}

// TestPipeEnd: however the last holder of an end goes, the other side learns it;
// as long as one is left, it does not.
func TestPipeEnd(t *testing.T) {
	recv := func(ctx context.Context, c *mpqueue.Conn) <-chan error {
		got := make(chan error)
		go func() { got <- second(c.RecvBytes(ctx, nil)) }()
		procstest.WaitBlocked(t, 0, 1)
		return got
	}
	t.Run("killed", func(t *testing.T) {
		a, b := newPipe(t)
		p := pipeHolder.Start(t, pipeArgs{Conn: b})
		got := recv(timeout(t), a)
		p.Stop()
		if ok, _ := a.Poll(within(t, 150*time.Millisecond)); ok {
			t.Fatal("a stopped process has lost its end")
		}
		begin := time.Now()
		p.Kill()
		if err := <-got; err != io.EOF {
			t.Fatal(err)
		}
		t.Logf("the end of the stream %v after the kill", time.Since(begin))
	})
	t.Run("killed at startup", func(t *testing.T) {
		for _, point := range []string{"shm.attach.byte", "shm.attach.claimed", "mpqueue.pipe.acquired", "mpqueue.pipe.redeemed"} {
			a, b := newPipe(t)
			p := pipeHolder.Start(t, pipeArgs{Conn: b}, procstest.KillAt(point, 1))
			begin := time.Now()
			if _, err := a.RecvBytes(timeout(t), nil); err != io.EOF {
				t.Fatal(point, err)
			}
			t.Logf("%s: the end of the stream after %v", point, time.Since(begin))
			p.Wait()
		}
	})
	t.Run("kept", func(t *testing.T) {
		a, b := newPipe(t)
		p := pipeHolder.Start(t, pipeArgs{Conn: b.Keep()})
		q := pipeHolder.Start(t, pipeArgs{Conn: b})
		p.Kill()
		got := recv(timeout(t), a)
		b.Close()
		if ok, _ := a.Poll(within(t, 150*time.Millisecond)); ok {
			t.Fatal("one process still has the end")
		}
		q.Kill()
		if err := <-got; err != io.EOF {
			t.Fatal(err)
		}
	})
	t.Run("a sender waits", func(t *testing.T) {
		a, b := newPipe(t, mpqueue.WithPipeSize(4096))
		p := pipeHolder.Start(t, pipeArgs{Conn: b})
		sent := make(chan error)
		ctx := timeout(t)
		go func() { sent <- a.SendBytes(ctx, text(10000)) }()
		procstest.WaitBlocked(t, 0, 1)
		p.Kill()
		if err := <-sent; !errors.Is(err, io.ErrClosedPipe) {
			t.Fatal(err)
		}
	})
}

// TestPipeGivenOn sends a connection through a connection: both ends leave this process; one goes on to a third,
// inside a message, and its giver ends.
func TestPipeGivenOn(t *testing.T) {
	ctx := timeout(t)
	a, b := newPipe(t)
	x, y := newPipe(t)
	e := pipeEcho.Start(t, pipeArgs{Conn: a})
	g := pipeGiver.Start(t, pipeArgs{Conn: b, Other: y})
	v, err := x.Recv(ctx)
	if err != nil {
		t.Fatal(err)
	}
	c, ok := v.(*mpqueue.Conn)
	if !ok {
		t.Fatalf("received a %T", v)
	}
	defer c.Close()
	if err := x.Send(ctx, "thanks"); err != nil {
		t.Fatal(err)
	}
	if s := g.Wait(); s.Err != nil {
		t.Fatal(s)
	}
	for _, want := range []string{"over", "three", "processes"} {
		if err := c.SendBytes(ctx, []byte(want)); err != nil {
			t.Fatal(err)
		}
		if got, err := c.RecvBytes(ctx, nil); string(got) != want || err != nil {
			t.Fatal(got, err)
		}
	}
	c.SendBytes(ctx, nil)
	if s := e.Wait(); s.Err != nil {
		t.Fatal(s)
	}
	if _, err := c.RecvBytes(ctx, nil); err != io.EOF {
		t.Fatal(err)
	}
}

// TestPipeCut kills a sender in the middle of a large message, and a receiver: the
// one message is lost, the next comes whole.
func TestPipeCut(t *testing.T) {
	ctx := timeout(t)
	t.Run("sender", func(t *testing.T) {
		for n := 1; n <= 4; n++ {
			a, b := newPipe(t, mpqueue.WithPipeSize(4096))
			p := pipeHolder.Start(t, pipeArgs{Conn: b.Keep(), N: 1}, procstest.KillAt("mpqueue.pipe.published", n))
			if _, err := a.RecvBytes(ctx, nil); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatal(n, err)
			}
			p.Wait()
			go b.SendBytes(ctx, text(20000))
			if got, err := a.RecvBytes(ctx, nil); err != nil || !bytes.Equal(got, text(20000)) {
				t.Fatal(n, len(got), err)
			}
		}
	})
	t.Run("sender, nobody left", func(t *testing.T) {
		a, b := newPipe(t, mpqueue.WithPipeSize(4096))
		p := pipeHolder.Start(t, pipeArgs{Conn: b, N: 1}, procstest.KillAt("mpqueue.pipe.published", 2))
		defer p.Wait()
		if _, err := a.RecvBytes(ctx, nil); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatal(err)
		}
		if _, err := a.RecvBytes(ctx, nil); err != io.EOF {
			t.Fatal(err)
		}
	})
	t.Run("receiver", func(t *testing.T) {
		for _, point := range []string{"mpqueue.pipe.copied", "mpqueue.pipe.taken"} {
			for n := 1; n <= 3; n++ {
				a, b := newPipe(t, mpqueue.WithPipeSize(4096))
				p := pipeEater.Start(t, pipeArgs{Conn: b.Keep(), N: 1}, procstest.KillAt(point, n))
				go func() {
					a.SendBytes(ctx, text(20000))
					a.SendBytes(ctx, []byte("next"))
				}()
				p.Wait()
				got, err := b.RecvBytes(ctx, nil)
				if err == nil && bytes.Equal(got, text(20000)) && point == "mpqueue.pipe.copied" && n == 1 {
					got, err = b.RecvBytes(ctx, nil) // it had taken nothing yet
				}
				if string(got) != "next" || err != nil {
					t.Fatal(point, n, len(got), err)
				}
			}
		}
	})
	t.Run("a living receiver has a part", func(t *testing.T) {
		a, b := newPipe(t, mpqueue.WithPipeSize(4096))
		go a.SendBytes(ctx, text(20000))
		p := pipeEater.Start(t, pipeArgs{Conn: b.Keep(), N: 1}, procstest.StopAt("mpqueue.pipe.taken", 2))
		p.WaitStopped()
		if _, err := b.RecvBytes(within(t, 20*time.Millisecond), nil); !errors.Is(err, mpqueue.ErrEmpty) {
			t.Fatal(err)
		}
		go a.SendBytes(ctx, []byte("next"))
		p.Cont()
		if got, err := b.RecvBytes(ctx, nil); string(got) != "next" || err != nil {
			t.Fatal(len(got), err)
		}
	})
}

// TestPipeSignals: signals do not disturb calls that wait.
func TestPipeSignals(t *testing.T) {
	ctx := timeout(t)
	a, b := newPipe(t, mpqueue.WithPipeSize(4096))
	p := pipeEcho.Start(t, pipeArgs{Conn: b})
	procstest.WaitBlocked(t, p.PID(), 1)
	for range 50 {
		p.Signal(syscall.SIGWINCH)
	}
	if err := a.SendBytes(ctx, text(10000)); err != nil {
		t.Fatal(err)
	}
	procstest.WaitBlocked(t, p.PID(), 1) // in its Send
	for range 50 {
		p.Signal(syscall.SIGWINCH)
	}
	if got, err := a.RecvBytes(ctx, nil); err != nil || !bytes.Equal(got, text(10000)) {
		t.Fatal(len(got), err)
	}
	a.SendBytes(ctx, nil)
	if s := p.Wait(); s.Err != nil {
		t.Fatal(s)
	}
}

// crowd sends N messages of up to 100 KB, marked with its process.
var pipeCrowd = procstest.Role("pipe-crowd", func(ctx context.Context, a pipeArgs) error {
	for i := range a.N {
		m := bytes.Repeat([]byte{byte(os.Getpid())}, 1+i*2500%100000)
		if err := a.Conn.SendBytes(ctx, m); err != nil {
			return err
		}
	}
	return a.Conn.Close()
})

// TestPipeCrowd: processes that send large messages into one end do not tear them.
// Python's pipes do.
func TestPipeCrowd(t *testing.T) {
	ctx := timeout(t)
	a, b := newPipe(t)
	const k, n = 3, 40
	for range k {
		pipeCrowd.Start(t, pipeArgs{Conn: b.Keep(), N: n})
	}
	b.Close()
	count := map[byte]int{}
	for {
		m, err := a.RecvBytes(ctx, nil)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(bytes.Trim(m, string(m[:1]))) != 0 {
			t.Fatalf("a torn message of %d bytes", len(m))
		}
		count[m[0]]++
	}
	total := 0
	for _, c := range count {
		total += c
	}
	if total != k*n {
		t.Fatal(fmt.Sprint(count))
	}
}
