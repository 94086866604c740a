package mpqueue_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/pprof"
	"testing"

	"shmkit/mpqueue"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

// TestPipeCloseWakes closes a Conn under those who wait in it: for a message, for
// room, for a lock.
func TestPipeCloseWakes(t *testing.T) {
	ctx := timeout(t)
	a, b := newPipe(t, mpqueue.WithPipeSize(4096))
	const n = 5
	ends := make(chan error)
	for range n {
		go func() { ends <- second(a.Recv(ctx)) }()
		go func() { ends <- a.SendBytes(ctx, text(10000)) }()
	}
	procstest.WaitBlocked(t, 0, 2)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 * n {
		if err := <-ends; !errors.Is(err, shm.ErrClosed) {
			t.Error(err)
		}
	}
	if _, err := b.RecvBytes(ctx, nil); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a message cut off by Close: %v", err)
	}
	if _, err := b.RecvBytes(ctx, nil); err != io.EOF {
		t.Error(err)
	}
}

// TestPipeShared lets goroutines share both ends: every message comes whole, once.
func TestPipeShared(t *testing.T) {
	ctx := timeout(t)
	a, b := newPipe(t, mpqueue.WithPipeSize(4096))
	const senders, each = 4, 200
	errs := make(chan error)
	for s := range senders {
		go func() {
			for i := range each {
				m := bytes.Repeat([]byte{byte(s)}, 1+(i*i*37)%9000)
				m[0] = byte(i)
				if err := a.SendBytes(ctx, append(m, byte(s), byte(i))); err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
	var got [3][senders][each]int
	for r := range got {
		go func() {
			for {
				m, err := b.RecvBytes(ctx, nil)
				if err == io.EOF {
					errs <- nil
					return
				}
				if err != nil {
					errs <- err
					return
				}
				n := len(m) - 2
				s, i := m[n], m[n+1]
				if n != 1+(int(i)*int(i)*37)%9000 || m[0] != i || len(bytes.Trim(m[1:n], string([]byte{s}))) != 0 {
					errs <- fmt.Errorf("a torn message of %d bytes", n)
					return
				}
				got[r][s][i]++
			}
		}()
	}
	for range senders {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	a.Close()
	for range got {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	for s := range senders {
		for i := range each {
			if n := got[0][s][i] + got[1][s][i] + got[2][s][i]; n != 1 {
				t.Fatalf("message %d of sender %d came %d times", i, s, n)
			}
		}
	}
}

func threads(t *testing.T) int {
	d, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d goroutines, %d threads, %d ever made", runtime.NumGoroutine(), len(d), pprof.Lookup("threadcreate").Count())
	return len(d)
}

// TestPipeCosts: no allocation for messages of bytes.
func TestPipeCosts(t *testing.T) {
	if shm.RaceEnabled {
		t.Skip("the race detector allocates")
	}
	a, b := newPipe(t)
	buf := make([]byte, 200)
	x, y := newPipe(t)
	p, q := x.NetConn(), y.NetConn()
	for what, f := range map[string]func(){
		"SendBytes and RecvInto":  func() { a.SendBytes(background, buf[:100]); b.RecvInto(background, buf) },
		"SendBytes and RecvBytes": func() { a.SendBytes(background, buf[:100]); b.RecvBytes(background, buf[:0]) },
		"Write and Read":          func() { p.Write(buf[:100]); q.Read(buf) },
	} {
		f()
		if n := testing.AllocsPerRun(1000, f); n > 0 {
			t.Errorf("%s: %v allocations", what, n)
		}
	}
}
