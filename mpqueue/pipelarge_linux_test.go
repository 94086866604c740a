package mpqueue_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"shmkit/mpqueue"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

// TestPipeLargeStops: deadline and Close end a transfer that keeps moving, on both
// sides, and what the deadline of a receiver interrupts is not lost.
func TestPipeLargeStops(t *testing.T) {
	size := 128 << 20 // takes some 30 ms and more
	if shm.RaceEnabled {
		size /= 8
	}
	large := make([]byte, size)
	for i := 0; i < len(large); i += 4096 {
		large[i] = byte(i >> 12)
	}
	const soon = 2 * time.Millisecond
	late := func(t *testing.T, begin time.Time) {
		t.Helper()
		d := time.Since(begin) - soon
		t.Logf("%v late; 10 ms are allowed", d)
		// Between two looks at the clock the memory of the message may grow, and then
		// up to 64 MiB are copied: beside a load, or with the race detector, that
		// alone takes 100 ms. Who did not look at all is told by the error.
		if d > 500*time.Millisecond {
			t.Error("that is too late")
		}
	}
	t.Run("deadline of a receiver", func(t *testing.T) {
		a, b := newPipe(t)
		sent := make(chan error, 1)
		go func() { sent <- a.SendBytes(timeout(t), large) }()
		ctx := within(t, soon)
		begin := time.Now()
		if got, err := b.RecvBytes(ctx, []byte("mine")); !errors.Is(err, context.DeadlineExceeded) || string(got) != "mine" {
			t.Fatal(len(got), err)
		}
		late(t, begin)
		tries := 0
		for ; ; tries++ {
			got, err := b.RecvBytes(within(t, soon), nil)
			if errors.Is(err, context.DeadlineExceeded) && len(got) == 0 {
				continue
			}
			if err != nil || !bytes.Equal(got, large) {
				t.Fatal(len(got), err)
			}
			break
		}
		t.Logf("%d more tries", tries)
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
	})
	t.Run("one try after the other", func(t *testing.T) {
		a, b := newPipe(t)
		sent := make(chan error, 1)
		go func() { sent <- a.SendBytes(timeout(t), large[:16<<20]) }()
		buf := make([]byte, 16<<20)
		for begin := time.Now(); ; {
			n, err := b.RecvInto(done, buf)
			if errors.Is(err, mpqueue.ErrEmpty) && time.Since(begin) < time.Minute {
				continue
			}
			if err != nil || !bytes.Equal(buf[:n], large[:16<<20]) {
				t.Fatal(n, err)
			}
			break
		}
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
	})
	t.Run("deadline of a sender", func(t *testing.T) {
		// On a busy machine the time may be over before anything is sent, and then
		// there is nothing to receive.
		for range 20 {
			a, b := newPipe(t)
			got := make(chan error, 1)
			patience, giveUp := context.WithCancel(timeout(t))
			go func() {
				_, err := b.RecvInto(patience, make([]byte, len(large)))
				got <- err
			}()
			begin := time.Now()
			if err := a.SendBytes(within(t, soon), large); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatal(err)
			}
			late(t, begin)
			told := time.AfterFunc(time.Second, giveUp)
			err := <-got
			told.Stop()
			giveUp()
			if errors.Is(err, io.ErrUnexpectedEOF) {
				return
			}
			if !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
		}
		t.Fatal("20 times: who receives is not told that the message will not be finished")
	})
	t.Run("Close", func(t *testing.T) {
		a, b := newPipe(t)
		go a.SendBytes(timeout(t), large)
		got := make(chan error, 1)
		go func() { _, err := b.RecvBytes(timeout(t), nil); got <- err }()
		time.Sleep(soon)
		begin := time.Now().Add(-soon)
		b.Close()
		late(t, begin)
		if err := <-got; !errors.Is(err, shm.ErrClosed) {
			t.Fatal(err)
		}
	})
	t.Run("Write", func(t *testing.T) {
		a, b := newPipe(t)
		go io.Copy(io.Discard, b.NetConn())
		c := a.NetConn()
		begin := time.Now()
		c.SetWriteDeadline(begin.Add(soon))
		n, err := c.Write(large)
		if !errors.Is(err, os.ErrDeadlineExceeded) || n >= len(large) {
			t.Fatal(n, err)
		}
		late(t, begin)
	})
}

