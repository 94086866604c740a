package mpqueue_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"

	"shmkit/mpqueue"
	"shmkit/procs"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

// messenger is what the benchmarks compare: message in, the same message out.
type messenger interface {
	send(b []byte) error
	recv(b []byte) error // into all of b
}

type overConn struct{ *mpqueue.Conn }

func (c overConn) send(b []byte) error { return c.SendBytes(background, b) }
func (c overConn) recv(b []byte) error {
	n, err := c.RecvInto(background, b)
	if err == nil && n != len(b) {
		err = fmt.Errorf("%d bytes", n)
	}
	return err
}

// overStream sends a length before each message, as Python does: in one piece
// with a small message.
type overStream struct {
	io.Reader
	io.Writer
	buf []byte
}

func (s *overStream) send(b []byte) error {
	s.buf = binary.BigEndian.AppendUint32(s.buf[:0], uint32(len(b)))
	if len(b) <= 16<<10 {
		_, err := s.Write(append(s.buf, b...))
		return err
	}
	if _, err := s.Write(s.buf); err != nil {
		return err
	}
	_, err := s.Write(b)
	return err
}

func (s *overStream) recv(b []byte) error {
	var head [4]byte
	if _, err := io.ReadFull(s, head[:]); err != nil {
		return err
	}
	if n := binary.BigEndian.Uint32(head[:]); int(n) != len(b) {
		return fmt.Errorf("%d bytes", n)
	}
	_, err := io.ReadFull(s, b)
	return err
}

// overLine passes a number to and fro in one cache line each way: the least that
// two processors can do.
type overLine struct {
	mine, theirs *atomic.Uint64
	n            uint64
}

func (l *overLine) send([]byte) error {
	l.n++
	l.mine.Store(l.n)
	return nil
}

func (l *overLine) recv([]byte) error {
	for l.theirs.Load() < l.n {
		shm.Pause(1)
	}
	return nil
}

// overRings is a ring each way.
type overRings struct{ out, in *mpqueue.Ring[message64] }

func (r overRings) send(b []byte) error {
	return r.out.Put(background, message64{binary.LittleEndian.Uint64(b)})
}

func (r overRings) recv(b []byte) error {
	m, err := r.in.Get(background)
	binary.LittleEndian.PutUint64(b, m[0])
	return err
}

type lines2 struct {
	a atomic.Uint64
	_ [248]byte
	b atomic.Uint64
}

type pipeBenchArgs struct {
	Impl        string
	Conn        *mpqueue.Conn
	Lines       *shm.Object[lines2]
	Address     string
	Size, Count int
	Stream      int // messages sent before that
	Echo        bool
	NoSpin      bool
	Rings       [2]*mpqueue.Ring[message64]
}

func (a *pipeBenchArgs) messenger() (messenger, error) {
	if a.NoSpin {
		mpqueue.PlantInPipes("no spin")
	}
	file := func(fd int) *os.File {
		syscall.SetNonblock(fd, true)
		return os.NewFile(uintptr(fd), "pipe")
	}
	switch a.Impl {
	case "mpqueue":
		return overConn{a.Conn}, nil
	case "ring":
		mpqueue.WaitFences()
		return overRings{out: a.Rings[1], in: a.Rings[0]}, nil
	case "os.Pipe":
		return &overStream{Reader: file(3), Writer: file(4)}, nil
	case "unix":
		c, err := net.Dial("unix", a.Address)
		return &overStream{Reader: c, Writer: c}, err
	}
	v := a.Lines.Value()
	return &overLine{mine: &v.b, theirs: &v.a, n: 1}, nil
}

var benchPipe = procstest.Role("bench-pipe", func(ctx context.Context, a pipeBenchArgs) error {
	m, err := a.messenger()
	if err != nil {
		return err
	}
	b := make([]byte, a.Size)
	for range a.Stream {
		if err := m.send(b); err != nil {
			return err
		}
	}
	for n := range a.Count {
		if a.Echo {
			if err := m.recv(b); err != nil {
				return err
			}
		} else {
			binary.LittleEndian.PutUint64(b, uint64(n))
			b[a.Size-1] = byte(n)
		}
		if err := m.send(b); err != nil {
			return err
		}
	}
	return nil
})

