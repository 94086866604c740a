package mpqueue_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"shmkit/mpqueue"
	"shmkit/procs"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

// vandal maps the file of a named segment, all of it, as a peer that runs wild
// has it.
func vandal(t testing.TB, name string) []byte {
	t.Helper()
	f, err := os.OpenFile(nameFile(name), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	b, err := syscall.Mmap(int(f.Fd()), 0, int(st.Size()), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Munmap(b) })
	return b
}

// TestOverwriteEach turns over each byte of what is not a message, one after the
// other, under a process that uses the queue: one bit of it, or all.
func TestOverwriteEach(t *testing.T) {
	procstest.Watchdog(t, 3*time.Minute)
	step := 1
	if testing.Short() {
		step = 11
	}
	for i := range specimens() {
		s := &specimens()[i]
		t.Run(s.name, func(t *testing.T) {
			t.Parallel() // they wait most of the time
			name := "each-" + s.name
			defer shm.Remove(name)
			begin, n := time.Now(), 0
			used := usedBytes(s)
			for k := 0; k < len(used); k += step {
				flip := []byte{1 << (k / 2 % 8), 0xff}[k%2]
				if err := os.WriteFile(nameFile(name), s.bytes, 0o600); err != nil {
					t.Fatal(err)
				}
				s.useOpen(t, name, 1, func() { vandalise(t, name, used[k], flip) })
				n++
				if t.Failed() {
					t.Fatalf("byte %d of the file, turned over with %#x", used[k], flip)
				}
			}
			t.Logf("%d bytes of %d turned over in %v", n, len(s.bytes), time.Since(begin).Round(time.Millisecond))
		})
	}
}

// usedBytes returns the offsets of the bytes of a specimen in which a queue keeps
// its state: the words that change all of the time, the geometry, the cells of the
// participants, and the first headers of slots, chunks, leases and blocks.
func usedBytes(s *specimen) (at []int) {
	some := func(part, from, to int) {
		for n := from; n < to; n++ {
			at = append(at, s.place(part, n))
		}
	}
	for _, w := range [][2]int{{0, 112}, {128, 152}, {192, 216}, {256, 264}, {384, 408}, {512, 516}, {640, 644}, {768, 772}, {896, 904}} {
		some(inControl, w[0], w[1])
	}
	some(inTable, 40, 56)
	some(inTable, 128+8, 128+56)
	some(inSlots, 0, 48)
	some(inLeases, 0, 64)
	if s.place(inChunks, 8) != s.place(inSlots, 0) { // there is an arena
		some(inChunks, 0, 16)
		some(inBlocks, 0, 24)
	}
	return at
}

