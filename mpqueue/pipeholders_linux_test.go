package mpqueue_test

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"shmkit/mpqueue"
	"shmkit/procs/procstest"
)

type passed struct{ Conn *mpqueue.Conn }

type passerArgs struct {
	Conn  *mpqueue.Conn
	Queue *mpqueue.Queue[passed]
	Seed  uint64
}

// pipePasser has an end of a pipe, gives it away by the queue, shares it, closes
// it, and takes it from the queue again.
var pipePasser = procstest.Role("pipe-passer", func(ctx context.Context, a passerArgs) error {
	r := rand.New(rand.NewPCG(a.Seed, 0))
	hold := []*mpqueue.Conn{a.Conn}
	for ctx.Err() == nil {
		if len(hold) > 0 {
			i := r.IntN(len(hold))
			c := hold[i]
			switch r.IntN(3) {
			case 0:
				if err := a.Queue.TryPut(passed{c.Keep()}); err != nil && !errors.Is(err, mpqueue.ErrFull) {
					return err
				}
			case 1:
				c.Close()
				hold[i] = hold[len(hold)-1]
				hold = hold[:len(hold)-1]
			}
		}
		v, err := a.Queue.TryGet()
		switch {
		case err == nil && v.Conn != nil && len(hold) < 20:
			hold = append(hold, v.Conn)
		case err == nil:
			v.Conn.Close()
		}
		if r.IntN(10) == 0 {
			time.Sleep(time.Duration(r.IntN(300)) * time.Microsecond)
		}
	}
	return nil
})

// TestPipeHolders passes an end to and fro between processes that are killed at
// random. As long as one is known to have it there is no end of the stream; when
// nobody can have it any more there is.
func TestPipeHolders(t *testing.T) {
	r := rand.New(rand.NewPCG(uint64(procstest.Seed(t)), 0))
	points := append(mpqueue.PipeHoldPoints, mpqueue.PipeFaultPoints...)
	rounds := max(*tortureKills/15, 2)
	procstest.Watchdog(t, time.Minute+time.Duration(rounds)*time.Second)
	var longest time.Duration
	for range rounds {
		a, b := newPipe(t, mpqueue.WithPipeSize(4096))
		q := newQueue[passed](t, 8)
		start := func() *procstest.Proc {
			var opts []procstest.Option
			if r.IntN(2) == 0 {
				opts = append(opts, procstest.KillAt(points[r.IntN(len(points))], 1+r.IntN(4)))
			}
			return pipePasser.Start(t, passerArgs{b.Keep(), q, r.Uint64()}, opts...)
		}
		all := []*procstest.Proc{start(), start(), start()}
		for range 5 {
			time.Sleep(time.Duration(r.IntN(3000)) * time.Microsecond)
			i := r.IntN(len(all))
			all[i].Kill()
			all[i] = start()
			if ok, err := a.Poll(done); ok || err != nil {
				t.Fatalf("we have the other end, and this one says: %v, %v", ok, err)
			}
		}
		if r.IntN(2) == 0 {
			b.Close() // somebody else may have it, or nobody
		}
		ended := make(chan error)
		go func() {
			_, err := a.RecvBytes(background, nil)
			ended <- err
		}()
		for _, p := range all {
			p.Kill()
		}
		begin := time.Now()
		b.Close()
		select {
		case err := <-ended:
			if err != io.EOF {
				t.Fatal(err)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("nobody has the other end, and there is no end of the stream")
		}
		longest = max(longest, time.Since(begin))
	}
	t.Logf("%d pipes; the end of the stream at most %v after the last holder", rounds, longest)
}
