package shm_test

import (
	"context"
	"testing"
	"time"

	"shmkit/procs/procstest"
	"shmkit/shm"
)

// settler attaches, which is where the test stops it, locks and stays.
var settler = procstest.Role("settler", func(ctx context.Context, o *shm.Object[stage]) error {
	o.Value().Mu.Lock()
	shm.StoreUint64(&o.Value().Seats[3].Token, 1)
	<-ctx.Done()
	return nil
})

// undertaker sweeps once when it is told to.
var undertaker = procstest.Role("undertaker", func(ctx context.Context, o *shm.Object[stage]) error {
	v := o.Value()
	shm.StoreUint64(&v.Seats[1].Token, 1)
	for shm.LoadUint64(&v.Seats[1].Token) != 2 {
		time.Sleep(time.Millisecond)
	}
	o.Segment().Sweep()
	shm.StoreUint64(&v.Seats[2].Token, 1)
	<-ctx.Done()
	return nil
})

// Who stands still in the middle of attaching is alive, also if the process that
// had its slot before is a zombie that nobody waits for; and its locks are its own.
func TestDeathClaiming(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	o, err := shm.Create[stage]("claiming", shm.WithParticipants(3))
	if err != nil {
		t.Fatal(err)
	}
	tr := &troupe{t: t, o: o}
	defer shm.Remove("claiming")
	defer o.Close()
	v := o.Value()
	sweeps := undertaker.Start(t, o, procstest.StopAt("shm.sweep.elected", 1))
	waitFor(t, "the undertaker is attached", func() bool { return shm.LoadUint64(&v.Seats[1].Token) == 1 })

	late, tok := tr.enter(play{}, nil)
	late.Process.Kill()
	waitFor(t, "a zombie", func() bool { return state(late.Process.Pid) == "Z" })
	tr.told(tok, time.Now())
	if n := o.Segment().Sweep(); n != 1 {
		t.Fatalf("swept %d, want the zombie", n)
	}
	comes := settler.Start(t, o, procstest.StopAt("shm.attach.locked", 1))
	comes.WaitStopped()
	if n := len(o.Segment().Participants()); n != 3 || state(late.Process.Pid) != "Z" {
		t.Fatalf("%d participants, the process that had the slot before is %s", n, state(late.Process.Pid))
	}

	shm.StoreUint64(&v.Seats[1].Token, 2)
	swept := func() bool { return shm.LoadUint64(&v.Seats[2].Token) == 1 }
	waitFor(t, "the undertaker has looked", func() bool { return swept() || state(sweeps.PID()) == "T" })
	if !swept() {
		t.Error("the undertaker was about to sweep a living process")
	}
	comes.Cont()
	waitFor(t, "locked", func() bool { return shm.LoadUint64(&v.Seats[3].Token) == 1 })
	if !swept() {
		sweeps.Cont()
		waitFor(t, "swept", swept)
	}
	if ok, err := v.Mu.TryLock(); ok {
		t.Errorf("got a lock that a living process holds (%v)", err)
	}
}

// Whoever waits for a sweeper that is killed finishes its work too, and whoever waits
// for one that is killed as it attaches: nobody else would hear of them.
func TestCrashLeftByTheDead(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	clean := func(what string, o *shm.Object[stage]) {
		if n := len(o.Segment().Participants()); n != 1 {
			t.Errorf("%s: %d participants, want this one", what, n)
		}
		for _, err := range shm.Check(o.Segment()) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, point := range []string{"shm.sweep.elected", "shm.sweep.lock", "shm.sweep.released", "shm.sweep.cleared"} {
		tr := newTroupe(t, "left by "+point)
		v := tr.o.Value()
		sweeps := undertaker.Start(t, tr.o, procstest.KillAt(point, 1))
		waitFor(t, "the undertaker is attached", func() bool { return shm.LoadUint64(&v.Seats[1].Token) == 1 })
		late, tok := tr.enter(play{}, nil)
		late.Process.Kill()
		waitFor(t, "a zombie", func() bool { return state(late.Process.Pid) == "Z" })
		// A zombie's other threads may still hold its byte: then there is nothing to
		// sweep yet, and the undertaker sweeps but once.
		tr.told(tok, time.Now())
		shm.StoreUint64(&v.Seats[1].Token, 2)
		if s := sweeps.Wait(); !s.Killed() {
			t.Fatalf("%s: %v", point, s)
		}
		clean(point, tr.o)
	}
	for _, point := range []string{"shm.attach.byte", "shm.attach.locked", "shm.attach.claimed"} {
		tr := newTroupe(t, "left by "+point)
		if s := settler.Start(t, tr.o, procstest.KillAt(point, 1)).Wait(); !s.Killed() {
			t.Fatalf("%s: %v", point, s)
		}
		clean(point, tr.o)
	}
}
