package mpqueue_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"

	"shmkit/mpqueue"
	"shmkit/shm"
)

func nameFile(name string) string { return filepath.Join(os.Getenv("SHMKIT_DIR"), "shmkit-"+name) }

// specimen is the file of a sound queue, and how to open and use what becomes of
// it.
type specimen struct {
	name  string
	bytes []byte
	// useOpen opens the file of that name, calls then, and uses the queue up.
	useOpen func(t testing.TB, name string, rounds int, then func())
}

// specimens makes one queue of each form, with messages in slots, in blocks, in a
// run and in leases, and reads what it looks like.
var specimens = sync.OnceValue(func() []specimen {
	large := bytes.Repeat([]byte("large"), 200)
	return []specimen{
		preserve("bytes", 3, func(q *mpqueue.Queue[[]byte]) {
			q.Put(background, []byte("lease me"))
			i, _ := q.Receive(background)
			i.Requeue()
			q.Put(background, large)
			q.Put(background, bytes.Repeat([]byte("run"), 30000))
			q.Get(background)
			i, _ = q.Receive(background)
			q.Put(background, []byte("in the slot"))
			i.Requeue()
		}, []byte("new"), large, mpqueue.WithSlotSize(16), mpqueue.WithMaxBytes(3*64<<10)),
		preserve("numbers", 2, func(q *mpqueue.Queue[int64]) {
			q.Put(background, 1)
			q.Put(background, 2)
			i, _ := q.Receive(background)
			i.Requeue()
		}, 3, 4, mpqueue.Joinable()),
		preserve("tasks", 2, func(q *mpqueue.Queue[string]) {
			q.Put(background, "one")
			q.Put(background, "two")
			q.Get(background)
			q.Get(background)
		}, "new", string(large), mpqueue.Joinable(), mpqueue.WithMaxBytes(64<<10)),
		preserve("growing", 0, func(q *mpqueue.Queue[any]) {
			q.Put(background, map[string]any{"a": []int{1, 2}})
			q.Put(background, "text")
		}, any("new"), any(large), mpqueue.WithMaxBytes(64<<10), mpqueue.WithMaxDeliveries(2)),
		preserve("closed", 5, func(q *mpqueue.Queue[int64]) {
			for i := range int64(5) {
				q.Put(background, i)
			}
			q.Get(background)
			q.Receive(background)
			p, _ := q.Producer()
			p.Close()
		}, 3, 4, mpqueue.WithDelivery(mpqueue.AtMostOnce)),
	}
})

func preserve[T any](name string, capacity int, fill func(*mpqueue.Queue[T]), small, large T, opts ...mpqueue.Option) specimen {
	opts = append(opts, mpqueue.WithSegment(shm.WithParticipants(3)))
	q, err := mpqueue.Create[T](name, capacity, opts...)
	if err != nil {
		panic(err)
	}
	fill(q)
	q.Close()
	b, err := os.ReadFile(nameFile(name))
	if err != nil {
		panic(err)
	}
	shm.Remove(name)
	use := func(t testing.TB, name string, rounds int, then func()) {
		q, err := mpqueue.Open[T](name)
		if err != nil {
			return
		}
		then()
		useUp(t, q, rounds, small, large)
		q.Close()
	}
	return specimen{name, b, use}
}

// slack is what a call may take beyond its context: the machine is busy, and a
// test fails on time only far beyond what is promised.
const slack = 5 * time.Second

