package shm_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"syscall"
	"testing"
	"time"

	"shmkit/futexlock"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

// visitor opens a segment again and again: it attaches, sweeps whoever died
// there, takes and frees locks, and leaves. It tells by Balls[0].Value that it is
// at it.
var visitor = procstest.Role("visitor", func(ctx context.Context, name string) error {
	for ctx.Err() == nil {
		o, err := shm.Open[estate](name)
		if err != nil {
			return err
		}
		shm.StoreInt64(&o.Value().Balls[0].Value, 1)
		for _, m := range o.Value().locks() {
			if ok, _ := m.TryLock(); ok {
				m.Unlock() // the mark of a dead holder stays
			}
		}
		if err := o.Close(); err != nil {
			return err
		}
	}
	return nil
})

// Processes killed at random instants of attach, sweep and detach leave a segment
// that the next one opens, with every lock of the first dead told and every lock
// of the later dead free.
func TestCrashAtRandom(t *testing.T) {
	procstest.Watchdog(t, 2*time.Minute)
	rounds := 100
	if testing.Short() {
		rounds = 20
	}
	r := rand.New(rand.NewPCG(uint64(procstest.Seed(t)), 0))
	leaveEstate(t, "random")
	recorded, err := os.ReadFile(nameFile("random"))
	if err != nil {
		t.Fatal(err)
	}
	defer os.Remove(nameFile("random"))
	dead := map[string]int{}
	for range rounds {
		os.Remove(nameFile("random"))
		if err := os.WriteFile(nameFile("random"), recorded, 0o600); err != nil {
			t.Fatal(err)
		}
		a, b := visitor.Start(t, "random"), visitor.Start(t, "random")
		waitFor(t, "visited", func() bool {
			b, err := os.ReadFile(nameFile("random"))
			return err == nil && b[36864+8] == 1
		})
		for begin, d := time.Now(), time.Duration(r.IntN(3000))*time.Microsecond; time.Since(begin) < d; {
		}
		syscall.Kill(a.PID(), syscall.SIGKILL)
		if r.IntN(2) == 0 {
			syscall.Kill(b.PID(), syscall.SIGKILL)
		}
		a.Wait()
		b.Kill()
		p, err := shm.Peek("random")
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range p.Participants() {
			dead[q.State]++
		}
		p.Close()
		o, err := shm.Open[estate]("random")
		if err != nil {
			t.Fatal(err)
		}
		for i, m := range o.Value().locks() {
			if ok, err := m.TryLock(); !ok || !errors.Is(err, futexlock.ErrOwnerDied) {
				t.Errorf("lock %d: %v, %v", i, ok, err)
				continue
			}
			m.Consistent()
			m.Unlock()
		}
		for _, q := range o.Segment().Participants() {
			if !q.Self {
				t.Errorf("still there: %+v", q)
			}
		}
		for _, err := range shm.Check(o.Segment()) {
			t.Error(err)
		}
		o.Close()
	}
	t.Logf("%d rounds; left by the killed: %v", rounds, dead)
}
