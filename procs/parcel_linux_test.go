package procs_test

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"shmkit/futexlock"
	"shmkit/mpqueue"
	"shmkit/procs"
	"shmkit/shm"
)

// parcel has one of each kind of handle, as an ordinary message of the program.
type parcel struct {
	Counter *shm.Object[atomic.Int64]
	Lock    *shm.Object[futexlock.Mutex]
	Slice   *shm.Slice[int32]
	Queue   *mpqueue.Queue[string]
	Conn    *mpqueue.Conn
}

func init() { mpqueue.RegisterType[parcel]() }

// open uses everything in the parcel, and tells the sender by its Conn.
func (p *parcel) open(ctx context.Context) error {
	if err := p.Lock.Value().Lock(); err != nil {
		return err
	}
	n := p.Counter.Value().Add(1)
	p.Lock.Value().Unlock()
	v, err := p.Queue.Get(ctx)
	if err != nil {
		return err
	}
	if err := p.Conn.Send(ctx, fmt.Sprintf("%d %d %s", n, p.Slice.Data()[2], v)); err != nil {
		return err
	}
	for _, c := range []io.Closer{p.Counter, p.Lock, p.Slice, p.Queue, p.Conn} {
		if err := c.Close(); err != nil {
			return err
		}
	}
	return nil
}

type letterbox struct {
	Queue *mpqueue.Queue[parcel]
	Conn  *mpqueue.Conn
}

// recipient opens the parcels that come by the queue, then those by the pipe.
var recipient = procs.Register("recipient", func(ctx context.Context, a letterbox) error {
	for p, err := range a.Queue.All(ctx) {
		if err == nil {
			err = p.open(ctx)
		}
		if err != nil {
			return err
		}
	}
	for {
		v, err := a.Conn.Recv(ctx)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		p := v.(parcel)
		if err := p.open(ctx); err != nil {
			return err
		}
	}
})

// pack makes a parcel whose number is n, and the other end of its Conn.
func pack(t *testing.T, n int) (p parcel, answer *mpqueue.Conn) {
	t.Helper()
	var err error
	check := func(e error) {
		t.Helper()
		if e != nil {
			t.Fatal(e)
		}
	}
	p.Counter, err = shm.New[atomic.Int64]()
	check(err)
	p.Lock, err = shm.New[futexlock.Mutex]()
	check(err)
	p.Slice, err = shm.NewSlice[int32](3)
	check(err)
	p.Queue, err = mpqueue.New[string](1)
	check(err)
	answer, p.Conn, err = mpqueue.Pipe()
	check(err)
	p.Counter.Value().Store(int64(n))
	p.Slice.Data()[2] = int32(n)
	check(p.Queue.Put(t.Context(), strings.Repeat("x", n)))
	return p, answer
}

