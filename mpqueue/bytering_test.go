package mpqueue_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"shmkit/mpqueue"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

// newByteRing makes a byte ring that is checked and closed when the test ends.
func newByteRing(t testing.TB, size int, opts ...mpqueue.Option) *mpqueue.ByteRing {
	t.Helper()
	r, err := mpqueue.NewByteRing(size, opts...)
	if err != nil {
		t.Fatal(err)
	}
	checkAtEnd(t, r.Segment(), r.Close)
	return r
}

// pattern is a stream whose every byte is known from its place in it.
type pattern struct{ at, end uint64 }

func patternByte(i uint64) byte { return byte((i * 0x9e3779b97f4a7c15) >> 56) }

func (p *pattern) Read(b []byte) (int, error) {
	if p.at == p.end {
		return 0, io.EOF
	}
	b = b[:min(uint64(len(b)), p.end-p.at)]
	for i := range b {
		b[i] = patternByte(p.at + uint64(i))
	}
	p.at += uint64(len(b))
	return len(b), nil
}

// Write checks that b comes next.
func (p *pattern) Write(b []byte) (int, error) {
	for i := range b {
		if b[i] != patternByte(p.at) {
			return i, fmt.Errorf("byte %d of the stream is %#x, want %#x", p.at, b[i], patternByte(p.at))
		}
		p.at++
	}
	return len(b), nil
}

type byteStreamArgs struct {
	Ring  *mpqueue.ByteRing
	Bytes uint64
	Seed  uint64
}

// byteWriter writes the pattern by all ways.
var byteWriter = procstest.Role("byte-writer", func(ctx context.Context, a byteStreamArgs) error {
	mpqueue.WaitFences()
	r := rand.New(rand.NewPCG(a.Seed, 1))
	p := &pattern{end: a.Bytes}
	buf := make([]byte, 3*a.Ring.Cap())
	for p.at < p.end {
		n := 1 + r.IntN(len(buf))
		var err error
		switch r.IntN(4) {
		case 0: // more than fits, too
			n, _ = p.Read(buf[:n])
			_, err = a.Ring.Write(buf[:n])
		case 1:
			n, _ = p.Read(buf[:min(n, 20)])
			_, err = a.Ring.Write(buf[:n])
		case 2:
			var b []byte
			if b, err = a.Ring.Reserve(ctx, 1+n%max(a.Ring.Cap()/2, 1)); err == nil {
				n, _ = p.Read(b[:r.IntN(len(b)+1)])
				err = a.Ring.Commit(n)
			}
		case 3:
			_, err = a.Ring.ReadFrom(io.LimitReader(p, int64(n)))
		}
		if err != nil {
			return err
		}
	}
	return a.Ring.CloseSend()
})