// useUp does everything that can be done with a queue, which may be damaged, and
// fails the test if something takes longer than its context.
func useUp[T any](t testing.TB, q *mpqueue.Queue[T], rounds int, small, large T) {
	const patience = 200 * time.Microsecond
	// A loop without an end would not come back to be measured.
	stop := time.AfterFunc(20*time.Second, func() {
		b := make([]byte, 1<<20)
		panic(fmt.Sprintf("a call does not end\n%s", b[:runtime.Stack(b, true)]))
	})
	defer stop.Stop()
	op := func(what string, f func(ctx context.Context) error) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		begin := time.Now()
		err := f(ctx)
		if d := time.Since(begin); d > patience+slack {
			t.Errorf("%s took %v: %v", what, d, err)
		}
		if errors.Is(err, mpqueue.ErrCorrupt) && !strings.Contains(err.Error(), " holds ") && !strings.Contains(err.Error(), "from its end") {
			t.Errorf("%s: %v: it does not say where", what, err)
		}
	}
	finish := func(i *mpqueue.Item[T], err error, again bool) error {
		if err != nil {
			return err
		}
		i.Value()
		i.Redelivered()
		for _, b := range i.Bytes() {
			_ = b
		}
		if again {
			return i.Requeue()
		}
		return i.Done()
	}
	look := func() {
		op("Len", func(context.Context) error {
			if n := q.Len(); n < 0 || n > q.Cap() {
				t.Errorf("Len is %d of %d", n, q.Cap())
			}
			q.Empty()
			q.Full()
			q.Stats()
			return nil
		})
		op("Check", func(context.Context) error { shm.Check(q.Segment()); return nil })
		op("Describe", func(context.Context) error { shm.Describe(q.Segment()); return nil })
		op("Sweep", func(context.Context) error { q.Segment().Sweep(); return nil })
	}
	for round := range rounds {
		look()
		op("TryReceive", func(context.Context) error { i, err := q.TryReceive(); return finish(i, err, round == 0) })
		op("Put", func(ctx context.Context) error { return q.Put(ctx, small) })
		op("Put, large", func(ctx context.Context) error { return q.Put(ctx, large) })
		op("TryPut", func(context.Context) error { return q.TryPut(large) })
		op("Get", func(ctx context.Context) error { _, err := q.Get(ctx); return err })
		op("Receive", func(ctx context.Context) error { i, err := q.Receive(ctx); return finish(i, err, round == 0) })
		op("PutBatch", func(ctx context.Context) error { _, err := q.PutBatch(ctx, []T{small, large}); return err })
		op("TryGet", func(context.Context) error { _, err := q.TryGet(); return err })
		reserveIn(op, q)
		op("GetBatch", func(ctx context.Context) error { _, err := q.GetBatch(ctx, make([]T, 3)); return err })
		op("Producer", func(ctx context.Context) error {
			p, err := q.Producer()
			if err != nil || round == 0 {
				return err
			}
			p.Put(ctx, small)
			return p.Close()
		})
		op("Join", func(ctx context.Context) (err error) {
			defer func() {
				if r := recover(); r != nil && !strings.Contains(fmt.Sprint(r), "not Joinable") && !strings.Contains(fmt.Sprint(r), "TaskDone without") {
					panic(r)
				}
			}()
			q.TaskDone()
			return q.Join(ctx)
		})
		if round == 0 || rounds == 1 {
			op("CloseSend", func(context.Context) error { return q.CloseSend() })
		}
	}
	op("All", func(ctx context.Context) error {
		n := 0
		for _, err := range q.All(ctx) {
			if n++; err != nil || n > 1000 {
				return err
			}
		}
		return nil
	})
	look()
}

func reserveIn[T any](op func(string, func(context.Context) error), q *mpqueue.Queue[T]) {
	var b *mpqueue.Queue[[]byte]
	if x, ok := any(q).(*mpqueue.Queue[[]byte]); ok {
		b = x
	} else {
		return
	}
	for _, n := range []int{3, 700, 70000} {
		op("Write", func(ctx context.Context) error {
			return b.Write(ctx, n, func(m []byte) error { clear(m); return nil })
		})
		op("ReserveSize", func(ctx context.Context) error {
			s, err := b.ReserveSize(ctx, n)
			if err == nil {
				s.Abort()
			}
			return err
		})
	}
}

// The parts of a queue's file that an edit can be in.
const (
	inFile = iota
	inHeader
	inTable
	inControl
	inChunks
	inSlots
	inLeases
	inBlocks
	parts
)

