package mpqueue_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"shmkit/mpqueue"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

// excusable reports whether a call in a damaged pipe may return err.
func excusable(err error) bool {
	for _, e := range []error{
		nil, mpqueue.ErrCorrupt, mpqueue.ErrFull, mpqueue.ErrEmpty, mpqueue.ErrBusy, io.EOF, io.ErrUnexpectedEOF,
		io.ErrClosedPipe, fs.ErrInvalid, shm.ErrClosed, context.DeadlineExceeded,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return errors.As(err, new(*mpqueue.TooShortError))
}

// abuse makes every call at both ends of a pipe that somebody damages meanwhile.
// Each must come back with its context.
func abuse(a, b *mpqueue.Conn, wait time.Duration, damage func()) error {
	if err := a.SendBytes(background, []byte("sent before")); err != nil {
		return err
	}
	damage()
	var all []error
	var mu sync.Mutex
	call := func(what string, f func(ctx context.Context) error) {
		ctx, cancel := context.WithTimeout(background, wait)
		defer cancel()
		begin := time.Now()
		err := f(ctx)
		if took := time.Since(begin); took > wait+10*time.Second {
			err = fmt.Errorf("it took %v", took)
		} else if excusable(err) {
			return
		}
		mu.Lock()
		all = append(all, fmt.Errorf("%s: %w", what, err))
		mu.Unlock()
	}
	var both sync.WaitGroup
	for _, c := range [][2]*mpqueue.Conn{{a, b}, {b, a}} {
		both.Go(func() {
			call("SendBytes", func(ctx context.Context) error { return c[0].SendBytes(ctx, make([]byte, 100)) })
			call("SendBytes in parts", func(ctx context.Context) error { return c[0].SendBytes(ctx, make([]byte, 6000)) })
			call("SendBytes", func(ctx context.Context) error { return c[0].SendBytes(ctx, make([]byte, 1000)) })
		})
		both.Go(func() {
			buf := make([]byte, 50)
			for range 3 {
				call("Poll", func(ctx context.Context) error { _, err := c[1].Poll(ctx); return err })
				call("RecvInto", func(ctx context.Context) error { _, err := c[1].RecvInto(ctx, buf); return err })
				call("RecvBytes", func(ctx context.Context) error { return recvError(c[1].RecvBytes(ctx, nil)) })
			}
		})
	}
	both.Wait()
	shm.Check(a.Segment()) // it may complain, not crash
	a.Segment().Sweep()
	return errors.Join(all...)
}

// TestPipeOverwriteEach turns over each byte of a pipe's words, and of its first
// messages, under those who use it.
func TestPipeOverwriteEach(t *testing.T) {
	procstest.Watchdog(t, 3*time.Minute)
	const words, ways = 2560, 4096
	begin, n := time.Now(), 0
	var turns sync.WaitGroup
	room := make(chan bool, 16) // they wait most of the time
	for off := range ways + 4096 + 64 {
		switch {
		case off >= words && off < ways, off >= 256+64 && off < 768: // nothing there, and grants like others
			continue
		case off >= ways && (off-ways)%4096 >= 64:
			continue
		case testing.Short() && off%7 != 0:
			continue
		}
		for _, flip := range []byte{1 << (off % 8), 0xff} {
			n++
			room <- true
			turns.Go(func() {
				defer func() { <-room }()
				a, b, err := mpqueue.Pipe(mpqueue.WithPipeSize(4096))
				if err != nil {
					t.Error(err)
					return
				}
				data := a.Segment().Data()
				if err := abuse(a, b, 10*time.Millisecond, func() { data[off] ^= flip }); err != nil {
					t.Errorf("byte %d turned over with %#x: %v", off, flip, err)
				}
				a.Close()
				b.Close()
			})
		}
	}
	turns.Wait()
	t.Logf("%d bytes turned over in %v", n, time.Since(begin).Round(time.Millisecond))
}

// TestPipeOverwrite writes random bytes to random places all the time.
func TestPipeOverwrite(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	r := rand.New(rand.NewPCG(uint64(procstest.Seed(t)), 0))
	for begin := time.Now(); time.Since(begin) < time.Second; {
		a, b, err := mpqueue.Pipe(mpqueue.WithPipeSize(4096))
		if err != nil {
			t.Fatal(err)
		}
		data := a.Segment().Data()
		stop, stopped := make(chan bool), make(chan bool)
		if err := abuse(a, b, 5*time.Millisecond, func() {
			go func() {
				defer close(stopped)
				for {
					select {
					case <-stop:
						return
					default:
						data[r.IntN(2560)] = byte(r.Uint32())
						data[4096+r.IntN(2*4096)] = byte(r.Uint32())
						time.Sleep(time.Duration(r.IntN(100)) * time.Microsecond)
					}
				}
			}()
		}); err != nil {
			t.Error(err)
		}
		close(stop)
		<-stopped
		a.Close()
		b.Close()
	}
}
