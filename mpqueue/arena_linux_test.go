package mpqueue_test

import (
	"bytes"
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"shmkit/mpqueue"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

// Windows in the arena that random kills do not find: two or three processes stand
// still, each at its own instruction.

const chunk = 64 << 10

type handArgs struct {
	Name  string
	Turns *shm.Object[turns]
	Who   int // which of the turns are this process's
	Does  string
	Size  int
	Times int // of what comes before
	Bug   string
}

// turns are for three processes: each says when it is there, is told to begin, and
// says when it is done.
type turns struct{ there, begin, done [3]atomic.Uint32 }

// hand has its hands on an arena.
var hand = procstest.Role("mpqueue-hand", func(ctx context.Context, a handArgs) error {
	q, err := mpqueue.Open[[]byte](a.Name)
	if err != nil {
		return err
	}
	for range a.Times { // what was put has another's hands do the rest
		if err := q.TryPut(make([]byte, a.Size)); err != nil {
			return err
		}
	}
	mpqueue.Plant(a.Bug)
	var p *mpqueue.Producer[[]byte]
	if a.Does == "produce" || a.Does == "go" {
		if p, err = q.Producer(); err != nil {
			return err
		}
	}
	a.Turns.Value().there[a.Who].Store(1)
	if !wait(&a.Turns.Value().begin[a.Who]) {
		return fmt.Errorf("it does not begin")
	}
	switch a.Does {
	case "put":
		err = q.Put(ctx, text(a.Size))
	case "sweep":
		q.Segment().Sweep()
	case "go":
		err = p.Close()
	case "register":
		_, err = q.Producer()
	case "close":
		err = q.Close()
	}
	a.Turns.Value().done[a.Who].Store(1)
	<-ctx.Done() // its end would be one more death, and one more sweep
	return err
})

// hands are a queue with an arena of a few chunks and who has hands on it. The
// test's own process must not be attached when one of them dies, or it would sweep.
type hands struct {
	t     *testing.T
	name  string
	turns *shm.Object[turns]
	q     *mpqueue.Queue[[]byte]
	procs [3]*procstest.Proc
}

func newHands(t *testing.T, name string, capacity, chunks int) *hands {
	procstest.Watchdog(t, time.Minute)
	q, err := mpqueue.Create[[]byte](name, capacity, mpqueue.WithMaxBytes(int64(chunks*chunk)))
	if err != nil {
		t.Fatal(err)
	}
	o, err := shm.New[turns]()
	if err != nil {
		t.Fatal(err)
	}
	h := &hands{t: t, name: name, turns: o, q: q}
	t.Cleanup(func() {
		if h.q != nil {
			h.q.Close()
		}
		shm.Remove(name)
		o.Close()
	})
	return h
}

// start starts a process and waits until it is attached.
func (h *hands) start(a handArgs, opts ...procstest.Option) *procstest.Proc {
	a.Name, a.Turns = h.name, h.turns
	p := hand.Start(h.t, a, opts...)
	h.procs[a.Who] = p
	if !wait(&h.turns.Value().there[a.Who]) {
		h.t.Fatal("a process does not come")
	}
	return p
}

func (h *hands) begin(who int) { h.turns.Value().begin[who].Store(1) }

// done waits until a process has done what it does.
func (h *hands) done(who int) {
	h.t.Helper()
	if !wait(&h.turns.Value().done[who]) {
		h.t.Fatal("a process does not finish")
	}
}

func (h *hands) leave() { h.q.Close(); h.q = nil }

func (h *hands) come() {
	var err error
	if h.q, err = mpqueue.Open[[]byte](h.name); err != nil {
		h.t.Fatal(err)
	}
}

func (h *hands) put(n int) {
	h.t.Helper()
	if err := h.q.TryPut(text(n)); err != nil {
		h.t.Fatalf("Put of %d bytes: %v", n, err)
	}
}

// get gets a message of n bytes, and looks at every one of them.
func (h *hands) get(n int) {
	h.t.Helper()
	b, err := h.q.TryGet()
	if err != nil || !bytes.Equal(b, text(n)) {
		h.t.Fatalf("Get of %d bytes: %d, %v", n, len(b), err)
	}
}

// swept kills process 0 where it stops, and lets process 1 sweep until it stops. The
// test's own process has let go of the queue then.
func (h *hands) swept(killed, sweeps *procstest.Proc) {
	h.t.Helper()
	h.begin(0)
	killed.WaitStopped()
	h.leave()
	killed.Kill()
	killed.Wait()
	h.begin(1)
	sweeps.WaitStopped()
}

// wrong says what nobody would ever free.
func (h *hands) wrong() []error { return append(shm.Check(h.q.Segment()), mpqueue.Leaks(h.q)...) }

// intact looks for what nobody would ever free, and fills the arena in two ways.
func (h *hands) intact(chunks int) {
	h.t.Helper()
	for _, err := range h.wrong() {
		h.t.Error(err)
	}
	h.put(chunks * chunk)
	h.get(chunks * chunk)
	for range chunks {
		h.put(chunk)
	}
	for range chunks {
		h.get(chunk)
	}
}

// A process is killed when it has begun to take a run apart. Its sweeper stands
// still after it has emptied one chunk, and a third process seizes that chunk: the
// sweeper must not take the other chunks for the third one's.
func TestArenaRunHalfApart(t *testing.T) {
	h := newHands(t, "arena-apart", 8, 3)
	h.put(3 * chunk)
	h.get(3 * chunk)
	killed := h.start(handArgs{Who: 0, Does: "put", Size: 5000}, procstest.StopAt("mpqueue.arena.retired", 1))
	sweeps := h.start(handArgs{Who: 1, Does: "sweep"}, procstest.StopAt("mpqueue.sweep.emptied", 1))
	puts := h.start(handArgs{Who: 2, Does: "put", Size: 6000}, procstest.StopAt("mpqueue.arena.seized", 1))
	h.swept(killed, sweeps)
	h.begin(2)
	puts.WaitStopped()
	sweeps.Cont()
	h.done(1)
	h.come()
	puts.Cont()
	h.done(2)
	h.get(6000)
	h.intact(3)
}

// The same, but the sweeper stands still before it empties a chunk, and another
// process dies and is swept: whatever that sweep frees, and whoever uses it, the
// first sweeper must not free it once more.
func TestArenaSweptTwice(t *testing.T) {
	h := newHands(t, "arena-twice", 8, 3)
	h.put(3 * chunk)
	h.get(3 * chunk)
	killed := h.start(handArgs{Who: 0, Does: "put", Size: 5000}, procstest.StopAt("mpqueue.arena.retired", 1))
	for pass := range 3 {
		name := fmt.Sprint("chunk ", pass)
		if pass > 0 { // the sweeper of before has finished
			killed = h.start(handArgs{Who: 0, Does: "put", Size: 5000}, procstest.StopAt("mpqueue.arena.retired", 1))
		}
		sweeps := h.start(handArgs{Who: 1, Does: "sweep"}, procstest.StopAt("mpqueue.sweep.chunk", pass+1))
		other := h.start(handArgs{Who: 2})
		h.swept(killed, sweeps)
		other.Kill()
		other.Wait()
		h.come()
		h.q.Segment().Sweep()
		err := h.q.TryPut(text(3 * chunk))
		sweeps.Cont()
		h.done(1)
		if err == nil {
			t.Logf("%s: there is room before the sweep has ended", name)
			if err := h.q.TryPut(text(chunk)); err == nil {
				t.Errorf("%s: two messages share memory", name)
				h.get(3 * chunk)
			}
		}
		for {
			if _, err := h.q.TryGet(); err != nil {
				break
			}
		}
		h.intact(3)
		h.put(3 * chunk) // a run again
		h.get(3 * chunk)
		for i := range 3 {
			h.procs[i].Kill()
			h.procs[i].Wait()
			h.turns.Value().there[i].Store(0)
			h.turns.Value().done[i].Store(0)
			h.turns.Value().begin[i].Store(0)
		}
	}
}

// A process has found a chunk of blocks that fit, and stands still. The chunk is put
// to another use; the process goes on, claims a block that is none any more, and is
// killed before it looks at the chunk again.
func TestArenaOutdatedClaim(t *testing.T) {
	t.Run("slab", func(t *testing.T) {
		h := newHands(t, "arena-slab", 200, 1)
		p := h.start(handArgs{Who: 0, Does: "put", Size: 200, Times: 20},
			procstest.StopAt("mpqueue.alloc.found", 21), procstest.KillAt("mpqueue.alloc.unchecked", 21))
		for range 20 {
			if _, err := h.q.TryGet(); err != nil {
				t.Fatal(err)
			}
		}
		h.begin(0)
		p.WaitStopped()
		h.put(4096) // 512 << 3
		h.get(4096)
		h.outdated(p)
		for range 128 {
			h.put(512)
		}
		for range 128 {
			h.get(512)
		}
		h.intact(1)
	})
	t.Run("run", func(t *testing.T) {
		h := newHands(t, "arena-run", 8, 3)
		h.put(chunk) // its chunk is the first
		h.put(2 * chunk)
		h.get(chunk)
		h.get(2 * chunk)
		p := h.start(handArgs{Who: 0, Does: "put", Size: 2 * chunk},
			procstest.StopAt("mpqueue.alloc.found", 1), procstest.KillAt("mpqueue.alloc.unchecked", 1))
		h.begin(0)
		p.WaitStopped()
		h.put(3 * chunk) // the run that it has found is the middle of this one
		h.get(3 * chunk)
		h.outdated(p)
		h.intact(3)
	})
}

// outdated lets p run into its death, and looks who notices what it has left.
func (h *hands) outdated(p *procstest.Proc) {
	h.t.Helper()
	p.Cont()
	if s := p.Wait(); !s.Killed() {
		h.t.Fatal(s)
	}
	h.q.Segment().Sweep()
}