// place returns the offset in the file of byte n of a part.
func (s *specimen) place(part, n int) int {
	payload := int(binary.LittleEndian.Uint64(s.bytes[40:]))
	field := func(i int) int { return int(binary.LittleEndian.Uint64(s.bytes[payload+8*i:])) }
	capacity, stride, chunks := field(0), field(1), field(3)
	at, size := 0, len(s.bytes)
	switch part {
	case inHeader:
		size = 248
	case inTable:
		at, size = 4096, 3*128
	case inControl:
		at, size = payload, 1024
	case inChunks:
		at, size = payload+1024, 8*max(chunks, 1)
	case inSlots:
		at, size = payload+field(5), capacity*stride
	case inLeases:
		at, size = payload+field(6), 32*(capacity+16)
	case inBlocks:
		at, size = payload+field(8), 32*128*max(chunks, 1)
	}
	return (at + n%size) % len(s.bytes)
}

// damaged returns the specimen with edits: part, offset in it (2 bytes), content.
func (s *specimen) damaged(edits []byte) []byte {
	b := bytes.Clone(s.bytes)
	for ; len(edits) >= 4; edits = edits[4:] {
		b[s.place(int(edits[0])%parts, int(edits[1])<<8|int(edits[2]))] = edits[3]
	}
	binary.LittleEndian.PutUint64(b[248:], xxhash.Sum64(b[:248]))
	return b
}

// FuzzOpen opens damaged queues and uses them. The checksum of the header is made
// right again, so that damage goes deeper than its check. Nothing may panic,
// fault, or take longer than its context.
func FuzzOpen(f *testing.F) {
	for i := range specimens() {
		k := byte(i)
		f.Add([]byte{k})
		f.Add([]byte{k, inControl, 0, 128, 1})                                                 // closed
		f.Add([]byte{k, inControl, 0, 0, 200})                                                 // capacity
		f.Add([]byte{k, inControl, 1, 4, 255, inControl, 1, 132, 255})                         // tail, head
		f.Add([]byte{k, inControl, 1, 136, 7, inControl, 0, 132, 1})                           // orphans, leasing
		f.Add([]byte{k, inSlots, 0, 0, 3, inSlots, 0, 1, 2})                                   // reading, by somebody
		f.Add([]byte{k, inSlots, 0, 13, 255, inSlots, 0, 8, 255})                              // block, size
		f.Add([]byte{k, inSlots, 0, 39, 0x55, inSlots, 0, 71, 0xaa})                           // laps in a circle
		f.Add([]byte{k, inChunks, 0, 0, 3, inChunks, 0, 4, 255})                               // a run that is too long
		f.Add([]byte{k, inChunks, 0, 0, 0xfa})                                                 // a class that there is not
		f.Add([]byte{k, inLeases, 0, 0, 4, inLeases, 0, 17, 255, inControl, 0, 132, 1})        // an orphan that is too long
		f.Add([]byte{k, inBlocks, 0, 0, 4, inBlocks, 0, 12, 255, inBlocks, 0, 1, 1})           // position of a block
		f.Add([]byte{k, inTable, 0, 0, 1, inTable, 0, 64, 255})                                // a participant
		f.Add([]byte{k, inTable, 0, 112, 255, inTable, 0, 116, 255, inTable, 0, 120, 255})     // what it counts
		f.Add([]byte{k, inControl, 3, 128, 60, inControl, 3, 132, 1, inControl, 0, 104, 1})    // dead letters
		f.Add([]byte{k, inControl, 2, 0, 255, inControl, 2, 128, 255, inControl, 3, 0, 255})   // words to sleep on
		f.Add([]byte{k, inHeader, 0, 48, 255, inHeader, 0, 56, 255, inHeader, 0, 64, 1})       // sizes
		f.Add([]byte{k, inFile, 0x20, 0, 255, inFile, 0x21, 0, 255, inFile, 0x22, 0, 255})     // anything
		f.Add([]byte{k, inControl, 0, 32, 0, inControl, 0, 16, 8, inControl, 0, 96, 7, 0, 88}) // rules
	}
	name := fmt.Sprintf("fuzz-%d", os.Getpid())
	f.Fuzz(func(t *testing.T, edits []byte) {
		if len(edits) == 0 {
			return
		}
		s := &specimens()[int(edits[0])%len(specimens())]
		if err := os.WriteFile(nameFile(name), s.damaged(edits[1:]), 0o600); err != nil {
			t.Fatal(err)
		}
		defer os.Remove(nameFile(name))
		s.useOpen(t, name, 2, func() {})
	})
}
