package mpqueue_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"shmkit/mpqueue"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

// A sweeper that is killed where it gives a message back leaves the work to
// another; the death of the one consumer counts once.
func TestSweeperDeathCountsOnce(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	for n, c := range []struct {
		point string
		large bool
	}{{"mpqueue.get.claimed", false}, {"mpqueue.get.taken", true}, {"", true}, {"", false}} {
		a := sweepArgs{Name: fmt.Sprintf("counted-%d", n), Turn: newTurn(t), Large: c.large, Hold: c.point == ""}
		kill(t, a, c.point, mpqueue.WithMaxDeliveries(2))
		p := sweeper.Start(t, a, procstest.KillAt("mpqueue.sweep.orphan", 1))
		if s := p.Wait(); !s.Killed() {
			t.Fatal(s)
		}
		q, err := mpqueue.Open[[]byte](a.Name)
		if err != nil {
			t.Fatal(err)
		}
		q.Segment().Sweep()
		i, err := q.TryReceive()
		if err != nil || !i.Redelivered() {
			t.Fatal(c, i, err)
		}
		if v, err := number(i.Bytes()); v != 1 || err != nil {
			t.Errorf("killed at %q and in its sweep: got %d, %v, want message 1 again", c.point, v, err)
		}
		i.Done()
		if s := q.Stats(); s.Dropped != 0 || s.Redelivered != 1 {
			t.Errorf("%+v", s)
		}
		q.Close()
		if err := shm.Remove(a.Name); err != nil {
			t.Error(err)
		}
	}
}

type onceArgs struct {
	Queue   *mpqueue.Queue[string]
	Receive bool
}

var onceTaker = procstest.Role("mpqueue-once-taker", func(ctx context.Context, a onceArgs) error {
	if a.Receive {
		_, err := a.Queue.Receive(ctx)
		return err
	}
	_, err := a.Queue.Get(ctx)
	return err
})

// What is delivered at most once is not delivered again, wherever its consumer is
// killed, and leaves nothing behind.
func TestAtMostOnceCut(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	cut := func(plant, point string, size int, receive bool) (wrong []error) {
		q := newQueue[string](t, 4, mpqueue.WithDelivery(mpqueue.AtMostOnce), mpqueue.WithMaxBytes(1<<20))
		q.Put(background, strings.Repeat("a", size))
		q.Put(background, "b")
		mpqueue.Plant(plant) // this process sweeps, as soon as the other one has ended
		defer mpqueue.Plant("")
		p := onceTaker.Start(t, onceArgs{q, receive}, procstest.KillAt(point, 1))
		if s := p.Wait(); !s.Killed() {
			t.Fatal(s)
		}
		q.Segment().Sweep()
		if v, err := q.TryGet(); v != "b" || err != nil {
			wrong = append(wrong, fmt.Errorf("got %.9q, %v", v, err))
		}
		if _, err := q.TryGet(); err != mpqueue.ErrEmpty {
			wrong = append(wrong, fmt.Errorf("then %v", err))
		}
		return append(wrong, mpqueue.Leaks(q)...)
	}
	for _, c := range []struct {
		point string
		size  int
	}{{"mpqueue.get.claimed", 10}, {"mpqueue.get.copied", 10}, {"mpqueue.get.claimed", 5000}, {"mpqueue.get.taken", 5000}, {"mpqueue.get.copied", 5000}} {
		for _, receive := range []bool{false, true} {
			if wrong := cut("", c.point, c.size, receive); len(wrong) != 0 {
				t.Errorf("killed at %s of %d bytes, received %v: %v", c.point, c.size, receive, wrong)
			}
		}
		if wrong := cut("redeliver", c.point, c.size, false); len(wrong) == 0 {
			t.Errorf("killed at %s of %d bytes: the planted bug was not noticed", c.point, c.size)
		}
	}
}

// A GetBatch that another goroutine's Close overtakes counts nothing that it has
// read from memory that is gone.
func TestGetBatchClose(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	batch := make([]int, 512)
	for i := range batch {
		batch[i] = i + 1
	}
	long := time.Second
	if testing.Short() {
		long /= 4
	}
	for begin, round := time.Now(), 0; time.Since(begin) < long; round++ {
		q, err := mpqueue.New[int](len(batch))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := q.PutBatch(background, batch); err != nil {
			t.Fatal(err)
		}
		closed := make(chan error)
		go func() {
			for range round % 64 {
				q.Cap()
				yield()
			}
			closed <- q.Close()
		}()
		next := 1
		for {
			dst := make([]int, 32)
			n, err := q.GetBatch(background, dst)
			for _, v := range dst[:n] {
				if v != next {
					t.Fatalf("round %d: got %d, want %d", round, v, next)
				}
				next++
			}
			if err != nil || next > len(batch) {
				break
			}
		}
		if err := <-closed; err != nil {
			t.Fatal(err)
		}
	}
}
