package mpqueue_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"shmkit/mpqueue"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

// streamLedger is what a writer and a reader of a stream of bytes write down.
type streamLedger struct {
	begun atomic.Uint64 // where the stream ends if the Write in progress writes all
	done  atomic.Uint64 // where it ended when the last Write returned
	asked atomic.Uint64 // how far the Read in progress may come
	got   atomic.Uint64 // how far the stream has been read, and compared
	eof   atomic.Int64  // when the reader got the end, or the writer ErrClosedPipe
}

// streamByte is the byte at position i of every stream.
func streamByte(i uint64) byte { return byte(i * 0x9E3779B97F4A7C15 >> 56) }

type netStreamArgs struct {
	Conn   *mpqueue.Conn
	Ledger *shm.Object[streamLedger]
	Seed   uint64
	Bug    string
}

// netWriter writes the stream, from where it ended when the writer before was killed.
var netWriter = procstest.Role("net-writer", func(ctx context.Context, a netStreamArgs) error {
	mpqueue.PlantInPipes(a.Bug)
	l, r, c := a.Ledger.Value(), rand.New(rand.NewPCG(a.Seed, 0)), a.Conn.NetConn()
	at, _ := mpqueue.PipeMoved(a.Conn)
	if at < l.done.Load() || at > l.begun.Load() {
		return fmt.Errorf("the stream ends at %d; Writes had returned for %d, and were at %d", at, l.done.Load(), l.begun.Load())
	}
	buf := make([]byte, 12000)
	for {
		b := buf[:1+r.IntN(len(buf))]
		if r.IntN(2) == 0 {
			b = b[:1+len(b)/100]
		}
		for i := range b {
			b[i] = streamByte(at + uint64(i))
		}
		l.begun.Store(at + uint64(len(b)))
		n, err := c.Write(b)
		at += uint64(n)
		l.done.Store(at)
		if errors.Is(err, io.ErrClosedPipe) {
			l.eof.Store(time.Now().UnixNano())
			return nil
		}
		if err != nil || n != len(b) {
			return fmt.Errorf("%d of %d bytes written: %w", n, len(b), err)
		}
		if r.IntN(20) == 0 {
			time.Sleep(time.Duration(r.IntN(300)) * time.Microsecond)
		}
	}
})

// netReader reads the stream on, and compares every byte.
var netReader = procstest.Role("net-reader", func(ctx context.Context, a netStreamArgs) error {
	mpqueue.PlantInPipes(a.Bug)
	l, r, c := a.Ledger.Value(), rand.New(rand.NewPCG(a.Seed, 0)), a.Conn.NetConn()
	_, at := mpqueue.PipeMoved(a.Conn)
	if at < l.got.Load() || at > l.asked.Load() {
		return fmt.Errorf("the stream goes on at %d; it had been read to %d, and a Read was to come to %d", at, l.got.Load(), l.asked.Load())
	}
	buf := make([]byte, 6000)
	for {
		b := buf[:1+r.IntN(len(buf))]
		l.asked.Store(at + uint64(len(b)))
		n, err := c.Read(b)
		for i := range n {
			if b[i] != streamByte(at+uint64(i)) {
				return fmt.Errorf("byte %d of the stream is wrong, in a Read of %d from %d on", at+uint64(i), n, at)
			}
		}
		at += uint64(n)
		l.got.Store(at)
		if err == io.EOF {
			l.eof.Store(time.Now().UnixNano())
			return nil
		}
		if err != nil {
			return err
		}
		if r.IntN(20) == 0 {
			time.Sleep(time.Duration(r.IntN(300)) * time.Microsecond)
		}
	}
})

// netFaults are the points at which a Write or a Read is killed.
var netFaults = []string{
	"mpqueue.pipe.published", "mpqueue.pipe.copied", "mpqueue.pipe.taken", "mpqueue.pipe.waited", "mpqueue.signal.pending",
	"futexlock.unlock.released",
}

