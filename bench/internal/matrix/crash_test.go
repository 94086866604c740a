package matrix

import (
	"testing"
	"time"

	"shmkit/procs/procstest"
)

// TestCrash holds what the crash rows say: the queue and its lock recover,
// with every message; a pipe in the middle of whose frame a process died does
// not.
func TestCrash(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	for _, scene := range []string{"producer", "consumer"} {
		r, err := crashRow(t.Context(), "mpqueue", scene, 3, 10*time.Second)
		if err != nil || !r.DeliveredOK {
			t.Errorf("%s: %+v, %v", scene, r, err)
			continue
		}
		t.Logf("%s: recovery p50 %.2f ms, max %.2f ms", scene, *r.P50/1e6, *r.Worst/1e6)
		r, err = crashRow(t.Context(), "mpqueue"+alone, scene, 3, 10*time.Second)
		wantAlone(t, scene, r, err)
		if err == nil && scene == "consumer" && *r.P50 < 10e6 {
			// Nothing wakes who waits for any message at all; or has the
			// parent of the victim helped?
			t.Errorf("%s: alone, but recovered after %.2f ms", scene, *r.P50/1e6)
		}
		r, err = crashRow(t.Context(), "pipequeue", scene, 1, 300*time.Millisecond)
		if err != nil || r.DeliveredOK {
			t.Errorf("%s: a pipe survives: %+v, %v", scene, r, err)
		}
	}
	r, err := crashRow(t.Context(), "posixmq", "producer", 1, 2*time.Second)
	if err != nil || r.Skipped == "" && r.Note == "" {
		t.Errorf("it does not say that no message was under way: %+v, %v", r, err)
	}
	if pythonPath() != "" {
		for _, scene := range []string{"producer", "consumer"} {
			r, err := crashRow(t.Context(), "py-queue", scene, 1, 500*time.Millisecond)
			if err != nil || r.DeliveredOK {
				t.Errorf("%s: Python's queue survives: %+v, %v", scene, r, err)
			}
			t.Logf("%s: py-queue: %s", scene, r.Outcome)
		}
	}
	for _, impl := range []string{"futexlock", "flock"} {
		r, err := heirRow(t.Context(), impl, 3, 10*time.Second)
		if err != nil || !r.DeliveredOK {
			t.Errorf("%s: %+v, %v", impl, r, err)
			continue
		}
		t.Logf("%s: recovery p50 %.2f ms, max %.2f ms", impl, *r.P50/1e6, *r.Worst/1e6)
	}
	r, err = heirRow(t.Context(), "futexlock"+alone, 3, 10*time.Second)
	wantAlone(t, "holder", r, err)
}

// wantAlone checks a row in which no parent helps: those who wait look around
// every 100 ms.
func wantAlone(t *testing.T, scene string, r Row, err error) {
	t.Helper()
	if err != nil || !r.DeliveredOK {
		t.Fatalf("%s, alone: %+v, %v", scene, r, err)
	}
	t.Logf("%s, alone: recovery p50 %.2f ms, max %.2f ms", scene, *r.P50/1e6, *r.Worst/1e6)
	if *r.Worst > 1e9 {
		t.Errorf("%s, alone: that is more than ten times 100 ms", scene)
	}
}
