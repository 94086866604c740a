package mpqueue_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"reflect"
	"strings"
	"testing"
	"time"

	"shmkit/mpqueue"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

// newPipe makes a pipe that is checked and closed when the test ends.
func newPipe(t testing.TB, opts ...mpqueue.PipeOption) (a, b *mpqueue.Conn) {
	t.Helper()
	a, b, err := mpqueue.Pipe(opts...)
	if err != nil {
		t.Fatal(err)
	}
	s := a.Segment()
	t.Cleanup(func() {
		if !s.Closed() {
			s.Sweep()
			for _, err := range shm.Check(s) {
				t.Errorf("after the test: %v", err)
			}
		}
		if err := errors.Join(a.Close(), b.Close()); err != nil {
			t.Error(err)
		}
	})
	return a, b
}

// done is a context that is done already: try once.
var done = func() context.Context {
	ctx, cancel := context.WithCancel(background)
	cancel()
	return ctx
}()

func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(background, d)
	t.Cleanup(cancel)
	return ctx
}

// text is n bytes that tell where they are.
func text(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i>>16 + i>>8 + i)
	}
	return b
}

// TestPipeMessages sends messages of all sizes around those of the pipe, in both
// directions, across the wrap of positions.
func TestPipeMessages(t *testing.T) {
	ctx := timeout(t)
	for _, first := range []uint64{0, 1<<64 - 504, 1<<63 - 504} {
		a, b := newPipe(t, mpqueue.WithPipeSize(1), mpqueue.PipeFirst(first))
		const size = 4096
		for _, n := range []int{0, 1, 7, 8, 9, 100, size - 16, size - 9, size - 8, size - 7, size, size + 1, 3*size + 5, 10*size - 3, 1 << 20} {
			want := text(n)
			for way, c := range [][2]*mpqueue.Conn{{a, b}, {b, a}} {
				sent := make(chan error)
				go func() { sent <- errors.Join(c[0].SendBytes(ctx, want), c[0].SendBytes(ctx, want[:n/2])) }()
				got, err := c[1].RecvBytes(ctx, []byte("x"))
				if err != nil || !bytes.Equal(got[1:], want) || got[0] != 'x' {
					t.Fatalf("first %#x, way %d, %d bytes: got %d, %v", first, way, n, len(got), err)
				}
				buf := make([]byte, n/2)
				if k, err := c[1].RecvInto(ctx, buf); err != nil || k != n/2 || !bytes.Equal(buf, want[:n/2]) {
					t.Fatalf("%d bytes: got %d, %v", n/2, k, err)
				}
				if err := <-sent; err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// TestPipeValues: what Python's send takes comes back equal.
func TestPipeValues(t *testing.T) {
	ctx := timeout(t)
	a, b := newPipe(t)
	now := time.Now()
	for _, v := range []any{
		nil, true, 42, 2.5, "hello world", []byte("bytes"), []any{1, 2.25, nil}, map[string]any{"k": []int{1, 2}},
	} {
		if err := a.Send(ctx, v); err != nil {
			t.Fatal(err)
		}
		got, err := b.Recv(ctx)
		if err != nil || !reflect.DeepEqual(got, v) {
			t.Errorf("got %#v, %v, want %#v", got, err, v)
		}
	}
	if err := a.Send(ctx, now); err != nil {
		t.Fatal(err)
	}
	if got, err := b.Recv(ctx); err != nil || !got.(time.Time).Equal(now) {
		t.Error(got, err)
	}
	type unknown struct{ A int }
	if err := a.Send(ctx, unknown{1}); err == nil || !strings.Contains(err.Error(), "RegisterType") {
		t.Errorf("a type that nobody knows: %v", err)
	}
	if err := a.SendBytes(ctx, []byte("no value")); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Recv(ctx); !errors.Is(err, mpqueue.ErrCorrupt) {
		t.Errorf("bytes that are no value: %v", err)
	}
	if err := a.Send(ctx, 7); err != nil {
		t.Fatal(err)
	}
	if v, err := b.Recv(ctx); v != 7 || err != nil {
		t.Error("after that:", v, err)
	}
}

// TestPipeTooShort: a message that does not fit the buffer stays, where Python's is
// gone.
func TestPipeTooShort(t *testing.T) {
	ctx := timeout(t)
	a, b := newPipe(t, mpqueue.WithPipeSize(4096))
	for _, n := range []int{110, 100 << 10} {
		want := text(n)
		sent := make(chan error)
		go func() { sent <- a.SendBytes(ctx, want) }()
		for range 2 {
			k, err := b.RecvInto(ctx, make([]byte, 40))
			var short *mpqueue.TooShortError
			if !errors.As(err, &short) || short.Size != n || short.Have != 40 || k != 0 {
				t.Fatal(k, err)
			}
		}
		if got, err := b.RecvBytes(ctx, nil); err != nil || !bytes.Equal(got, want) {
			t.Fatal(len(got), err)
		}
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
	}
}

// TestPipePoll: Poll says no at once, or after its time; it sees empty messages, and
// the end, takes nothing, and says the same again.
func TestPipePoll(t *testing.T) {
	ctx := timeout(t)
	a, b := newPipe(t)
	poll := func(ctx context.Context, want bool) {
		t.Helper()
		if ok, err := b.Poll(ctx); ok != want || err != nil {
			t.Fatalf("Poll: %v, %v", ok, err)
		}
	}
	begin := time.Now()
	poll(done, false)
	poll(within(t, 20*time.Millisecond), false)
	if took := time.Since(begin); took < 20*time.Millisecond {
		t.Errorf("Poll gave up after %v", took)
	}
	for _, s := range []string{"hello", "", "a", "b", "", "bye", "", "lop"} {
		if err := a.SendBytes(ctx, []byte(s)); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"hello", "", "a", "b", "", "bye", "", "lop"} {
		poll(done, true)
		poll(ctx, true)
		if got, err := b.RecvBytes(ctx, nil); string(got) != want || err != nil {
			t.Fatalf("%q, %v, want %q", got, err, want)
		}
	}
	poll(done, false)
	go func() {
		procstest.WaitBlocked(t, 0, 1)
		a.Close()
	}()
	poll(ctx, true) // the end of the stream
	if _, err := b.RecvBytes(ctx, nil); err != io.EOF {
		t.Fatal(err)
	}
}

// TestPipeOneWay: of a one-way pipe the reader cannot send, nor the writer receive
// or poll.
func TestPipeOneWay(t *testing.T) {
	ctx := timeout(t)
	r, w := newPipe(t, mpqueue.OneWay())
	if r.Writable() || !r.Readable() || w.Readable() || !w.Writable() {
		t.Error("directions")
	}
	if err := r.SendBytes(ctx, nil); !errors.Is(err, mpqueue.ErrDirection) {
		t.Error(err)
	}
	if _, err := w.RecvBytes(ctx, nil); !errors.Is(err, mpqueue.ErrDirection) {
		t.Error(err)
	}
	if _, err := w.Poll(ctx); !errors.Is(err, mpqueue.ErrDirection) {
		t.Error(err)
	}
	if err := w.Send(ctx, 1); err != nil {
		t.Fatal(err)
	}
	if v, err := r.Recv(ctx); v != 1 || err != nil {
		t.Fatal(v, err)
	}
}

// TestPipeClose: what calls on closed ends return, and that they end.
func TestPipeClose(t *testing.T) {
	ctx := timeout(t)
	a, b := newPipe(t, mpqueue.WithPipeSize(4096))
	if err := a.SendBytes(ctx, []byte("left")); err != nil {
		t.Fatal(err)
	}
	full := make(chan error)
	go func() { full <- b.SendBytes(ctx, text(10000)) }()
	procstest.WaitBlocked(t, 0, 1)
	if err := errors.Join(a.Close(), a.Close()); err != nil {
		t.Fatal(err)
	}
	if err := <-full; !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("a Send that waits: %v", err)
	}
	if err := b.Send(ctx, 1); !errors.Is(err, io.ErrClosedPipe) {
		t.Error(err)
	}
	if got, err := b.RecvBytes(ctx, nil); string(got) != "left" || err != nil {
		t.Error(got, err)
	}
	for range 2 {
		if _, err := b.Recv(ctx); err != io.EOF {
			t.Error(err)
		}
	}
	for what, err := range map[string]error{
		"Send": a.Send(ctx, 1), "SendBytes": a.SendBytes(ctx, nil), "Recv": second(a.Recv(ctx)), "RecvInto": second(a.RecvInto(ctx, nil)),
		"Poll": second(a.Poll(ctx)), "MarshalBinary": second(a.MarshalBinary()), "MarshalText": second(a.MarshalText()),
	} {
		if !errors.Is(err, shm.ErrClosed) {
			t.Errorf("%s of a closed Conn: %v", what, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// TestPipeMisuse: what is used wrongly says so, and goes on working.
func TestPipeMisuse(t *testing.T) {
	ctx := timeout(t)
	a, b := newPipe(t)
	if err := a.Send(ctx, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := b.NetConn().Read(make([]byte, 1)); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("bytes from a pipe of messages: %v", err)
	}
	if v, err := b.Recv(ctx); v != 1 || err != nil {
		t.Fatal(v, err)
	}
	ref, err := a.Keep().MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	var c mpqueue.Conn
	if err := c.Send(ctx, 1); !errors.Is(err, shm.ErrClosed) {
		t.Errorf("the zero Conn: %v", err)
	}
	if err := c.UnmarshalBinary(ref[:5]); !errors.Is(err, mpqueue.ErrCorrupt) {
		t.Error(err)
	}
	if err := c.UnmarshalBinary(ref); err != nil {
		t.Fatal(err)
	}
	mustPanic(t, "in use", func() { c.UnmarshalBinary(ref) })
	if err := c.Send(ctx, 2); err != nil {
		t.Fatal(err)
	}
	if v, err := b.Recv(ctx); v != 2 || err != nil {
		t.Fatal(v, err)
	}
	// a and c are the same end: it is there until both are closed.
	a.Close()
	if ok, err := b.Poll(done); ok || err != nil {
		t.Fatal(ok, err)
	}
	c.Close()
	if _, err := b.Recv(ctx); err != io.EOF {
		t.Fatal(err)
	}
	var d mpqueue.Conn
	if err := d.UnmarshalBinary(ref); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("an end that is gone: %v", err)
	}
	mustPanic(t, "WithPipeSize(0)", func() { mpqueue.WithPipeSize(0) })
}

// TestPipeShown: what shmctl shows of a pipe.
func TestPipeShown(t *testing.T) {
	ctx := timeout(t)
	a, b := newPipe(t, mpqueue.WithPipeSize(4096))
	show := func(want ...string) {
		t.Helper()
		got := ""
		for _, it := range shm.Describe(a.Segment()) {
			got += fmt.Sprintln(it)
		}
		for _, w := range want {
			if !strings.Contains(got, w) {
				t.Errorf("%q is not in\n%s", w, got)
			}
		}
	}
	show("mpqueue.Pipe", "unused", "end 0 held by", "end 1 held by")
	a.SendBytes(ctx, []byte("hello"))
	show("messages", "0 to 1: 16 of 4096 bytes", "1 to 0: 0 of 4096 bytes", "{sent 0 to 1 16}")
	b.Close()
	show("end 1 gone")
}