// netStream kills the writer and the reader of a stream some times, with others in
// their places, and at last one of them, when nobody else has its end: the other one
// gets to the end then. It returns how long that took, and how long the stream was.
func netStream(t *testing.T, r *rand.Rand, kills int, bug string) (end time.Duration, length uint64, err error) {
	o, err := shm.New[streamLedger]()
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	l := o.Value()
	a, b := newPipe(t, mpqueue.WithPipeSize(4096))
	start := func(side int, faults bool) *procstest.Proc {
		var opts []procstest.Option
		if faults && r.IntN(2) == 0 {
			opts = append(opts, procstest.KillAt(netFaults[r.IntN(len(netFaults))], 1+r.IntN(100)))
		}
		if side == 0 {
			return netWriter.Start(t, netStreamArgs{a.Keep(), o, r.Uint64(), bug}, opts...)
		}
		return netReader.Start(t, netStreamArgs{b.Keep(), o, r.Uint64(), bug}, opts...)
	}
	both := [2]*procstest.Proc{start(0, true), start(1, true)}
	defer func() {
		for _, p := range both { // what they had to say that nobody has asked for yet
			p.Kill()
			if s := p.Wait(); !s.Killed() && err == nil {
				err = s.Err
			}
		}
	}()
	// kill sees to it that a process is dead, and puts another in its place.
	kill := func(side int, faults bool) {
		both[side].Kill()
		if s := both[side].Wait(); !s.Killed() {
			err = errors.Join(err, s.Err)
			return
		}
		both[side] = start(side, faults)
	}
	progress := func() {
		begin, target := time.Now(), l.got.Load()+uint64(r.IntN(200000))
		for l.got.Load() < target && time.Since(begin) < 20*time.Millisecond {
			time.Sleep(100 * time.Microsecond)
		}
	}
	for range kills {
		progress()
		side := r.IntN(2)
		if !both[1-side].Alive() { // at a fault point: it did not see the other one go on
			side = 1 - side
		}
		if kill(side, true); err != nil {
			return 0, 0, err
		}
	}
	// Two whom no fault point kills.
	kill(0, false)
	kill(1, false)
	if err = errors.Join(err, a.Close(), b.Close()); err != nil {
		return 0, 0, err
	}
	for begin, was := time.Now(), l.got.Load(); l.got.Load() == was; time.Sleep(100 * time.Microsecond) {
		if !both[0].Alive() || !both[1].Alive() || time.Since(begin) > 20*time.Second {
			return 0, 0, fmt.Errorf("the stream does not go on: %w", errors.Join(both[0].Join(done), both[1].Join(done)))
		}
	}
	progress()
	side := r.IntN(2)
	begin := time.Now()
	both[side].Kill()
	if s := both[1-side].Wait(); s.Err != nil {
		return 0, 0, s.Err
	}
	end, length = time.Unix(0, l.eof.Load()).Sub(begin), l.got.Load()
	// Of a dead writer's last Write a part may be there, from the front; all that
	// Writes had returned for must be.
	if done, begun := l.done.Load(), l.begun.Load(); side == 0 && (length < done || length > begun) {
		err = fmt.Errorf("%d bytes came before the end; Writes had returned for %d, and were at %d", length, done, begun)
	}
	return end, length, err
}

// TestNetConnTorture: whoever of two processes that write and read a stream of bytes is
// killed, every byte comes, in its place, and no other; a successor goes on where the
// stream is; and if there is none the survivor gets io.EOF, or io.ErrClosedPipe.
func TestNetConnTorture(t *testing.T) {
	procstest.Watchdog(t, 2*time.Minute)
	r := rand.New(rand.NewPCG(uint64(procstest.Seed(t)), 0))
	const each = 6
	streams := max(*tortureKills/30, 3)
	var ends []time.Duration
	total := uint64(0)
	for n := range streams {
		end, length, err := netStream(t, r, each, "")
		if err != nil {
			t.Fatalf("stream %d: %v", n, err)
		}
		ends, total = append(ends, end), total+length
	}
	slices.Sort(ends)
	t.Logf("%d streams, %d bytes, %d killed; the end after p50 %v, at most %v; 100 ms are allowed", streams, total, streams*(each+3), ends[len(ends)/2], ends[len(ends)-1])
	if ends[len(ends)-1] > 10*shm.Backstop {
		t.Error("that is too late")
	}
}

// TestNetConnTortureOracle plants bugs, which the torture must see.
func TestNetConnTortureOracle(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	r := rand.New(rand.NewPCG(uint64(procstest.Seed(t)), 0))
	for _, bug := range []string{"published before it is written", "freed before it is read"} {
		t.Run(bug, func(t *testing.T) {
			for range 20 {
				if _, _, err := netStream(t, r, 1, bug); err != nil {
					t.Logf("seen: %v", err)
					return
				}
			}
			t.Error("the bug was not seen")
		})
	}
}