func vandalise(t *testing.T, name string, at int, flip byte) {
	f, err := os.OpenFile(nameFile(name), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b [1]byte
	if _, err := f.ReadAt(b[:], int64(at)); err != nil {
		t.Fatal(err)
	}
	b[0] ^= flip
	if _, err := f.WriteAt(b[:], int64(at)); err != nil {
		t.Fatal(err)
	}
}

// siege is what the workers under a vandal write down.
type siege struct {
	stop, here                           atomic.Uint32
	calls, fine, corrupt, waited, others atomic.Uint64
	longest                              atomic.Int64 // beyond the context, in ns
}

type siegeArgs struct {
	Queue *mpqueue.Queue[[]byte]
	Siege *shm.Object[siege]
	Seed  uint64
	Plant string // a fault of the worker itself, which the test must see
}

// besieged uses a queue whose memory somebody else overwrites. Whatever it gets,
// every call must come back in time.
var besieged = procstest.Role("mpqueue-besieged", func(_ context.Context, a siegeArgs) error {
	r := rand.New(rand.NewPCG(a.Seed, 0))
	s, q := a.Siege.Value(), a.Queue
	large := bytes.Repeat([]byte("x"), 5000)
	call := func(f func(ctx context.Context) error) {
		const patience = time.Millisecond
		ctx, cancel := context.WithTimeout(background, patience)
		defer cancel()
		begin := time.Now()
		err := f(ctx)
		s.calls.Add(1)
		switch {
		case err == nil:
			s.fine.Add(1)
		case errors.Is(err, mpqueue.ErrCorrupt):
			s.corrupt.Add(1)
		case ctx.Err() != nil || errors.Is(err, mpqueue.ErrEmpty) || errors.Is(err, mpqueue.ErrFull) || errors.Is(err, mpqueue.ErrBusy):
			s.waited.Add(1)
		default:
			s.others.Add(1)
		}
		if late := int64(time.Since(begin) - patience); late > s.longest.Load() {
			s.longest.Store(late)
		}
	}
	s.here.Add(1)
	for n := 0; s.stop.Load() == 0; n++ {
		if n == 10 && a.Plant == "panic" {
			_ = large[len(large)+n]
		}
		if n == 10 && a.Plant == "late" {
			call(func(context.Context) error { time.Sleep(100 * time.Millisecond); return nil })
		}
		m := large[:r.IntN(60)]
		if r.IntN(3) == 0 {
			m = large
		}
		switch r.IntN(9) {
		case 0, 1, 2:
			call(func(ctx context.Context) error { return q.Put(ctx, m) })
		case 3, 4:
			call(func(ctx context.Context) error { _, err := q.Get(ctx); return err })
		case 5, 6:
			call(func(ctx context.Context) error {
				i, err := q.Receive(ctx)
				if err != nil {
					return err
				}
				bytes.Count(i.Bytes(), []byte("y"))
				if r.IntN(4) == 0 {
					return i.Requeue()
				}
				return i.Done()
			})
		case 7:
			call(func(ctx context.Context) error {
				return q.Write(ctx, len(m), func(b []byte) error { copy(b, m); return nil })
			})
		case 8:
			call(func(ctx context.Context) error {
				shm.Check(q.Segment())
				q.Stats()
				_, err := q.TryGet()
				return err
			})
		}
	}
	return nil
})

// overwrite lets workers use a queue for a while during which its memory is
// overwritten, and returns what went wrong.
func overwrite(t *testing.T, r *rand.Rand, s *shm.Object[siege], slack time.Duration, plant string) error {
	name := fmt.Sprint("siege-", r.Uint32())
	q, err := mpqueue.Create[[]byte](name, 1+r.IntN(4), mpqueue.WithSlotSize(32), mpqueue.WithMaxBytes(256<<10),
		mpqueue.WithSegment(shm.WithParticipants(4)))
	if err != nil {
		return err
	}
	defer shm.Remove(name)
	defer q.Close()
	s.Value().stop.Store(0)
	s.Value().here.Store(0)
	s.Value().longest.Store(0)
	before := s.Value().calls.Load()
	workers := make([]*procstest.Proc, 2)
	for i := range workers {
		var opts []procstest.Option
		if plant != "" {
			opts = append(opts, procstest.With(procs.Stderr(io.Discard)))
		}
		workers[i] = besieged.Start(t, siegeArgs{Queue: q, Siege: s, Seed: r.Uint64(), Plant: plant}, opts...)
	}
	mem := vandal(t, name)
	sp := specimen{bytes: bytes.Clone(mem)}
	// Whoever opens a queue that is overwritten already is told so, and is no worker.
	for (s.Value().calls.Load() < before+50 || int(s.Value().here.Load()) < len(workers)) && workers[0].Alive() {
		time.Sleep(100 * time.Microsecond)
	}
	for range 20 + r.IntN(60) {
		at := sp.place([]int{inControl, inSlots, inSlots, inLeases, inChunks, inBlocks, inFile, inTable}[r.IntN(8)], r.IntN(1<<16))
		if at < 4096 { // what never changes is only read at Open
			continue
		}
		old := mem[at]
		for k := range 1 << r.IntN(4) { // a byte, or a word
			mem[(at+k)%len(mem)] = byte(r.Uint32())
		}
		time.Sleep(time.Duration(r.IntN(1000)) * time.Microsecond)
		if r.IntN(2) == 0 {
			mem[at] = old
		}
	}
	s.Value().stop.Store(1)
	var errs []error
	for _, w := range workers {
		if st := w.Wait(); st.Err != nil {
			errs = append(errs, st.Err)
		}
	}
	if d := time.Duration(s.Value().longest.Load()); d > slack {
		errs = append(errs, fmt.Errorf("a call took %v longer than its context", d))
	}
	return errors.Join(errs...)
}

// TestOverwrite overwrites random bytes and words of a queue's memory while two
// processes use it. Calls may fail or return wrong messages; they must not panic,
// touch what is not theirs, or outlast their contexts.
func TestOverwrite(t *testing.T) {
	procstest.Watchdog(t, 2*time.Minute)
	r := rand.New(rand.NewPCG(uint64(procstest.Seed(t)), 0))
	s, err := shm.New[siege]()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	rounds := 30
	if testing.Short() {
		rounds = 5
	}
	var worst int64
	for range rounds {
		if err := overwrite(t, r, s, slack, ""); err != nil {
			t.Fatal(err)
		}
		worst = max(worst, s.Value().longest.Load())
	}
	v := s.Value()
	t.Logf("%d queues overwritten: %d calls, %d fine, %d found the corruption, %d ended with their context, %d otherwise; %v late at the most",
		rounds, v.calls.Load(), v.fine.Load(), v.corrupt.Load(), v.waited.Load(), v.others.Load(), time.Duration(worst))
	if v.corrupt.Load() == 0 && rounds > 20 {
		t.Error("nobody found anything corrupt")
	}
	for _, plant := range []string{"panic", "late"} {
		if err := overwrite(t, r, s, 50*time.Millisecond, plant); err == nil {
			t.Errorf("a worker with the planted fault %q was not seen", plant)
		}
	}
}
