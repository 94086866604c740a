package shm_test

import (
	"context"
	"testing"
	"time"

	"shmkit/procs/procstest"
	"shmkit/shm"
)

// newcomer attaches, and ends.
var newcomer = procstest.Role("newcomer", func(ctx context.Context, o *shm.Object[account]) error {
	return o.Close()
})

// Who is killed at any point of attaching is swept, also if its slot is one that
// nobody had before.
func TestCrashAttach(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	for _, point := range points("shm.attach.") {
		t.Run(point, func(t *testing.T) {
			o, err := shm.New[account](shm.WithOwnSegment())
			if err != nil {
				t.Fatal(err)
			}
			defer o.Close()
			if s := newcomer.Start(t, o, procstest.KillAt(point, 1)).Wait(); !s.Killed() {
				t.Fatalf("the newcomer did not die at the point: %v", s)
			}
			o.Segment().Sweep()
			for _, err := range shm.Check(o.Segment()) {
				t.Error(err)
			}
		})
	}
}
