package mpqueue_test

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"testing"
	"time"

	"shmkit/mpqueue"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

// blockedPut is a Put in a goroutine, and where its error comes.
func blockedPut(q *mpqueue.Queue[[]byte], n int) chan error {
	c := make(chan error, 1)
	go func() { c <- q.Put(background, text(n)) }()
	return c
}

func mustPut(t *testing.T, q *mpqueue.Queue[[]byte], sizes ...int) {
	t.Helper()
	for _, n := range sizes {
		if err := q.TryPut(text(n)); err != nil {
			t.Fatalf("Put of %d bytes: %v", n, err)
		}
	}
}

func mustReceive(t *testing.T, q *mpqueue.Queue[[]byte]) *mpqueue.Item[[]byte] {
	t.Helper()
	i, err := q.TryReceive()
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// ends waits for the end of a Put that nothing stands in the way of.
func ends(t *testing.T, what string, c chan error) {
	t.Helper()
	select {
	case err := <-c:
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	case <-time.After(10 * time.Second):
		t.Fatalf("%s does not end, though there is room", what)
	}
}

func stays(t *testing.T, what string, c chan error) {
	t.Helper()
	select {
	case err := <-c:
		t.Fatalf("%s has ended: %v", what, err)
	default:
	}
}

// A Put that waits for room in the arena keeps no other of its process from the
// room that there is, be it a place, or a smaller block.
func TestArenaWaitersDoNotBlockOthers(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	t.Run("a place", func(t *testing.T) {
		q := newQueue[[]byte](t, 2, mpqueue.WithMaxBytes(chunk))
		mustPut(t, q, 60000)
		large := mustReceive(t, q)
		mustPut(t, q, 10)
		first := blockedPut(q, 60000)
		procstest.WaitBlocked(t, 0, 1)
		second := blockedPut(q, 10)
		time.Sleep(20 * time.Millisecond) // it may sleep, or stand in a line: nobody can see it
		if _, err := q.TryGet(); err != nil {
			t.Fatal(err)
		}
		ends(t, "Put of a small message", second)
		stays(t, "Put of a large message", first)
		large.Done()
		if _, err := q.TryGet(); err != nil {
			t.Fatal(err)
		}
		ends(t, "Put of a large message", first)
	})
	t.Run("a block", func(t *testing.T) {
		q := newQueue[[]byte](t, 40, mpqueue.WithMaxBytes(2*chunk))
		for range 16 {
			mustPut(t, q, 4096)
		}
		small := mustReceive(t, q)
		mustPut(t, q, 60000)
		first := blockedPut(q, 100000)
		procstest.WaitBlocked(t, 0, 1)
		second, third := blockedPut(q, 4096), blockedPut(q, 4096)
		procstest.WaitBlocked(t, 0, 2) // of two that need the same only one sleeps
		time.Sleep(20 * time.Millisecond)
		small.Done()
		select {
		case err := <-second:
			if err != nil {
				t.Error(err)
			}
			second = third
		case err := <-third:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("neither Put ends, though there is a block")
		}
		if _, err := q.TryGet(); err != nil {
			t.Fatal(err)
		}
		ends(t, "the other Put", second)
		stays(t, "Put of a run", first)
		for first != nil {
			if _, err := q.TryGet(); err != nil && err != mpqueue.ErrEmpty {
				t.Fatal(err)
			}
			select {
			case err := <-first:
				if err != nil {
					t.Fatal(err)
				}
				first = nil
			default:
			}
		}
	})
	t.Run("the end", func(t *testing.T) {
		q := newQueue[[]byte](t, 4, mpqueue.WithMaxBytes(chunk))
		mustPut(t, q, 60000)
		large := mustReceive(t, q)
		first, second := blockedPut(q, 60000), blockedPut(q, 60000)
		procstest.WaitBlocked(t, 0, 1)
		takes(t, "Puts that wait for room, after CloseSend", 0, func() {
			q.CloseSend()
			for _, c := range []chan error{first, second} {
				if err := <-c; err != mpqueue.ErrClosed {
					t.Error(err)
				}
			}
		})
		large.Done()
	})
}

// soonest runs f, which returns how long a sleeper slept after what it waited for,
// until that is less than what its backstop makes it: a wake that is lost is not
// noticed otherwise, and a machine that is busy may be late once.
func soonest(t *testing.T, what string, f func() time.Duration) {
	t.Helper()
	var all []time.Duration
	for len(all) < 8 {
		all = append(all, f())
		if slices.Min(all) < 2*time.Millisecond {
			t.Logf("%s: woken after %v", what, slices.Min(all))
			return
		}
	}
	t.Errorf("%s: after %v, as if nobody had woken it", what, all)
}

type roomArgs struct {
	Queue *mpqueue.Queue[[]byte]
	Size  int
	Does  string
}

// roomTaker does one thing, and then stays: its end would wake everybody.
var roomTaker = procstest.Role("mpqueue-room", func(ctx context.Context, a roomArgs) error {
	var err error
	switch a.Does {
	case "put":
		err = a.Queue.Put(ctx, text(a.Size))
	case "get":
		_, err = a.Queue.Get(ctx)
	case "reserve":
		_, err = a.Queue.ReserveSize(ctx, a.Size)
	case "put and fail":
		if err = a.Queue.Put(ctx, text(a.Size)); !errors.Is(err, mpqueue.ErrCorrupt) {
			return errors.New("a damaged chunk word is no error")
		}
		err = a.Queue.Put(ctx, nil)
	case "reserve and fail":
		if _, err = a.Queue.ReserveSize(ctx, a.Size); !errors.Is(err, mpqueue.ErrCorrupt) {
			return errors.New("a damaged chunk word is no error")
		}
		err = a.Queue.Put(ctx, nil)
	}
	if err == nil {
		<-ctx.Done()
	}
	return err
})

// A process stands still in the middle of preparing the only chunk: that is busy, not
// full, and who waits is woken when there are blocks.
func TestArenaBeingPrepared(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	soonest(t, "Put, when a chunk is ready", func() time.Duration {
		q := newQueue[[]byte](t, 4, mpqueue.WithMaxBytes(chunk))
		p := roomTaker.Start(t, roomArgs{Queue: q, Size: 5000, Does: "put"}, procstest.StopAt("mpqueue.arena.reserved", 1))
		p.WaitStopped()
		takes(t, "TryPut", 0, func() {
			if err := q.TryPut(text(5000)); err != mpqueue.ErrBusy {
				t.Error(err)
			}
		})
		if _, err := q.ReserveSize(within(t, time.Millisecond), 5000); !errors.Is(err, mpqueue.ErrFull) || !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		blocked := blockedPut(q, 5000)
		procstest.WaitBlocked(t, 0, 1)
		begin := time.Now()
		p.Cont()
		ends(t, "Put", blocked)
		return time.Since(begin)
	})
}

// A reservation that is counted, finds no block and gives up: who found the queue full
// for it meanwhile is woken.
func TestReserveGivesUp(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	soonest(t, "Put, when a reservation is given up", func() time.Duration {
		q := newQueue[[]byte](t, 2, mpqueue.WithMaxBytes(chunk))
		mustPut(t, q, 60000)
		p := roomTaker.Start(t, roomArgs{Queue: q, Size: 60000, Does: "reserve"}, procstest.StopAt("mpqueue.reserve.counted", 1))
		p.WaitStopped()
		blocked := blockedPut(q, 10)
		procstest.WaitBlocked(t, 0, 1)
		begin := time.Now()
		p.Cont()
		ends(t, "Put", blocked)
		d := time.Since(begin)
		p.Kill()
		p.Wait()
		return d
	})
	q := newQueue[[]byte](t, 1, mpqueue.WithMaxBytes(chunk))
	if _, err := q.ReserveSize(background, chunk+1); !errors.Is(err, mpqueue.ErrTooLarge) {
		t.Error(err)
	}
}

// All lease blocks are in somebody's hands for a moment: that does not make a queue
// empty, and who waits is woken.
func TestNoLeaseBlockToSpare(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	soonest(t, "Receive, when there is a lease block", func() time.Duration {
		q := newQueue[[]byte](t, 4)
		mustPut(t, q, 10)
		giveBack, err := mpqueue.TakeLeases(q, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := q.TryReceive(); err != mpqueue.ErrBusy {
			t.Errorf("TryReceive: %v", err)
		}
		got := make(chan error, 1)
		go func() {
			i, err := q.Receive(background)
			if err == nil {
				err = i.Done()
			}
			got <- err
		}()
		procstest.WaitBlocked(t, 0, 1)
		begin := time.Now()
		giveBack()
		ends(t, "Receive", got)
		return time.Since(begin)
	})
}

// A Put, or a reservation, that fails after it has taken a block gives the block back.
func TestBlockGivenBack(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	for _, does := range []string{"put and fail", "reserve and fail"} {
		t.Run(does, func(t *testing.T) {
			q := newQueue[[]byte](t, 4, mpqueue.WithMaxBytes(chunk))
			p := roomTaker.Start(t, roomArgs{Queue: q, Size: 5000, Does: does}, procstest.StopAt("mpqueue.alloc.claimed", 1))
			p.WaitStopped()
			right := mpqueue.SpoilChunk(q, 0)
			p.Cont()
			if _, err := q.Get(background); err != nil {
				t.Fatal(err)
			}
			right()
			if err := q.TryPut(text(chunk)); err != nil { // all of the arena
				t.Fatal(err)
			}
			if _, err := q.TryGet(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// The word that says that a process begins to end is damaged: it has not ended, and
// will not. Who waits for it goes on when it is no longer in the way.
func TestLiveWordSaysDying(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	name := "dying-not"
	q, err := mpqueue.Create[[]byte](name, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer shm.Remove(name)
	defer q.Close()
	mustPut(t, q, 1)
	p := roomTaker.Start(t, roomArgs{Queue: q, Does: "get"}, procstest.StopAt("mpqueue.get.claimed", 1))
	p.WaitStopped()
	file := vandal(t, name)
	for _, a := range q.Segment().Participants() {
		if a.PID != p.PID() {
			continue
		}
		live := file[4096+128*(a.Token.Slot()-1)+8:]
		word := binary.NativeEndian.Uint32(live)
		binary.NativeEndian.PutUint32(live, word|1<<30)
		defer binary.NativeEndian.PutUint32(live, word)
	}
	put := blockedPut(q, 2)
	time.Sleep(5 * time.Millisecond) // it polls, or sleeps
	p.Cont()
	takes(t, "Put after a process whose live word says that it dies", 0, func() { ends(t, "Put", put) })
	if b, err := q.TryGet(); len(b) != 2 || err != nil {
		t.Error(b, err)
	}
}

// A process claims a block by what it knew of the chunk, finds that the chunk has been
// put to another use, and gives the block back: who needs it is woken.
func TestOutdatedClaimGivesBack(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	soonest(t, "Put, when the block is given back", func() time.Duration {
		q := newQueue[[]byte](t, 200, mpqueue.WithMaxBytes(2*chunk))
		for range 129 { // the last one is in the second chunk, and keeps that as it is
			mustPut(t, q, 200)
		}
		for range 128 {
			if _, err := q.TryGet(); err != nil {
				t.Fatal(err)
			}
		}
		p := roomTaker.Start(t, roomArgs{Queue: q, Size: 200, Does: "put"},
			procstest.StopAt("mpqueue.alloc.found", 1), procstest.StopAt("mpqueue.alloc.unchecked", 1))
		p.WaitStopped()
		mustPut(t, q, 4000) // the first chunk has 16 blocks of 4096 bytes now
		p.Cont()
		p.WaitStopped()
		for range 14 {
			mustPut(t, q, 4000)
		}
		if err := q.TryPut(text(4000)); err != mpqueue.ErrFull {
			t.Fatal(err)
		}
		blocked := blockedPut(q, 4000)
		procstest.WaitBlocked(t, 0, 1)
		begin := time.Now()
		p.Cont()
		ends(t, "Put", blocked)
		return time.Since(begin)
	})
}
