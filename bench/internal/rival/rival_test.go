package rival_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"shmkit/bench/internal/rival"
	"shmkit/procs"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

func TestMain(m *testing.M) { procstest.Main(m) }

// part is what one process of the test is told.
type part struct {
	Kind  string
	Ends  rival.Ends
	Files int
	Index int
	Count int
	Seen  *shm.Slice[uint32] // times that message producer*Count+sequence arrived
}

func (p part) files() []*os.File {
	files := make([]*os.File, p.Files)
	for i := range files {
		files[i] = os.NewFile(uintptr(3+i), "end")
	}
	return files
}

var sender = procstest.Role("sender", func(ctx context.Context, p part) error {
	k, err := rival.Find(p.Kind)
	if err != nil {
		return err
	}
	s, err := k.Sender(p.Ends, p.files())
	if err != nil {
		return err
	}
	return send(ctx, s, p)
})

var receiver = procstest.Role("receiver", func(ctx context.Context, p part) error {
	k, err := rival.Find(p.Kind)
	if err != nil {
		return err
	}
	r, err := k.Receiver(p.Ends, p.files())
	if err != nil {
		return err
	}
	return receive(ctx, r, p)
})

// length is the size of a message: short ones, the longest, and all between.
func length(s rival.Spec, seq int) int {
	most := s.MaxMessage
	switch {
	case !s.Varied:
		return most
	case seq%4 == 0:
		return 16
	case seq%4 == 1:
		return most
	default:
		return 16 + (seq*7919)%(most-15)
	}
}

func send(ctx context.Context, s rival.Sender, p part) error {
	b := make([]byte, p.Ends.Spec.MaxMessage)
	for seq := range p.Count {
		m := b[:length(p.Ends.Spec, seq)]
		binary.LittleEndian.PutUint64(m, uint64(p.Index))
		binary.LittleEndian.PutUint64(m[8:], uint64(seq))
		for i := 16; i < len(m); i++ {
			m[i] = byte(seq + i)
		}
		if err := s.Send(ctx, m); err != nil {
			return err
		}
	}
	return s.Close()
}

// receive checks every byte, and that what one receiver gets of one sender is
// in the order in which it was sent.
func receive(ctx context.Context, r rival.Receiver, p part) error {
	last := map[uint64]int{}
	for {
		m, err := r.Recv(ctx)
		if errors.Is(err, io.EOF) {
			return r.Close()
		}
		if err != nil {
			return err
		}
		from, seq := binary.LittleEndian.Uint64(m), int(binary.LittleEndian.Uint64(m[8:]))
		if from >= uint64(p.Ends.Spec.Producers) || seq >= p.Count || len(m) != length(p.Ends.Spec, seq) {
			return fmt.Errorf("a message nobody sent: %d of %d, %d bytes", seq, from, len(m))
		}
		for i := 16; i < len(m); i++ {
			if m[i] != byte(seq+i) {
				return fmt.Errorf("byte %d of message %d of %d is wrong", i, seq, from)
			}
		}
		if before, ok := last[from]; ok && seq <= before {
			return fmt.Errorf("message %d of %d came after %d", seq, from, before)
		}
		last[from] = seq
		p.Seen.Data()[int(from)*p.Count+seq]++ // Nobody else gets this message.
		if r.Redelivered() {
			return fmt.Errorf("message %d of %d is marked redelivered, but nobody died", seq, from)
		}
		if err := r.Done(); err != nil {
			return err
		}
	}
}

// TestKinds sends messages of many sizes through every kind, between as many
// processes as it allows, and wants each of them once.
func TestKinds(t *testing.T) {
	type shape struct{ producers, consumers int }
	shapes, sizes := []shape{{1, 1}, {2, 1}, {1, 2}, {3, 3}}, []int{16, 200, 8 << 10, 100 << 10}
	if testing.Short() {
		shapes, sizes = []shape{{2, 2}, {1, 1}}, []int{200}
	}
	for _, k := range rival.All() {
		for _, shape := range shapes {
			for _, most := range sizes {
				t.Run(fmt.Sprintf("%s/%dx%d/%d", k.Name, shape.producers, shape.consumers, most), func(t *testing.T) {
					spec := rival.Spec{MaxMessage: most, Varied: true, Capacity: 8, Producers: shape.producers, Consumers: shape.consumers}
					if why := k.Skip(spec); why != "" {
						t.Skip(why)
					}
					testKind(t, k, spec, 400)
				})
			}
		}
	}
}

