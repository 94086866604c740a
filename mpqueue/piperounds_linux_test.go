package mpqueue_test

import (
	"context"
	"testing"

	"shmkit/futexlock"
	"shmkit/mpqueue"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

type roundsArgs struct {
	Conn    *mpqueue.Conn
	Barrier *shm.Object[futexlock.Barrier]
	Rounds  int
}

// pipeRounds meets the others before each message.
var pipeRounds = procstest.Role("pipe-rounds", func(ctx context.Context, a roundsArgs) error {
	for i := range a.Rounds {
		if _, err := a.Barrier.Value().Wait(ctx); err != nil {
			return err
		}
		if err := a.Conn.Send(ctx, i); err != nil {
			return err
		}
	}
	return nil
})

// TestPipeRounds: five processes meet at a barrier and then each sends the number
// of the round into one end that all share, a thousand times: each number comes
// five times before the next. With Python's pipes they need a lock for that.
func TestPipeRounds(t *testing.T) {
	ctx := timeout(t)
	const k, rounds = 5, 1000
	barrier, err := shm.New[futexlock.Barrier]()
	if err == nil {
		err = barrier.Value().Init(k)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer barrier.Close()
	a, b := newPipe(t)
	var all []*procstest.Proc
	for range k {
		all = append(all, pipeRounds.Start(t, roundsArgs{b.Keep(), barrier, rounds}))
	}
	for i := range k * rounds {
		if v, err := a.Recv(ctx); v != i/k || err != nil {
			t.Fatalf("message %d: %v, %v, want %d", i, v, err, i/k)
		}
	}
	for _, p := range all {
		if s := p.Wait(); s.Err != nil {
			t.Error(s)
		}
	}
}
