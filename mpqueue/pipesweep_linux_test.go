package mpqueue_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"shmkit/mpqueue"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

type pipeSweepArgs struct {
	Conn *mpqueue.Conn
	Turn *shm.Object[turn]
}

// pipeSweeper sweeps the pipe when two others have died in it.
var pipeSweeper = procstest.Role("pipe-sweeper", func(ctx context.Context, a pipeSweepArgs) error {
	t := a.Turn.Value()
	t.attached.Store(1)
	if !wait(&t.dead) {
		return errors.New("nobody dies")
	}
	procstest.Step(func() { a.Conn.Segment().Sweep() })
	return nil
})

// reference makes a handle of an end that keeps nothing open here.
func reference(t testing.TB, c *mpqueue.Conn, end byte) []byte {
	t.Helper()
	ref, err := c.Segment().Reference()
	if err != nil {
		t.Fatal(err)
	}
	return append([]byte{end, 255, 0, 0, 0, 0, 0, 0, 0, 0}, ref...)
}

// TestPipeEveryInstructionOfSweep kills a process in its sweep of a sender that
// died with the lock, in the middle of a message, and of a receiver that died with
// the other lock and the turn. This process is not attached meanwhile, or it would
// sweep itself; another one, which does nothing, keeps the pipe.
func TestPipeEveryInstructionOfSweep(t *testing.T) {
	if testing.Short() && !*everyStep {
		return // seconds
	}
	procstest.Watchdog(t, 5*time.Minute)
	cuts(t, 15)
	var refs [2][]byte
	var keeper *procstest.Proc
	procstest.EachInstruction(t, pipeSweeper, func(t testing.TB) pipeSweepArgs {
		a, b, err := mpqueue.Pipe(mpqueue.WithPipeSize(4096))
		if err != nil {
			t.Fatal(err)
		}
		keeper = pipeHolder.Start(t, pipeArgs{Conn: b.Keep(), Other: a.Keep()})
		sender := pipeHolder.Start(t, pipeArgs{Conn: a, N: 1}, procstest.StopAt("mpqueue.pipe.published", 2))
		sender.WaitStopped()
		receiver := pipeEater.Start(t, pipeArgs{Conn: b, N: 1}, procstest.StopAt("mpqueue.pipe.taken", 1))
		receiver.WaitStopped()
		arg := pipeSweepArgs{Conn: b, Turn: newTurn(t)}
		refs = [2][]byte{reference(t, a, 0), reference(t, b, 1)}
		go func() {
			if wait(&arg.Turn.Value().attached) {
				a.Close()
				b.Close()
				sender.Kill()
				receiver.Kill()
				arg.Turn.Value().dead.Store(1)
			}
		}()
		return arg
	}, func(t testing.TB, arg pipeSweepArgs) {
		ctx, cancel := context.WithTimeout(background, 10*time.Second)
		defer cancel()
		var a, b mpqueue.Conn
		if err := errors.Join(a.UnmarshalBinary(refs[0]), b.UnmarshalBinary(refs[1])); err != nil {
			t.Fatal(err)
		}
		if err := a.SendBytes(ctx, []byte("next")); err != nil {
			t.Fatal(err)
		}
		if got, err := b.RecvBytes(ctx, nil); string(got) != "next" || err != nil {
			t.Fatalf("%q, %v", got, err)
		}
		a.Segment().Sweep()
		for _, err := range shm.Check(a.Segment()) {
			t.Errorf("after the sweep: %v", err)
		}
		a.Close()
		b.Close()
		keeper.Kill()
	})
}
