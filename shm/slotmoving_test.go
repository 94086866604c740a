package shm_test

import (
	"errors"
	"testing"
	"time"

	"shmkit/procs/procstest"
	"shmkit/shm"
)

// arrive starts a newcomer that finds no slot, but one that is about to come free;
// lets the others go on, and says what becomes of the newcomer.
func arrive(t *testing.T, s *shm.Segment, others func()) {
	t.Helper()
	q := caller.Start(t, s.Name(), procstest.StopAt("shm.join.waits", 1))
	q.WaitStopped()
	others()
	q.Cont()
	if st := q.Wait(); st.Err != nil {
		t.Error(st)
	}
	for _, err := range shm.Check(s) {
		t.Error(err)
	}
}

// A newcomer that finds the table full, and a dead one in it whom another process is
// sweeping, is not refused: it waits for the slot.
func TestClaimBeingSwept(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	s, at, b := setBystander(t, "swept", 2, procstest.StopAt("shm.sweep.released", 1))
	setHolding(t, "swept", at).Kill()
	at.Do.sweep.Store(1)
	b.WaitStopped()
	arrive(t, s, func() {
		b.Cont()
		waitFor(t, "the sweep", func() bool { return at.Do.swept.Load() != 0 })
	})
}

// Nor is one that finds a free slot whose lock another process has: who has just
// died there, and the kernel has not yet torn it down, or who comes or goes.
func TestClaimBeingLocked(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	s, _, _ := setBystander(t, "locked", 2)
	other := caller.Start(t, "locked", procstest.StopAt("shm.attach.byte", 1))
	other.WaitStopped()
	arrive(t, s, other.Kill)

	// But it does not wait for ever.
	other = caller.Start(t, "locked", procstest.StopAt("shm.attach.byte", 1))
	other.WaitStopped()
	defer shm.ClaimPatience(10 * time.Millisecond)()
	began := time.Now()
	_, err := shm.Open[scene]("locked")
	if took := time.Since(began); !errors.Is(err, shm.ErrTooManyParticipants) || took < 10*time.Millisecond {
		t.Errorf("while another process stands still on its way in: %v after %v", err, took)
	}
	t.Log(err)
}