// TestFixedLength does the same with those that have messages of one length only.
func TestFixedLength(t *testing.T) {
	for _, k := range []rival.Kind{rival.MPFixed(), rival.MPRing(), rival.EventFD(), rival.GoFixed()} {
		for _, mode := range append(k.Modes, "") {
			for _, size := range []int{64, 1024} {
				t.Run(fmt.Sprintf("%s/%s/%d", k.Name, mode, size), func(t *testing.T) {
					spec := rival.Spec{MaxMessage: size, Capacity: 8, Producers: 1, Consumers: 1, Mode: mode}
					if why := k.Skip(spec); why != "" {
						t.Fatal(why)
					}
					testKind(t, k, spec, 400)
				})
			}
		}
	}
}

// TestBufferedSend holds that a buffered pipe allocates nothing for a message,
// and does not copy a long one into its buffer: that then stays as it is.
func TestBufferedSend(t *testing.T) {
	procstest.Watchdog(t, 30*time.Second)
	k := rival.BufPipe()
	spec := rival.Spec{MaxMessage: 1 << 20, Varied: true, Producers: 1, Consumers: 1}
	c, err := k.Make(spec)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s, err := k.Sender(c.Ends, c.SendFiles)
	if err != nil {
		t.Fatal(err)
	}
	drained := make(chan int64)
	go func() {
		n, _ := io.Copy(io.Discard, c.ReceiveFiles[0])
		drained <- n
	}()
	sent := int64(0)
	for _, size := range []int{8, 64, 1000, 1 << 20} {
		p := make([]byte, size)
		if n := testing.AllocsPerRun(1000, func() {
			sent += int64(4 + size)
			if err := s.Send(t.Context(), p); err != nil {
				t.Fatal(err)
			}
		}); n >= 0.5 {
			t.Errorf("%g allocations for a message of %d bytes", n, size)
		}
	}
	if err := errors.Join(s.Close(), c.CloseSend(t.Context())); err != nil {
		t.Log(err) // The file is the same one.
	}
	if n := <-drained; n != sent {
		t.Errorf("%d bytes arrived of %d", n, sent)
	}
}

func testKind(t *testing.T, k rival.Kind, spec rival.Spec, count int) {
	procstest.Watchdog(t, 30*time.Second)
	seen, err := shm.NewSlice[uint32](spec.Producers * count)
	if err != nil {
		t.Fatal(err)
	}
	defer seen.Close()
	c, err := k.Make(spec)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	p := part{Kind: k.Name, Ends: c.Ends, Count: count, Seen: seen}
	if k.InProcess {
		inProcess(t, k, c, p)
	} else {
		acrossProcesses(t, c, p)
	}
	for i, n := range seen.Data() {
		if n != 1 {
			t.Errorf("message %d of sender %d arrived %d times", i%count, i/count, n)
		}
	}
}

func acrossProcesses(t *testing.T, c *rival.Channel, p part) {
	var senders, receivers []*procstest.Proc
	for i := range p.Ends.Spec.Consumers {
		p.Index, p.Files = i, len(c.ReceiveFiles)
		receivers = append(receivers, receiver.Start(t, p, procstest.With(procs.ExtraFiles(c.ReceiveFiles...))))
	}
	for i := range p.Ends.Spec.Producers {
		p.Index, p.Files = i, len(c.SendFiles)
		senders = append(senders, sender.Start(t, p, procstest.With(procs.ExtraFiles(c.SendFiles...))))
	}
	for _, s := range senders {
		if err := s.Join(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if err := c.CloseSend(t.Context()); err != nil {
		t.Error(err)
	}
	for _, r := range receivers {
		if err := r.Join(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func inProcess(t *testing.T, k rival.Kind, c *rival.Channel, p part) {
	received, sent := make(chan error, 8), make(chan error, 8)
	for range p.Ends.Spec.Consumers {
		r, err := k.Receiver(p.Ends, nil)
		if err != nil {
			t.Fatal(err)
		}
		go func() { received <- receive(t.Context(), r, p) }()
	}
	for i := range p.Ends.Spec.Producers {
		mine := p
		mine.Index = i
		s, err := k.Sender(p.Ends, nil)
		if err != nil {
			t.Fatal(err)
		}
		go func() { sent <- send(t.Context(), s, mine) }()
	}
	for range p.Ends.Spec.Producers {
		if err := <-sent; err != nil {
			t.Error(err)
		}
	}
	if err := c.CloseSend(t.Context()); err != nil {
		t.Error(err)
	}
	for range p.Ends.Spec.Consumers {
		if err := <-received; err != nil {
			t.Error(err)
		}
	}
}

// TestSize holds that no rival has more than the 150 lines that the README says.
func TestSize(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(text, []byte("\n")); n > 150 {
			t.Errorf("%s has %d lines", name, n)
		}
	}
}
