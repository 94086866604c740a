package shm_test

import (
	"context"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"shmkit/procs/procstest"
	"shmkit/shm"
)

// cutsOf bounds the kills of one test and its time, unless SHMKIT_STEPS says otherwise.
func cutsOf(t *testing.T, n string) {
	if os.Getenv("SHMKIT_STEPS") != "" {
		procstest.Watchdog(t, time.Hour)
		return
	}
	procstest.Watchdog(t, 2*time.Minute)
	if testing.Short() {
		n = "8"
	}
	t.Setenv("SHMKIT_STEPS", n)
}

// heirs are what a stepped sweeper and the test tell each other.
type heirs struct{ attached, dead atomic.Uint32 }

type heirArgs struct {
	Name string
	Turn *shm.Object[heirs]
}

// heir attaches while somebody still lives there, and sweeps when it is dead.
var heir = procstest.Role("heir", func(ctx context.Context, a heirArgs) error {
	o, err := shm.Open[estate](a.Name)
	if err != nil {
		return err
	}
	turn := a.Turn.Value()
	turn.attached.Store(1)
	for turn.dead.Load() == 0 {
		time.Sleep(50 * time.Microsecond)
	}
	procstest.Step(func() { o.Segment().Sweep() })
	return nil
})

// TestCrashSweepEachInstruction kills a process at the instructions of its sweep
// of another one, which died with seven locks. The next one finds all of them
// released and told, and the table empty. The test itself is not attached
// meanwhile, or it would do the sweeper's work.
func TestCrashSweepEachInstruction(t *testing.T) {
	cutsOf(t, "40")
	procstest.EachInstruction(t, heir, func(t testing.TB) heirArgs {
		o, err := shm.New[heirs]()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { o.Close() })
		a := heirArgs{"heirs", o}
		p := testator.Start(t, a.Name)
		waitFor(t, "all locked", func() bool { return willMade(a.Name) })
		go func() {
			for begin := time.Now(); o.Value().attached.Load() == 0 && time.Since(begin) < 10*time.Second; {
				time.Sleep(50 * time.Microsecond)
			}
			p.Kill()
			o.Value().dead.Store(1)
		}()
		return a
	}, func(t testing.TB, a heirArgs) { inherit(t, a.Name) })
}