// Locks, values, queues and pipes can be sent at any time, in a message, to a
// process that runs already; Python's can be given to a new process only. The
// sender may close its own handles as soon as the message is sent, though the
// receiver be stopped.
func TestHandlesInMessages(t *testing.T) {
	for _, closes := range []bool{false, true} {
		t.Run(fmt.Sprintf("sender closes=%v", closes), func(t *testing.T) {
			q, err := mpqueue.New[parcel](4)
			if err != nil {
				t.Fatal(err)
			}
			defer q.Close()
			mine, theirs, err := mpqueue.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			p := recipient.Process(letterbox{q, theirs})
			start(t, p)
			sendParcels(t, p, closes, func(v parcel) error { return q.Put(t.Context(), v) })
			if err := q.CloseSend(); err != nil {
				t.Fatal(err)
			}
			sendParcels(t, p, closes, func(v parcel) error { return mine.Send(t.Context(), v) })
			mine.Close()
			if err := p.Join(t.Context()); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func sendParcels(t *testing.T, p *procs.Process, closes bool, send func(v parcel) error) {
	for n := 1; n <= 20; n++ {
		v, answer := pack(t, n)
		if n%5 == 0 {
			syscall.Kill(p.PID(), syscall.SIGSTOP)
		}
		if err := send(v); err != nil {
			t.Fatal(err)
		}
		all := []io.Closer{v.Counter, v.Lock, v.Slice, v.Queue, v.Conn}
		if closes {
			closeAll(t, all)
		}
		if n%5 == 0 {
			time.Sleep(5 * time.Millisecond) // it finds things as they are now
			syscall.Kill(p.PID(), syscall.SIGCONT)
		}
		got, err := answer.Recv(t.Context())
		if want := fmt.Sprintf("%d %d %s", n+1, n, strings.Repeat("x", n)); err != nil || got != want {
			t.Fatalf("parcel %d: got %v, %v, want %q", n, got, err, want)
		}
		if _, err := answer.Recv(t.Context()); err != io.EOF {
			t.Fatalf("the recipient has closed its end: %v", err)
		}
		if !closes {
			if c := v.Counter.Value().Load(); c != int64(n+1) {
				t.Errorf("the counter is %d", c)
			}
			closeAll(t, all)
		}
		answer.Close()
	}
}

func closeAll(t *testing.T, all []io.Closer) {
	for _, c := range all {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

// notOpened lives, and never looks into its letterbox.
var notOpened = procs.Register("not-opened", func(ctx context.Context, _ letterbox) error {
	<-ctx.Done()
	return nil
})

// An end that is an argument of a process that cannot be started, or dies before
// it could use it, is gone: the other end does not wait for ever.
func TestConnOfFailedProcess(t *testing.T) {
	for what, options := range map[string][]procs.Option{
		"it is killed":             nil,
		"its environment is wrong": {procs.Env("A=\x00")},
	} {
		t.Run(what, func(t *testing.T) {
			mine, theirs, err := mpqueue.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer mine.Close()
			p := notOpened.Process(letterbox{Conn: theirs}, options...)
			if err := p.Start(); (err == nil) != (options == nil) {
				t.Fatalf("Start: %v", err)
			}
			if options == nil {
				p.Kill()
				p.Join(t.Context())
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			if _, err := mine.Recv(ctx); err != io.EOF {
				t.Fatal(err)
			}
		})
	}
}

// What can be found missing before the arguments are given away leaves them here:
// Start may be tried again.
func TestConnOfSecondStart(t *testing.T) {
	dir := t.TempDir() + "/later"
	file, err := os.Create(t.TempDir() + "/file")
	if err != nil {
		t.Fatal(err)
	}
	file.Close()
	for what, c := range map[string]struct {
		option procs.Option
		want   error
	}{
		"no folder":     {procs.Dir(dir), os.ErrNotExist},
		"not a folder":  {procs.Dir(file.Name()), syscall.ENOTDIR},
		"a closed file": {procs.ExtraFiles(file), os.ErrClosed},
		"closed input":  {procs.Stdin(file), os.ErrClosed},
	} {
		t.Run(what, func(t *testing.T) {
			mine, theirs, err := mpqueue.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer mine.Close()
			p := answers.Process(theirs, c.option)
			wantError(t, "Start", p.Start(), c.want)
			if err := theirs.Send(t.Context(), "still here"); err != nil {
				t.Fatal(err)
			}
			if v, err := mine.Recv(t.Context()); v != "still here" || err != nil {
				t.Errorf("Recv = %v, %v", v, err)
			}
			if what == "no folder" {
				if err := os.Mkdir(dir, 0o700); err != nil {
					t.Fatal(err)
				}
				start(t, p)
				if v, err := mine.Recv(t.Context()); v != "hello" || err != nil {
					t.Errorf("Recv = %v, %v", v, err)
				}
			} else {
				theirs.Close()
			}
			if v, err := mine.Recv(t.Context()); err != io.EOF {
				t.Errorf("Recv = %v, %v", v, err)
			}
		})
	}
}

// answers sends one message into what it was given, however it is wrapped, closes
// it, and waits for its end.
var answers = procs.Register("answers", func(ctx context.Context, a any) error {
	switch v := a.(type) {
	case *mpqueue.Conn:
		done := ctx.Done() // from here on it can be asked to end
		err := errors.Join(v.Send(ctx, "hello"), v.Close())
		<-done
		return err
	case []any:
		return answerIn(ctx, v[0])
	case map[string]any:
		return answerIn(ctx, v["conn"])
	}
	return fmt.Errorf("got a %T", a)
})

var answerIn func(ctx context.Context, a any) error

func init() {
	gob.Register(&mpqueue.Conn{})
	answerIn = func(ctx context.Context, a any) error { return answers.Process(a).Run(ctx) }
}

// The end of a pipe may stand in an interface: it is given away once.
func TestConnInInterface(t *testing.T) {
	for _, wrap := range []func(*mpqueue.Conn) any{
		func(c *mpqueue.Conn) any { return c },
		func(c *mpqueue.Conn) any { return []any{c} },
		func(c *mpqueue.Conn) any { return map[string]any{"conn": []any{c}} },
		func(c *mpqueue.Conn) any { return []any{c.Keep()} },
	} {
		mine, theirs, err := mpqueue.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		a := wrap(theirs)
		p := start(t, answers.Process(a))
		if v, err := mine.Recv(t.Context()); v != "hello" || err != nil {
			t.Errorf("%T: Recv = %v, %v", a, v, err)
		}
		theirs.Close() // if it was kept
		// No second grant holds the end for as long as the process lives.
		if v, err := mine.Recv(t.Context()); err != io.EOF {
			t.Errorf("%T: Recv = %v, %v", a, v, err)
		}
		p.Terminate()
		if err := p.Join(t.Context()); err != nil {
			t.Errorf("%T: %v", a, err)
		}
		mine.Close()
	}
}