// TestByteRingStream sends a stream between processes by all ways at once, from
// positions that wrap on the way.
func TestByteRingStream(t *testing.T) {
	seed := uint64(procstest.Seed(t))
	for _, c := range []struct {
		size  int
		first uint64
	}{{1, 0}, {7, math.MaxUint64 - 499}, {1000, 1<<63 - 500}, {1 << 16, math.MaxUint64 - 499}} {
		t.Run(fmt.Sprintf("size=%d", c.size), func(t *testing.T) {
			procstest.Watchdog(t, time.Minute)
			ring := newByteRing(t, c.size, mpqueue.RingFirst(c.first))
			total := min(uint64(c.size)*2000, 8<<20)
			p := byteWriter.Start(t, byteStreamArgs{ring, total, seed})
			r := rand.New(rand.NewPCG(seed, 2))
			want := &pattern{}
			buf := make([]byte, 2*c.size)
			for want.at < total/2 {
				var b []byte
				var err error
				if n := 1 + r.IntN(len(buf)); r.IntN(2) == 0 {
					n, err = ring.Read(buf[:n])
					b = buf[:n]
				} else if b, err = ring.Peek(background, 1+n%max(c.size/2, 1)); err == nil {
					b = bytes.Clone(b[:r.IntN(len(b)+1)])
					err = ring.Discard(len(b))
				}
				if err == nil {
					_, err = want.Write(b)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if _, err := ring.WriteTo(want); err != nil {
				t.Fatal(err)
			}
			if want.at != total {
				t.Fatalf("%d bytes, want %d", want.at, total)
			}
			if n, err := ring.Read(buf); n != 0 || err != io.EOF {
				t.Fatal(n, err)
			}
			if _, err := ring.Peek(background, 1); err != mpqueue.ErrClosed {
				t.Fatal(err)
			}
			if s := p.Wait(); s.Err != nil {
				t.Fatal(s)
			}
		})
	}
}

// TestByteRingCut: who is killed in Write has written a part, from the front, and
// its successor goes on behind it; the reader is told in between.
func TestByteRingCut(t *testing.T) {
	ctx := timeout(t)
	ring := newByteRing(t, 64)
	p := byteWriter.Start(t, byteStreamArgs{ring, 1 << 30, 1})
	want := &pattern{}
	buf := make([]byte, 40)
	for want.at < 10_000 {
		n, err := ring.Read(buf)
		if _, bad := want.Write(buf[:n]); err != nil || bad != nil {
			t.Fatal(err, bad)
		}
	}
	p.Kill()
	for {
		n, err := ring.ReadContext(ctx, buf)
		if _, bad := want.Write(buf[:n]); bad != nil {
			t.Fatal(bad)
		}
		if errors.Is(err, mpqueue.ErrAbandoned) && errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if n, err := ring.Write([]byte("next")); n != 4 || err != nil {
		t.Fatal(n, err)
	}
	if n, err := io.ReadFull(ring, buf[:4]); n != 4 || err != nil || string(buf[:4]) != "next" {
		t.Fatal(n, err, buf[:4])
	}
}

func TestByteRingMisuse(t *testing.T) {
	ring := newByteRing(t, 10)
	if _, err := ring.Reserve(background, 11); !errors.Is(err, mpqueue.ErrTooLarge) {
		t.Error(err)
	}
	if _, err := ring.Peek(background, 11); !errors.Is(err, mpqueue.ErrTooLarge) {
		t.Error(err)
	}
	done, cancel := context.WithCancel(background)
	cancel()
	if n, err := ring.WriteContext(done, make([]byte, 11)); n != 10 || !errors.Is(err, mpqueue.ErrFull) || !errors.Is(err, context.Canceled) {
		t.Error(n, err)
	}
	ring.CloseSend()
	if n, err := ring.Write([]byte("x")); n != 0 || !errors.Is(err, mpqueue.ErrClosed) {
		t.Error(n, err)
	}
	// At the end Peek returns what is left.
	if b, err := ring.Peek(background, 8); len(b) != 8 || err != nil {
		t.Error(len(b), err)
	}
	ring.Discard(8)
	if b, err := ring.Peek(background, 8); len(b) != 2 || err != nil {
		t.Error(len(b), err)
	}
	mustPanic(t, "ByteRing.Discard(3) with 2 bytes", func() { ring.Discard(3) })
	mustPanic(t, "ByteRing.Commit(1) with 0", func() { ring.Commit(1) })
	mustPanic(t, "ByteRing.Reserve(0)", func() { ring.Reserve(background, 0) })
	mustPanic(t, "ByteRing.Peek(0)", func() { ring.Peek(background, 0) })
}

// TestRingHandles: what is no ring says so; a reservation is good once.
func TestRingHandles(t *testing.T) {
	var zero mpqueue.Ring[int]
	var bytes mpqueue.ByteRing
	mustPanic(t, "zero ring", func() { zero.Put(background, 1) })
	mustPanic(t, "zero ring", func() { zero.Get(background) })
	mustPanic(t, "zero ring", func() { zero.Len() })
	mustPanic(t, "zero ring", func() { bytes.Write([]byte("x")) })
	if err := errors.Join(zero.Close(), bytes.Close()); err != nil {
		t.Error(err)
	}
	if _, err := zero.MarshalBinary(); !errors.Is(err, shm.ErrClosed) {
		t.Error(err)
	}
	r := newRing[int](t, 4)
	if _, err := r.Reserve(background, 2); err != nil {
		t.Fatal(err)
	}
	r.Put(background, 1)
	r.Put(background, 2)
	mustPanic(t, "Ring.Commit(2) with 0", func() { r.Commit(2) })
	if _, err := r.Peek(background, 2); err != nil {
		t.Fatal(err)
	}
	r.Get(background)
	mustPanic(t, "Ring.Discard(2) with 1", func() { r.Discard(2) })
	if err := r.Discard(1); err != nil {
		t.Error(err)
	}
	b, err := r.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	mustPanic(t, "in use", func() { r.UnmarshalBinary(b) })
	var again mpqueue.Ring[int]
	if err := again.UnmarshalBinary(b); err != nil {
		t.Fatal(err)
	}
	again.Put(background, 3)
	if v, err := r.Get(background); v != 3 || err != nil {
		t.Error(v, err)
	}
	again.Close()
	var other mpqueue.Ring[int32]
	var he *shm.HandleError
	if err := other.UnmarshalBinary(b); !errors.As(err, &he) {
		t.Error("a ring of another type:", err)
	}
	if err := bytes.UnmarshalBinary(b); !errors.As(err, &he) {
		t.Error("no byte ring:", err)
	}
}

// TestRingTwoAtOneSide: two goroutines that wait at one side are told.
func TestRingTwoAtOneSide(t *testing.T) {
	if shm.RaceEnabled {
		t.Skip("it is a data race, and the race detector says so")
	}
	r := newRing[int](t, 1)
	end := make(chan error)
	go func() { _, err := r.Get(background); end <- err }()
	procstest.WaitBlocked(t, 0, 1)
	mustPanic(t, "two goroutines", func() { r.Get(background) })
	for r.TryPut(1) != nil {
		runtime.Gosched()
	}
	if err := <-end; err != nil {
		t.Error(err)
	}
}