// peer starts the other process and returns the messenger to it.
func (a pipeBenchArgs) peer(b testing.TB) messenger {
	switch a.Impl {
	case "mpqueue":
		mine, theirs := newPipe(b)
		a.Conn = theirs
		benchPipe.Start(b, a)
		return overConn{mine}
	case "ring":
		for i := range a.Rings {
			a.Rings[i] = newRing[message64](b, 1024)
		}
		mpqueue.WaitFences()
		benchPipe.Start(b, a)
		return overRings{out: a.Rings[0], in: a.Rings[1]}
	case "os.Pipe":
		r1, w1, err1 := os.Pipe()
		r2, w2, err2 := os.Pipe()
		if err := errors.Join(err1, err2); err != nil {
			b.Fatal(err)
		}
		benchPipe.Start(b, a, procstest.With(procs.ExtraFiles(r1, w2)))
		r1.Close()
		w2.Close()
		b.Cleanup(func() { r2.Close(); w1.Close() })
		return &overStream{Reader: r2, Writer: w1}
	case "unix":
		a.Address = filepath.Join(b.TempDir(), "s")
		l, err := net.Listen("unix", a.Address)
		if err != nil {
			b.Fatal(err)
		}
		defer l.Close()
		benchPipe.Start(b, a)
		c, err := l.Accept()
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { c.Close() })
		return &overStream{Reader: c, Writer: c}
	}
	o, err := shm.New[lines2]()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { o.Close() })
	a.Lines = o
	benchPipe.Start(b, a)
	return &overLine{mine: &o.Value().a, theirs: &o.Value().b, n: 1}
}

// BenchmarkPipeRoundTrip sends a message to another process and gets it back. With
// side=asleep nobody looks again before it sleeps, so that every message wakes its
// receiver, as it does when answers take longer. With after=stream both sides have
// learned from a stream before.
func BenchmarkPipeRoundTrip(b *testing.B) {
	for _, side := range []string{"awake", "asleep"} {
		for _, impl := range []string{"mpqueue", "ring", "os.Pipe", "unix", "line"} {
			sizes := []int{64}
			switch {
			case (impl == "line" || impl == "ring") && side == "asleep":
				continue
			case impl == "mpqueue" && side == "awake":
				sizes = []int{64, 256, 1 << 10, 4 << 10}
			}
			for _, size := range sizes {
				b.Run(fmt.Sprintf("side=%s/impl=%s/size=%d", side, impl, size), func(b *testing.B) {
					roundTrips(b, pipeBenchArgs{Impl: impl, Size: size, NoSpin: side == "asleep"})
				})
			}
		}
	}
	for _, impl := range []string{"mpqueue", "ring"} {
		b.Run(fmt.Sprintf("side=awake/impl=%s/size=64/after=stream", impl), func(b *testing.B) {
			roundTrips(b, pipeBenchArgs{Impl: impl, Size: 64, Stream: 1_000_000})
		})
	}
}

func roundTrips(b *testing.B, a pipeBenchArgs) {
	if a.NoSpin {
		mpqueue.PlantInPipes("no spin")
		defer mpqueue.PlantInPipes("")
	}
	const warm = 100
	a.Count, a.Echo = b.N+warm, true
	m := a.peer(b)
	buf := make([]byte, a.Size)
	for n := range a.Stream {
		if err := m.recv(buf); err != nil {
			b.Fatal("stream", n, err)
		}
	}
	trip := func(n int) {
		binary.LittleEndian.PutUint64(buf, uint64(n))
		err := m.send(buf)
		if err == nil {
			err = m.recv(buf)
		}
		if err != nil || binary.LittleEndian.Uint64(buf) != uint64(n) {
			b.Fatal(n, err)
		}
	}
	for n := range warm {
		trip(n)
	}
	b.ResetTimer()
	for n := range b.N {
		trip(n)
	}
	b.StopTimer()
}

// BenchmarkPipeStream receives messages from another process.
func BenchmarkPipeStream(b *testing.B) {
	for _, size := range []int{64, 64 << 10, 1 << 20} {
		for _, impl := range []string{"mpqueue", "os.Pipe"} {
			b.Run(fmt.Sprintf("impl=%s/size=%d", impl, size), func(b *testing.B) {
				m := pipeBenchArgs{Impl: impl, Size: size, Count: b.N + 1}.peer(b)
				buf := make([]byte, size)
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for n := range b.N + 1 {
					if err := m.recv(buf); err != nil || binary.LittleEndian.Uint64(buf) != uint64(n) || buf[size-1] != byte(n) && size > 64 {
						b.Fatal(n, err)
					}
					if n == 0 {
						b.ResetTimer()
					}
				}
				b.StopTimer()
			})
		}
	}
}

// BenchmarkPipeAlone sends and receives in one goroutine: the cost of the
// instructions, without any other side.
func BenchmarkPipeAlone(b *testing.B) {
	x, y := newPipe(b)
	buf := make([]byte, 64)
	for b.Loop() {
		if err := x.SendBytes(background, buf); err != nil {
			b.Fatal(err)
		}
		if _, err := y.RecvInto(background, buf); err != nil {
			b.Fatal(err)
		}
	}
}