// TestPipePollLeftovers: the rest of a message whose receiver died is nothing that
// can be received, and Poll does not say that it is.
func TestPipePollLeftovers(t *testing.T) {
	ctx := timeout(t)
	a, b := newPipe(t, mpqueue.WithPipeSize(4096))
	p := pipeEater.Start(t, pipeArgs{Conn: b.Keep(), N: 1}, procstest.KillAt("mpqueue.pipe.taken", 1))
	// In the way are parts, and that the sender gave up.
	if err := a.SendBytes(within(t, 200*time.Millisecond), text(20000)); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	p.Wait()
	if ok, err := b.Poll(within(t, 300*time.Millisecond)); ok || err != nil {
		t.Error("nothing can be received; Poll:", ok, err)
	}
	if err := a.SendBytes(ctx, []byte("next")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if ok, err := b.Poll(ctx); !ok || err != nil {
			t.Fatal("Poll:", ok, err)
		}
	}
	if got, err := b.RecvBytes(done, nil); string(got) != "next" || err != nil {
		t.Fatal(string(got), err)
	}
	a.Close()
	if ok, err := b.Poll(ctx); !ok || err != nil {
		t.Fatal("the end; Poll:", ok, err)
	}
}

// countdown is a context that is done when it has been asked some times.
type countdown struct {
	context.Context
	left int
}

func (c *countdown) Err() error {
	if c.left--; c.left >= 0 {
		return nil
	}
	return context.DeadlineExceeded
}

// TestPipePartsAsk: between the parts of a message the context is looked at, though
// each part is ready, or has room.
func TestPipePartsAsk(t *testing.T) {
	ctx := timeout(t)
	want := text(4500) // five parts, of which four fit
	a, b := newPipe(t, mpqueue.WithPipeSize(4096))
	if err := a.SendBytes(&countdown{ctx, 2}, want); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, mpqueue.ErrFull) {
		t.Fatal("send:", err)
	}
	if _, err := b.RecvBytes(ctx, nil); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatal(err)
	}
	sent := make(chan error, 1)
	go func() { sent <- a.SendBytes(ctx, want) }()
	procstest.WaitBlocked(t, 0, 1)
	if got, err := b.RecvBytes(&countdown{ctx, 3}, nil); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, mpqueue.ErrEmpty) {
		t.Fatal("receive:", len(got), err)
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	if got, err := b.RecvBytes(done, nil); err != nil || !bytes.Equal(got, want) {
		t.Fatal("one try at what is there:", len(got), err)
	}
}

// slowTimer is a context whose deadline has passed, and whose timer has not noticed.
type slowTimer struct{ context.Context }

func (slowTimer) Deadline() (time.Time, bool) { return time.Now().Add(-time.Second), true }

// TestPipeLateTimer: a transfer that keeps moving ends with its deadline, though the
// timer that should say so is late, as it is when all processors copy.
func TestPipeLateTimer(t *testing.T) {
	ctx := slowTimer{timeout(t)}
	a, b := newPipe(t, mpqueue.WithPipeSize(4096))
	if err := a.SendBytes(ctx, text(20000)); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, mpqueue.ErrFull) {
		t.Error("send:", err)
	}
	go a.SendBytes(timeout(t), text(4500)) // five parts, of which four fit
	procstest.WaitBlocked(t, 0, 1)
	if _, err := b.RecvBytes(ctx, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Error("receive:", err)
	}
	x, y := newPipe(t)
	go io.Copy(io.Discard, y.NetConn())
	c := x.NetConn()
	mpqueue.PassDeadline(c)
	if n, err := c.Write(make([]byte, 1<<20)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("write:", n, err)
	}
	c.SetWriteDeadline(time.Time{})
	if n, err := c.Write(make([]byte, 1<<20)); err != nil {
		t.Error("write without a deadline:", n, err)
	}
}
